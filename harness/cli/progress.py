"""Show a run as it goes: a bar on a terminal, one line per event elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.cli.total import Total

TOLD = ("…", " fail:", " error:")  # what is said above a bar


def sentence(event: str, fields: Mapping[str, Any]) -> str | None:
    """Say one journal event in one line, or nothing when a person need not hear it."""
    text = None
    match event:
        case "environment_started":
            text = f"{fields['cell']}: environment {fields['lock']} …"
        case "environment":
            how = "reused" if fields["reused"] else "built"
            text = f"{fields['cell']}: environment {how} in {fields['seconds']:.1f} s"
        case "checkpoints_started":
            text = f"checkpoints: {', '.join(fields['names'])} …"
        case "checkpoint":
            text = f"checkpoint {fields['text']} …"
        case "checkpoints" if fields["built"]:
            text = f"checkpoints: {len(fields['built'])} built"
        case "launcher" if fields["fallback"]:
            how = "fresh interpreters, for" if fields["isolation"] == "spawn" else "forked, but"
            text = f"{fields['cell']}: {how} {fields['fallback']}"
        case "preload_failed" | "not_narrowed":
            text = f"note: {fields['text']}"
        case "attempt":
            record = fields["record"]
            detail = f"  {record['detail']}" if not record["outcome"].startswith(("pass", "skip")) else ""
            text = f"{record['cell']}: {record['scenario']} {record['outcome']} {record['seconds']:.1f} s{detail[:160]}"
    return text


class Show:
    """Listens to the journal of a run; a total that is a guess still is written ``~30``."""

    def __init__(self, console: Console, expected: int | Total) -> None:
        """Show on ``console``; ``expected`` is the number of attempts, or what learns it from the events."""
        self._console = console
        self._guard = threading.Lock()
        self._expected = expected
        self._done = 0
        self._noted: set[str] = set()  # modules of which one cell has said that it has none
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[of]}"),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("attempts", total=self._total(), of=self._of())

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Hear one event."""
        text = sentence(event, fields)
        with self._guard:
            self._done += event == "attempt" and fields["record"]["attempt"] > 0
            if isinstance(self._expected, Total):
                self._expected.hear(event, fields)
            if event == "preload_failed":
                text = None if fields["module"] in self._noted else text
                self._noted.add(fields["module"])
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=self._done, total=self._total(), of=self._of())
                if text is not None and (text.startswith("note: ") or any(sign in text for sign in TOLD)):
                    self._bar.console.print(text, highlight=False, markup=False, overflow="ellipsis", no_wrap=True)
            elif text is not None:
                count = f"[{self._of()}] " if event == "attempt" else ""
                self._console.print(f"{count}{text}", highlight=False, markup=False, soft_wrap=True)

    def _total(self) -> int:
        known = self._expected.number if isinstance(self._expected, Total) else self._expected
        return max(known, self._done)

    def _of(self) -> str:
        guessed = isinstance(self._expected, Total) and self._expected.guessed
        return f"{self._done}/{'~' if guessed else ''}{self._total()}"
