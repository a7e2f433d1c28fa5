"""The trend of a series over runs: its streak, its version changes, and every change that lasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.history.query import SeriesKey, SeriesResult
from harness.store.records import Status
from harness.verdict.figures import CUDA, HOST, LOAD, delta, figure_title, human
from harness.verdict.package_diff import package_diff
from harness.verdict.result import NOT_PASSED, outcome_text, status_of
from harness.verdict.statistics import OWN, Spread, moved, steps, unit_of

SECONDS = "seconds"
RESULT = ("outcome", "signature")  # names of changes that are not figures
FAILING = NOT_PASSED | {Status.FLAKY}
Name = Callable[[str], str]  # signature → name of its rule, or itself


@dataclass(frozen=True)
class TrendChange:
    """One change that lasted. ``name`` is ``outcome``, ``signature`` or a figure; ``index`` is that of ``result``."""

    name: str
    index: int
    result: SeriesResult  # the first one after the change
    before: str
    after: str
    versions: tuple[str, ...]  # ``transformers 5.1.0 → 5.2.0``, packages of the series first
    worse: bool | None = None  # None if neither is better

    @property
    def sentence(self) -> str:
        """Return the change in words."""
        name = self.name if self.name in RESULT else figure_title(self.name)
        return f"{name}: {self.before} → {self.after}"


@dataclass(frozen=True)
class Trend:
    """One series over its runs, oldest first.

    Attributes:
        key: the series.
        results: one per run.
        statuses: one per result.
        streak: the number of results with the same status as the last one; missing ones are skipped.
        since: the first result of the streak; None if all are missing.
        changed_by: the versions that changed with that result.
        figures: those of the charts: memory of one phase, then seconds.
        changes: all changes that lasted.
    """

    key: SeriesKey
    results: tuple[SeriesResult, ...]
    statuses: tuple[Status, ...]
    streak: int
    since: SeriesResult | None
    changed_by: tuple[str, ...]
    figures: tuple[str, ...]
    changes: tuple[TrendChange, ...]

    @property
    def status(self) -> Status:
        """Return the newest status with a result."""
        return next((status for status in reversed(self.statuses) if status is not Status.MISS), Status.MISS)

    @property
    def is_notable(self) -> bool:
        """Tell whether the trend changed, is failing or flaky, or lacks the newest result."""
        return bool(self.changes) or self.status in FAILING or self.statuses[-1] is Status.MISS

    def newest(self, figure: str) -> Spread | None:
        """Return the newest value of a figure."""
        return next((one.figures[figure] for one in reversed(self.results) if figure in one.figures), None)

    def last_change(self, figure: str) -> TrendChange | None:
        """Return the last change of a figure."""
        return next((change for change in reversed(self.changes) if change.name == figure), None)


def trend(key: SeriesKey, results: Sequence[SeriesResult], name: Name = str) -> Trend:
    """Return the trend of a series with at least one result, oldest first."""
    statuses = tuple(status_of(one.outcomes) for one in results)
    streak, first = _streak(statuses)
    earlier = [one for one, status in zip(results[:first], statuses, strict=False) if status is not Status.MISS]
    changes = [*_result_changes(results, statuses, name), *_figure_changes(results)]
    return Trend(
        key=key,
        results=tuple(results),
        statuses=statuses,
        streak=streak,
        since=results[first] if streak else None,
        changed_by=version_changes(earlier[-1], results[first]) if earlier and streak else (),
        figures=charted_figures(results),
        changes=tuple(sorted(changes, key=lambda change: change.index)),
    )


def _streak(statuses: Sequence[Status]) -> tuple[int, int]:
    """Return the length of the last streak, and the index of its first result."""
    known = [index for index, status in enumerate(statuses) if status is not Status.MISS]
    length = 0
    for index in reversed(known):
        if statuses[index] is not statuses[known[-1]]:
            break
        length += 1
    return length, known[-length] if length else len(statuses)


def _result_changes(results: Sequence[SeriesResult], statuses: Sequence[Status], name: Name) -> list[TrendChange]:
    """Return the changes of the outcome, and of the signature if the outcome stayed."""
    states = [
        None if status is Status.MISS else (status, _outcome(one), name(one.signature))
        for one, status in zip(results, statuses, strict=True)
    ]
    found = []
    for before, after in steps(states, lambda one, other: one != other):
        old, new = states[before], states[after]
        if old is None or new is None:
            continue
        what, sides = ("outcome", (old[1], new[1])) if old[1] != new[1] else ("signature", (old[2], new[2]))
        worse = None if (new[0] in FAILING) == (old[0] in FAILING) else new[0] in FAILING
        found.append(_change(what, results, before, after, sides, worse))

    return found


def _outcome(result: SeriesResult) -> str:
    flaky = status_of(result.outcomes) is Status.FLAKY
    return f"flaky ({len(result.outcomes)} attempts)" if flaky else outcome_text(result.outcomes)


def _figure_changes(results: Sequence[SeriesResult]) -> list[TrendChange]:
    found = []
    for figure in tracked_figures(results):
        values = [one.figures.get(figure) for one in results]
        for before, after in steps(values, lambda one, other, figure=figure: moved(figure, one, other)):  # type: ignore[misc]
            old, new = values[before], values[after]
            if old is None or new is None:
                continue
            unit = unit_of(figure)
            value, difference = human(new.median, unit), delta(new.median, old.median, unit)
            sides = (human(old.median, unit), f"{value}, {difference}" if difference else value)
            worse = new.median > old.median if unit else None
            found.append(_change(figure, results, before, after, sides, worse))

    return found


def _change(  # the parts of a change
    name: str, results: Sequence[SeriesResult], before: int, after: int, sides: tuple[str, str], worse: bool | None
) -> TrendChange:
    versions = version_changes(results[before], results[after])
    return TrendChange(name, after, results[after], *sides, versions=versions, worse=worse)


def tracked_figures(results: Sequence[SeriesResult]) -> tuple[str, ...]:
    """Return the figures that are searched for changes: memory of every phase, seconds, and the scenario's own."""
    alike = dict.fromkeys(tuple(one.figures) for one in results)  # most results have the same figures
    names = dict.fromkeys(name for each in alike for name in each)
    memory = CUDA if any(name.partition(".")[0] in CUDA for name in names) else HOST
    return tuple(name for name in names if name == SECONDS or name.partition(".")[0] in {*memory, OWN})


def charted_figures(results: Sequence[SeriesResult]) -> tuple[str, ...]:
    """Return the figures of the charts: memory of the load, else of the largest phase, and seconds."""
    names = [name for name in tracked_figures(results) if name.partition(".")[0] not in {OWN, SECONDS}]
    phases: dict[str, float] = {}
    for one in reversed(results):
        if phases:
            break
        phases = {name.partition(".")[2]: one.figures[name].median for name in names if name in one.figures}

    if not phases:
        return (SECONDS,)
    phase = LOAD if LOAD in phases else max(phases, key=lambda each: phases[each])
    order = {name: index for index, name in enumerate((*CUDA, *HOST))}
    chosen = [name for name in names if name.partition(".")[2] == phase]
    return (*sorted(chosen, key=lambda name: order[name.partition(".")[0]]), SECONDS)


def version_changes(before: SeriesResult, after: SeriesResult) -> tuple[str, ...]:
    """Return the version changes between two results, packages of the series first.

    A package built from a commit is compared by its commit, and by its version if that stayed the same.
    """
    if before.versions is after.versions and before.built is after.built:
        return ()
    found = [*package_diff(before.versions, after.versions), *package_diff(before.exact_versions, after.exact_versions)]
    changes = {change.package: change for change in found}
    ordered = sorted(changes, key=lambda name: (f"{name}=" not in after.key.series, name))
    return tuple(str(changes[name]) for name in ordered)
