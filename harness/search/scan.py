"""A scan: every release between two ends, with every change of the answer or of the metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median

from harness.search.criterion import Cause, Evaluation, bound_of, metric_values
from harness.search.prober import results_by_cell
from harness.search.records import Ending, ReleaseChange, ReleaseQuestion, ReleaseResult, SearchRecord
from harness.store.run_folder import RunFolder
from harness.verdict.result import ScenarioResult
from harness.verdict.statistics import Spread, moved, spread, steps

NOT_RUN = Evaluation(None, "not run yet", Cause.NO_RESULT)


@dataclass(frozen=True)
class Point:
    """One release: its evaluation, and its figure if one was asked for and measured."""

    release: str
    evaluation: Evaluation
    figure: Spread | None = None


@dataclass(frozen=True)
class Scan:
    """All releases, ascending, with their changes.

    Attributes:
        turns: Changes of the answer.
        moves: Changes of the metric that leave the answer as it is.
        bound: The largest good value of the metric.
    """

    question: ReleaseQuestion
    points: tuple[Point, ...]
    turns: tuple[ReleaseChange, ...]
    moves: tuple[ReleaseChange, ...]
    bound: float | None = None

    @property
    def changes(self) -> tuple[ReleaseChange, ...]:
        """Both, in the order of the releases."""
        order = [point.release for point in self.points]
        return tuple(sorted((*self.turns, *self.moves), key=lambda one: order.index(one.after)))


@dataclass(frozen=True)
class ScanEnd:
    """How a scan ended, in the terms of a bisect."""

    ending: Ending
    before: str
    suspects: tuple[str, ...]
    reason: str = ""


def scan_releases(
    question: ReleaseQuestion,
    results: Mapping[str, Sequence[ScenarioResult]],
    evaluations: Mapping[str, Evaluation],
    bound: float | None,
) -> Scan:
    """Return all releases with their changes; a release that was not run yet is undecided."""
    points = tuple(
        Point(release, evaluations.get(release, NOT_RUN), _figure(question.metric, results.get(release, ())))
        for release in question.releases
    )
    turns = tuple(
        _change(points, one.before, one.after, one.bad) for one in change_points([one.evaluation.bad for one in points])
    )
    borders = {(one.before, one.after) for one in turns}
    jumped = steps([one.figure for one in points], partial(moved, question.metric or ""), outliers=True)
    found = [_change(points, before, after, None) for before, after in jumped]
    moves = tuple(one for one in found if (one.before, one.after) not in borders)
    return Scan(question, points, turns, moves, bound)


def read_scan(folder: RunFolder, search: SearchRecord) -> Scan | None:
    """Return the scan of a run folder; None if its search is no scan, or has not ended."""
    question, result = search.question, search.result
    if not isinstance(question, ReleaseQuestion) or not isinstance(result, ReleaseResult) or not question.scan:
        return None
    releases = {cell.id: cell.labels.get(question.package, "") for cell in folder.read_record().cells}
    results = {releases.get(cell, ""): found for cell, found in results_by_cell(folder).items()}
    bound = bound_of(question, results.get(question.good, ()))
    return scan_releases(question, results, result.evaluations, bound)


def conclude_scan(scan: Scan) -> ScanEnd:
    """Return how a scan ends.

    ======================================================= ===============
    the answer turns as asked, between two neighbours       found
    … and a release between them is undecided               inconclusive
    there is no bound, and the metric changes               the same two
    no release is bad, and one is good                      not reproduced
    else                                                    inconclusive
    ======================================================= ===============
    """
    wanted = [one for one in scan.turns if one.bad is not scan.question.find_fix]
    answers = {one.evaluation.bad for one in scan.points} - {None}
    changes = wanted or ([] if answers else list(scan.moves))
    first, rest = scan.points[0].release, tuple(one.release for one in scan.points[1:])
    if changes:
        ending = Ending.INCONCLUSIVE if changes[0].between else Ending.FOUND
        return ScanEnd(ending, changes[0].before, (*changes[0].between, changes[0].after))
    if answers == {False}:
        return ScanEnd(Ending.NOT_REPRODUCED, first, rest, "every decided release is good")
    if answers == {True}:
        return ScanEnd(Ending.INCONCLUSIVE, first, rest, "every decided release is bad")
    if answers:
        return ScanEnd(Ending.INCONCLUSIVE, first, rest, f"no release turns {scan.question.after}")
    if any(one.figure for one in scan.points):
        return ScanEnd(Ending.NOT_REPRODUCED, first, rest, f"{scan.question.metric} never changes beyond noise")
    return ScanEnd(Ending.INCONCLUSIVE, first, rest, "every release is undecided")


@dataclass(frozen=True)
class ChangePoint:
    """Items ``before`` and ``after`` differ, those between are undecided; ``bad`` is the answer of ``after``."""

    before: int
    after: int
    bad: bool


def change_points(answers: Sequence[bool | None]) -> tuple[ChangePoint, ...]:
    """Return where good (False) turns bad (True) and back, in order; None is undecided."""
    known = [(item, answer) for item, answer in enumerate(answers) if answer is not None]
    pairs = pairwise(known)
    return tuple(ChangePoint(before, after, now) for (before, was), (after, now) in pairs if was is not now)


def _figure(name: str | None, results: Sequence[ScenarioResult]) -> Spread | None:
    """Return the figure of a release: that of its scenario with the largest median."""
    values = metric_values(name, results).values() if name else ()
    return spread(max(values, key=median)) if values else None


def _change(points: Sequence[Point], before: int, after: int, bad: bool | None) -> ReleaseChange:
    was, now = points[before].figure, points[after].figure
    return ReleaseChange(
        before=points[before].release,
        after=points[after].release,
        bad=bad,
        between=tuple(one.release for one in points[before + 1 : after]),
        figures=None if was is None or now is None else (was.median, now.median),
    )
