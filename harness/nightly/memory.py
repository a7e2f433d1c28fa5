"""Which memory figures of a place moved beyond noise, and which way: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.nightly.look import Look, Word
from harness.verdict.measures import MEMORY_ABSOLUTE, MEMORY_RELATIVE
from harness.verdict.noise import Spread, changed, spread
from harness.verdict.shifts import ENOUGH, Shift, shifts

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
        if apart and changed(old, new, absolute=MEMORY_ABSOLUTE, relative=MEMORY_RELATIVE):
            found.append(Move(name, old.median, new.median))
    return tuple(found)


def beyond(base: Look, now: Look) -> tuple[Shift, ...]:
    """Return the watched figures that moved from the baseline, on one model of GPU, where both passed.

    Beyond what :func:`moves` asks, a baseline of fewer than three attempts is given the room that ``harness compare``
    gives it, so that what is claimed can be accepted. Of now it is taken that it will be measured three times.
    """
    if base.gpu != now.gpu or "," in now.gpu or base.word is not Word.GREEN or now.word is not Word.GREEN:
        return ()
    moved = {one.figure for one in moves(base.figures, now.figures)}
    before, after = (_watched(look) for look in (base, now))
    sure = {name: replace(one, count=max(one.count, ENOUGH)) for name, one in after.items()}
    return tuple(one for one in shifts(before, sure) if one.name in moved)


def _watched(look: Look) -> dict[str, Spread]:
    return {name: one for name, one in look.spreads().items() if watched(name)}
