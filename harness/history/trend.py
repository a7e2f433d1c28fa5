"""The trend of a series over nightly runs: its streak, its version changes, and every change that lasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.history.model import Measured, Night, Track
from harness.store.records import Status
from harness.verdict.figures import CUDA, HOST, LOAD, delta, figure_title, human
from harness.verdict.package_diff import package_diff
from harness.verdict.result import RED, outcome_text, status_of
from harness.verdict.statistics import OWN, Spread, moved, steps, unit_of

SECONDS = "seconds"
RESULT = ("outcome", "signature")  # names of changes that are not figures
NOT_GREEN = RED | {Status.FLAKY}
Name = Callable[[str], str]  # signature → name of its rule, or itself


@dataclass(frozen=True)
class TrendChange:
    """One change that lasted. ``name`` is ``outcome``, ``signature`` or a figure; ``index`` is that of ``night``."""

    name: str
    index: int
    night: Night  # the first one after the change
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
    """One track over its nights, oldest first.

    ``streak`` is the number of nights with the same status as the last one; nights without a result are skipped.
    """

    track: Track
    nights: tuple[Night, ...]
    statuses: tuple[Status, ...]  # one per night
    streak: int
    since: Night | None  # the first night of the streak
    changed_by: tuple[str, ...]  # the versions that changed on that night
    figures: tuple[str, ...]  # those of the charts: memory of one phase, then seconds
    changes: tuple[TrendChange, ...]

    @property
    def status(self) -> Status:
        """Return the newest status with a result."""
        return next((status for status in reversed(self.statuses) if status is not Status.MISS), Status.MISS)

    @property
    def is_notable(self) -> bool:
        """Tell whether the trend changed, is not green, or lacks the newest result."""
        return bool(self.changes) or self.status in NOT_GREEN or self.statuses[-1] is Status.MISS

    def newest(self, figure: str) -> Measured | None:
        """Return the newest value of a figure."""
        return next((night.figures[figure] for night in reversed(self.nights) if figure in night.figures), None)

    def last_change(self, figure: str) -> TrendChange | None:
        """Return the last change of a figure."""
        return next((change for change in reversed(self.changes) if change.name == figure), None)


def trend(track: Track, nights: Sequence[Night], name: Name = str) -> Trend:
    """Return the trend of at least one night, oldest first."""
    statuses = tuple(status_of(night.outcomes) for night in nights)
    streak, first = _streak(statuses)
    earlier = [night for night, status in zip(nights[:first], statuses, strict=False) if status is not Status.MISS]
    changes = [*_result_changes(nights, statuses, name), *_figure_changes(nights)]
    return Trend(
        track=track,
        nights=tuple(nights),
        statuses=statuses,
        streak=streak,
        since=nights[first] if streak else None,
        changed_by=version_changes(earlier[-1], nights[first]) if earlier and streak else (),
        figures=charted_figures(nights),
        changes=tuple(sorted(changes, key=lambda change: change.index)),
    )


def _streak(statuses: Sequence[Status]) -> tuple[int, int]:
    """Return the length of the last streak, and the index of its first night."""
    known = [index for index, status in enumerate(statuses) if status is not Status.MISS]
    length = 0
    for index in reversed(known):
        if statuses[index] is not statuses[known[-1]]:
            break
        length += 1
    return length, known[-length] if length else len(statuses)


def _result_changes(nights: Sequence[Night], statuses: Sequence[Status], name: Name) -> list[TrendChange]:
    """Return the changes of the outcome, and of the signature if the outcome stayed."""
    states = [
        None if status is Status.MISS else (status, _outcome(night), name(night.signature))
        for night, status in zip(nights, statuses, strict=True)
    ]
    found = []
    for before, after in steps(states, lambda one, other: one != other):
        old, new = states[before], states[after]
        if old is None or new is None:
            continue
        what, sides = ("outcome", (old[1], new[1])) if old[1] != new[1] else ("signature", (old[2], new[2]))
        worse = None if (new[0] in NOT_GREEN) == (old[0] in NOT_GREEN) else new[0] in NOT_GREEN
        found.append(_change(what, nights, before, after, sides, worse))
    return found


def _outcome(night: Night) -> str:
    flaky = status_of(night.outcomes) is Status.FLAKY
    return f"flaky ({len(night.outcomes)} attempts)" if flaky else outcome_text(night.outcomes)


def _figure_changes(nights: Sequence[Night]) -> list[TrendChange]:
    found = []
    for figure in tracked_figures(nights):
        values = [_spread(night, figure) for night in nights]
        for before, after in steps(values, lambda one, other, figure=figure: moved(figure, one, other)):  # type: ignore[misc]
            old, new = values[before], values[after]
            if old is None or new is None:
                continue
            unit = unit_of(figure)
            value, difference = human(new.median, unit), delta(new.median, old.median, unit)
            sides = (human(old.median, unit), f"{value}, {difference}" if difference else value)
            worse = new.median > old.median if unit else None
            found.append(_change(figure, nights, before, after, sides, worse))
    return found


def _spread(night: Night, figure: str) -> Spread | None:
    measured = night.figures.get(figure)
    return None if measured is None else Spread(*measured)


def _change(  # the parts of a change
    name: str, nights: Sequence[Night], before: int, after: int, sides: tuple[str, str], worse: bool | None
) -> TrendChange:
    versions = version_changes(nights[before], nights[after])
    return TrendChange(name, after, nights[after], *sides, versions=versions, worse=worse)


def tracked_figures(nights: Sequence[Night]) -> tuple[str, ...]:
    """Return the figures that are searched for changes: memory of every phase, seconds, and the scenario's own."""
    alike = dict.fromkeys(tuple(night.figures) for night in nights)  # most nights measure the same
    names = dict.fromkeys(name for each in alike for name in each)
    memory = CUDA if any(name.partition(".")[0] in CUDA for name in names) else HOST
    return tuple(name for name in names if name == SECONDS or name.partition(".")[0] in {*memory, OWN})


def charted_figures(nights: Sequence[Night]) -> tuple[str, ...]:
    """Return the figures of the charts: memory of the load, else of the largest phase, and seconds."""
    names = [name for name in tracked_figures(nights) if name.partition(".")[0] not in {OWN, SECONDS}]
    phases: dict[str, float] = {}
    for night in reversed(nights):
        if phases:
            break
        phases = {name.partition(".")[2]: night.figures[name].median for name in names if name in night.figures}
    if not phases:
        return (SECONDS,)
    phase = LOAD if LOAD in phases else max(phases, key=lambda each: phases[each])
    order = {name: index for index, name in enumerate((*CUDA, *HOST))}
    chosen = [name for name in names if name.partition(".")[2] == phase]
    return (*sorted(chosen, key=lambda name: order[name.partition(".")[0]]), SECONDS)


def version_changes(before: Night, after: Night) -> tuple[str, ...]:
    """Return the version changes between two nights, packages of the series first.

    A package built from a commit is compared by its commit, and by its version if that stayed the same.
    """
    if before.versions is after.versions and before.built is after.built:
        return ()
    found = [*package_diff(before.versions, after.versions), *package_diff(before.exact, after.exact)]
    changes = {change.package: change for change in found}
    ordered = sorted(changes, key=lambda name: (f"{name}=" not in after.line, name))
    return tuple(str(changes[name]) for name in ordered)
