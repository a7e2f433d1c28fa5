"""Which memory figures of a place moved beyond noise, and which way: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.store.records import Status
from harness.verdict.result import ScenarioResult
from harness.verdict.statistics import ENOUGH, Shift, Spread, memory_shifts, moved, spread

ALLOCATOR = ("allocated", "allocated_peak", "reserved", "reserved_peak", "active", "active_peak")
OWN_BYTES = ("bytes", "_memory")  # endings of a scenario's own figures (``x.``) that are memory


@dataclass(frozen=True)
class Move:
    """One figure that moved: its name, and the median before and now, in bytes."""

    figure: str
    before: float
    now: float

    @property
    def up(self) -> bool:
        """Tell whether it is more than before."""
        return self.now > self.before


def watched(name: str) -> bool:
    """Tell whether a figure is one whose change is claimed: the allocator's on any GPU, a scenario's own bytes.

    What the driver or the host says is in use is left out: others have a part in it.
    """
    source, _, rest = name.partition(".")
    if source == "x":
        return rest.endswith(OWN_BYTES)
    return source.startswith("cuda") and any(source.endswith(f"_{one}") for one in ALLOCATOR)


def moves(before: Mapping[str, Sequence[float]], now: Mapping[str, Sequence[float]]) -> tuple[Move, ...]:
    """Return the watched figures that moved.

    The median has to move beyond 1 MiB, beyond 5 % and beyond what either side spreads by itself, and no value of now
    may lie among the earlier ones. ``before`` holds the values of several nights, so that a figure that is noisy from
    night to night is given the room it takes.
    """
    found = []
    for name in now:
        if not watched(name) or not now[name] or not before.get(name):
            continue
        old, new = spread(before[name]), spread(now[name])
        apart = new.low > old.high or new.high < old.low
        if apart and moved(name, old, new):
            found.append(Move(name, old.median, new.median))
    return tuple(found)


def beyond(base: ScenarioResult, now: ScenarioResult) -> tuple[Shift, ...]:
    """Return the watched figures that moved from the baseline, on one model of GPU, where both passed.

    Beyond what :func:`moves` asks, a baseline of fewer than three attempts is given the room that ``harness compare``
    gives it, so that what is claimed can be accepted. Of now it is taken that it will be measured three times.
    """
    if base.gpu != now.gpu or "," in now.gpu or base.status is not Status.PASS or now.status is not Status.PASS:
        return ()
    found = {one.figure for one in moves(base.values, now.values)}
    before, after = (_watched(one) for one in (base, now))
    sure = {name: replace(one, count=max(one.count, ENOUGH)) for name, one in after.items()}
    return tuple(one for one in memory_shifts(before, sure) if one.name in found)


def _watched(result: ScenarioResult) -> dict[str, Spread]:
    return {name: one for name, one in result.figures.items() if watched(name)}
