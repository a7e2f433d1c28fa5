"""When a figure counts as changed: beyond an absolute and a relative bound and beyond its own spread. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from harness.verdict.compare import figure_changed


@dataclass(frozen=True)
class Spread:
    """One figure over the attempts that measured it, in the figure's own unit."""

    median: float
    low: float
    high: float
    count: int

    @property
    def width(self) -> float:
        """Return how far the attempts lie apart."""
        return self.high - self.low


def spread(values: Sequence[float]) -> Spread:
    """Reduce the values of several attempts.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("a figure that nobody measured has no spread")
    return Spread(median(values), min(values), max(values), len(values))


def changed(before: Spread, after: Spread, *, absolute: float, relative: float) -> bool:
    """Tell whether a figure moved: its median beyond both bounds, and further than either side spreads by itself.

    ``absolute`` is in the figure's unit, ``relative`` a share of the median before.
    """
    moved = abs(after.median - before.median)
    beyond = figure_changed(before.median, after.median, absolute=absolute, relative=relative)
    return beyond and moved > max(before.width, after.width)
