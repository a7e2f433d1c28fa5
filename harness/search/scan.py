"""Every release between two ends, with all places where the answer or the figure changes: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from harness.search.change_points import change_points, jumps
from harness.search.criterion import Evaluation, metric_values
from harness.search.question import Question
from harness.search.result import Ending
from harness.store.records import AttemptRecord
from harness.verdict.measures import moved
from harness.verdict.noise import Spread, spread


@dataclass(frozen=True)
class Point:
    """One release: its answer, and its figure where one was asked for and measured."""

    release: str
    judged: Evaluation
    figure: Spread | None = None


@dataclass(frozen=True)
class Change:
    """Between two releases the answer turned (``bad``: what it became), or the figure moved (``bad`` is None).

    The releases ``between`` cannot be told, so that each of them may be the first after the change. ``figures`` are
    the medians of both, where a figure was asked for.
    """

    before: str
    after: str
    bad: bool | None
    between: tuple[str, ...] = ()
    figures: tuple[float, float] | None = None


@dataclass(frozen=True)
class Scan:
    """All releases, ascending; ``bound`` is what the figure must not exceed.

    ``turns`` are changes of the answer, ``moves`` those of the figure that turn no answer.
    """

    question: Question
    points: tuple[Point, ...]
    turns: tuple[Change, ...]
    moves: tuple[Change, ...]
    bound: float | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """Both, in the order of the releases."""
        order = [point.release for point in self.points]
        return tuple(sorted((*self.turns, *self.moves), key=lambda one: order.index(one.after)))


@dataclass(frozen=True)
class Conclusion:
    """How a scan ends, in the words of a bisect."""

    ending: Ending
    before: str
    suspects: tuple[str, ...]
    reason: str = ""


def scanned(
    question: Question,
    attempts: Mapping[str, Sequence[AttemptRecord]],
    judged: Mapping[str, Evaluation],
    bound: float | None,
) -> Scan:
    """Put together what was seen; a release that was not run yet cannot be told."""
    missing = Evaluation(None, "not run yet")
    points = tuple(
        Point(release, judged.get(release, missing), _figure(question.metric, attempts.get(release, ())))
        for release in question.releases
    )
    turns = tuple(
        _change(points, one.before, one.after, one.bad) for one in change_points([one.judged.bad for one in points])
    )
    borders = {(one.before, one.after) for one in turns}
    moves = tuple(
        change
        for before, after in jumps([one.figure for one in points], partial(moved, question.metric or ""))
        if ((change := _change(points, before, after, None)).before, change.after) not in borders
    )
    return Scan(question, points, turns, moves, bound)


def conclusion(scan: Scan) -> Conclusion:
    """Reduce a scan to how it ends.

    =================================================== ===============
    the answer turns as asked, and where is exact       found
    … and something between cannot be told              inconclusive
    no bound was given, and the figure moves            the same two
    nothing that can be told is bad                     not reproduced
    else                                                inconclusive
    =================================================== ===============
    """
    wanted = [one for one in scan.turns if one.bad is not scan.question.find_fix]
    told = {one.judged.bad for one in scan.points} - {None}
    changes = wanted or ([] if told else list(scan.moves))
    first, rest = scan.points[0].release, tuple(one.release for one in scan.points[1:])
    if changes:
        ending = Ending.INCONCLUSIVE if changes[0].between else Ending.FOUND
        return Conclusion(ending, changes[0].before, (*changes[0].between, changes[0].after))
    if told == {False}:
        return Conclusion(Ending.NOT_REPRODUCED, first, rest, "every release that can be told is good")
    if told == {True}:
        return Conclusion(Ending.INCONCLUSIVE, first, rest, "every release that can be told is bad")
    if told:
        after = "good" if scan.question.find_fix else "bad"
        return Conclusion(Ending.INCONCLUSIVE, first, rest, f"no release turns {after}")
    still = any(one.figure for one in scan.points)
    reason = f"{scan.question.metric} moves nowhere beyond noise" if still else "no release can be told"
    return Conclusion(Ending.NOT_REPRODUCED if still else Ending.INCONCLUSIVE, first, rest, reason)


def _figure(name: str | None, attempts: Sequence[AttemptRecord]) -> Spread | None:
    """Return the figure of a release: that of its scenario with the largest median."""
    values = metric_values(name, attempts).values() if name else ()
    return spread(max(values, key=median)) if values else None


def _change(points: Sequence[Point], before: int, after: int, bad: bool | None) -> Change:
    between = tuple(one.release for one in points[before + 1 : after])
    was, now = points[before].figure, points[after].figure
    figures = None if was is None or now is None else (was.median, now.median)
    return Change(points[before].release, points[after].release, bad, between, figures)
