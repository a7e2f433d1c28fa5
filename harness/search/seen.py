"""What a bisect's run folder says by now: each release judged, and how far the search has come by that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.matrix.cell import Cell
from harness.search.bisection import Answer, Search, Strides
from harness.search.criterion import Criterion, Evaluation, evaluate, metric_value
from harness.search.prober import Prober, cell_at
from harness.search.question import Question
from harness.search.scan import Scan, scanned
from harness.session.conclude import standing
from harness.store.records import AttemptRecord


@dataclass(frozen=True)
class Seen:
    """A view of a run folder; every call reads it anew.

    A release is answered when its cell has all its results, or is among ``tried``: what lacks some then cannot be told.
    """

    question: Question
    base: Cell
    prober: Prober
    tried: frozenset[str] = frozenset()

    def cell(self, release: str) -> Cell:
        """Return the cell of a release."""
        return cell_at(self.base, self.question.package, release)

    def attempts(self) -> dict[str, list[AttemptRecord]]:
        """Return the attempts that count of every release that has a row in the run, in ascending order."""
        by_cell: dict[str, list[AttemptRecord]] = {one.id: [] for one in self.prober.folder.read_record().cells}
        for attempt in standing(self.prober.folder.attempts()):
            by_cell.setdefault(attempt.cell, []).append(attempt)
        cells = {release: self.cell(release).id for release in self.question.releases}
        return {release: by_cell[cell] for release, cell in cells.items() if cell in by_cell}

    def judged(self) -> dict[str, Evaluation]:
        """Return what is said about every release that has a row in the run, in ascending order."""
        asked, attempts = self.question, self.attempts()
        if asked.metric is not None and not asked.told:
            return {release: _measured(asked.metric, rows) for release, rows in attempts.items()}
        bound = self.bound(attempts)
        return {release: evaluate(asked, rows, bound) for release, rows in attempts.items()}

    def bound(self, attempts: Mapping[str, Sequence[AttemptRecord]]) -> float | None:
        """Return what the figure must not exceed; None where there is no bound, or the good end has no figure."""
        asked = self.question
        if asked.factor is None or asked.metric is None:
            return asked.limit
        value = metric_value(asked.metric, attempts.get(asked.good, ()))
        return None if value is None else asked.factor * value

    def origin(self, release: str) -> str:
        """Return the earlier run that a release's attempts come from; empty where they were made here."""
        rows = self.attempts().get(release, [])
        return rows[0].part if rows and all(one.part for one in rows) else ""

    def answers(self) -> dict[int, Answer]:
        """Return what a search is told: whether each probed release is as the last one is said to be."""
        asked, found = self.question, self.judged()
        cells = {release: self.cell(release) for release in found}
        whole = self.prober.probed(list(cells.values()))
        return {
            asked.releases.index(release): _answer(judged.bad, find_fix=asked.find_fix)
            for release, judged in found.items()
            if release in self.tried or cells[release] in whole
        }

    def strides(self) -> Strides:
        """Return the search for the older end, as far as it has come; what was probed since does not move its end."""
        answers, strides = self.answers(), Strides(len(self.question.releases))
        while known := {item: answers[item] for item in strides.next(self.question.jobs) if item in answers}:
            strides = strides.told(known)
        return strides

    def search(self) -> tuple[int, Search]:
        """Return the search between the ends, as far as it has come, and which release is its item 0."""
        count = len(self.question.releases)
        low = (self.strides().found or 0) if self.question.open_end else 0
        inside = {item - low: answer for item, answer in self.answers().items() if low < item < count - 1}
        return low, Search(count - low, inside)

    def scan(self) -> Scan:
        """Return every release with its answer and its figure, and all changes."""
        attempts = self.attempts()
        return scanned(self.question, attempts, self.judged(), self.bound(attempts))


def _measured(name: str, attempts: Sequence[AttemptRecord]) -> Evaluation:
    """Say what was measured where no bound tells good from bad."""
    value = metric_value(name, attempts)
    return Evaluation(None, f"{name} = {value:g}") if value is not None else evaluate(Criterion(metric=name), attempts)


def _answer(bad: bool | None, *, find_fix: bool) -> Answer:
    return Answer.UNKNOWN if bad is None else Answer.YES if bad is not find_fix else Answer.NO
