"""Show a run as it goes: a bar on a terminal, one line per event elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


@dataclass
class Total:
    """Learns from the events of a journal; ``scenarios`` is the guess, and becomes what the last cell listed.

    ``rounds`` has, for each time that the journal says ``run_started``, the cells with their number of collections
    and the attempts of each scenario in each collection.
    """

    scenarios: int
    rounds: Sequence[tuple[Mapping[str, int], int]]
    known: int = 0
    _round: int = -1
    _open: dict[tuple[int, str], int] = field(default_factory=dict)  # collections to come, by round and cell

    def __post_init__(self) -> None:
        """Expect every collection of every round."""
        self._open = {
            (number, cell): count for number, (cells, _) in enumerate(self.rounds) for cell, count in cells.items()
        }

    def hear(self, event: str, fields: Mapping[str, Any]) -> None:
        """Hear one event."""
        match event:
            case "run_started":
                self._round += 1
                self._open = {key: count for key, count in self._open.items() if key[0] >= self._round}
            case "planned":
                self.known += fields["attempts"]
                self.scenarios = fields["scenarios"]
                self._close(fields["cell"], 1)
            case "cell_finished":
                self._close(fields["cell"])
            case "attempt" if fields["record"]["attempt"] == 0 and fields["record"]["scenario"] == "*":
                self._close(fields["record"]["cell"])  # it could not be resolved or installed

    def _close(self, cell: str, collections: int | None = None) -> None:
        """Expect so many collections less of a cell, none any more where no number is given."""
        key = (self._round, cell)
        left = self._open.pop(key, 0)
        if collections is not None and left > collections:
            self._open[key] = left - collections

    @property
    def guessed(self) -> bool:
        """Whether a part of it is guessed."""
        return bool(self._open)

    @property
    def number(self) -> int:
        """The attempts that are planned, and those that are guessed to come."""
        return self.known + sum(count * self.rounds[key[0]][1] * self.scenarios for key, count in self._open.items())


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
