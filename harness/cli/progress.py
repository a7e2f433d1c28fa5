"""Progress of a run: a bar on a terminal, one line per event elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.reporter import Reporter
from harness.store.records import WHOLE_CELL

ABOVE_BAR = ("note: ", "fail:", "error:", "unavailable:", "miss:")  # beginnings of lines above the bar of a terminal
DETAIL = 160  # characters


def open_screen(*, errors: bool) -> tuple[Console, Reporter]:
    """Return standard output, or standard error, as a console, and a function that prints one line on it."""
    console = Console(stderr=errors)
    return console, partial(console.print, highlight=False, markup=False, soft_wrap=True)


@dataclass
class ExpectedAttempts:
    """Number of attempts to expect, corrected by the events of the journal.

    Args:
        scenarios: Estimated scenarios per cell; becomes what the last cell collected.
        rounds: For each ``run_started`` of the journal: the cells with their number of collections, and the attempts
            of each scenario per collection.
        planned: Attempts that are known to run.
    """

    scenarios: int
    rounds: Sequence[tuple[Mapping[str, int], int]]
    planned: int = 0
    _round: int = -1
    _pending: dict[tuple[int, str], int] = field(default_factory=dict)  # collections to come, by round and cell

    def __post_init__(self) -> None:
        """Expect every collection of every round."""
        self._pending = {
            (number, cell): count for number, (cells, _) in enumerate(self.rounds) for cell, count in cells.items()
        }

    def update(self, event: str, fields: Mapping[str, Any]) -> None:
        """Take one event of the journal into account."""
        match event:
            case "run_started":
                self._round += 1
                self._pending = {key: count for key, count in self._pending.items() if key[0] >= self._round}
            case "planned":
                self.planned += fields["attempts"]
                self.scenarios = fields["scenarios"]
                self._collected(fields["cell"], 1)
            case "cell_finished":
                self._collected(fields["cell"])
            case "attempt" if fields["record"]["attempt"] == 0 and fields["record"]["scenario"] == WHOLE_CELL:
                self._collected(fields["record"]["cell"])  # not resolvable or not installable

    def _collected(self, cell: str, collections: int | None = None) -> None:
        """Expect so many collections less of a cell; none any more without a number."""
        key = (self._round, cell)
        left = self._pending.pop(key, 0)
        if collections is not None and left > collections:
            self._pending[key] = left - collections

    @property
    def estimated(self) -> bool:
        """Whether part of the number is an estimate."""
        return bool(self._pending)

    @property
    def number(self) -> int:
        """The planned attempts and the estimated ones."""
        estimate = sum(count * self.rounds[key[0]][1] * self.scenarios for key, count in self._pending.items())
        return self.planned + estimate


def event_line(event: str, fields: Mapping[str, Any]) -> str | None:
    """Return the line of a journal event, or None for an event that is not shown."""
    text = None
    match event:
        case "environment_started":
            text = f"{fields['cell']}: preparing environment {fields['lock']} …"
        case "environment":
            how = "reused" if fields["reused"] else f"built in {fields['seconds']:.1f} s"
            text = f"{fields['cell']}: environment {how}"
        case "checkpoints_started":
            text = f"checkpoints: building {', '.join(fields['names'])} …"
        case "checkpoint":
            text = f"checkpoint {fields['text']} …"
        case "checkpoints" if fields["built"]:
            text = f"checkpoints: {len(fields['built'])} built"
        case "launcher" if fields["fallback"]:
            fresh = "fresh interpreters instead of forks: " if fields["isolation"] == "spawn" else ""
            text = f"{fields['cell']}: {fresh}{fields['fallback']}"
        case "preload_failed" | "not_narrowed":
            text = f"note: {fields['text']}"
        case "attempt":
            text = _attempt_line(fields["record"])

    return text


def _attempt_line(record: Mapping[str, Any]) -> str:
    """Return the line of an attempt, with the outcome first: a narrow terminal cuts the end."""
    name = record["cell"] if record["scenario"] == WHOLE_CELL else f"{record['scenario']} in {record['cell']}"
    seconds = f" {record['seconds']:.1f} s" if record["attempt"] else ""
    detail = "" if record["outcome"].startswith(("pass", "skip")) else record["detail"][:DETAIL].rstrip()
    return f"{record['outcome']} {name}{seconds}{f': {detail}' if detail else ''}"


class RunProgress:
    """Shows the events of a journal on a console; an estimated total is written ``~30``."""

    def __init__(self, console: Console, expected: int | ExpectedAttempts) -> None:
        """Show on ``console``; ``expected`` is the number of attempts, or what derives it from the events."""
        self._console = console
        self._lock = threading.Lock()
        self._expected = expected
        self._done = 0
        self._missing_modules: set[str] = set()  # modules whose failed import was shown for one cell
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
        """Start the bar."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Show one event."""
        text = event_line(event, fields)
        with self._lock:
            self._done += event == "attempt" and fields["record"]["attempt"] > 0
            if isinstance(self._expected, ExpectedAttempts):
                self._expected.update(event, fields)
            if event == "preload_failed":
                text = None if fields["module"] in self._missing_modules else text
                self._missing_modules.add(fields["module"])
            if self._bar is not None and self._task is not None:
                self._bar.update(
                    self._task,
                    completed=self._done,
                    total=self._total(),
                    of=self._of(),
                )
                if text is not None and (text.startswith(ABOVE_BAR) or text.endswith("…")):
                    self._bar.console.print(text, highlight=False, markup=False, overflow="ellipsis", no_wrap=True)
            elif text is not None:
                count = f"[{self._of()}] " if event == "attempt" else ""
                self._console.print(
                    f"{count}{text}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )

    def _total(self) -> int:
        expected = self._expected.number if isinstance(self._expected, ExpectedAttempts) else self._expected
        return max(expected, self._done)

    def _of(self) -> str:
        estimated = isinstance(self._expected, ExpectedAttempts) and self._expected.estimated
        return f"{self._done}/{'~' if estimated else ''}{self._total()}"
