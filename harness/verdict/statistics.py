"""Figures of attempts: their unit, their spread, and whether one moved beyond its noise. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Value = TypeVar("Value")

MIB = 1024**2
COUNTS = ("_retries", "_ooms")  # the figures of CUDA that are no bytes
MEMORY_ABSOLUTE = MIB  # bytes; below this a difference is the allocator's
MEMORY_RELATIVE = 0.05
SECONDS_ABSOLUTE = 1.0
SECONDS_RELATIVE = 0.25
RATIO_RELATIVE = 0.01  # of figures without a unit that are no whole numbers: shares, cosines, distances
QUOTIENT = "_over_"  # of two figures of memory, which vary as memory does: ``x.reserved_over_allocated``
BOUNDS = {  # unit -> absolute, relative; counts are exact
    "bytes": (MEMORY_ABSOLUTE, MEMORY_RELATIVE),
    "s": (SECONDS_ABSOLUTE, SECONDS_RELATIVE),
    "": (0.0, 0.0),
}
OWN = "x"  # a scenario's own figures are named ``x.<name>``
HOST = "host_"
FEW_RELATIVE = 0.10  # two equal runs of transformers 5.2.0 on an H200 differed by 7 % in reserved memory
ENOUGH = 3  # attempts before host memory is judged: two equal CPU runs lay 22 % apart in one attempt each


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
        raise ValueError("a figure without values has no spread")
    return Spread(median(values), min(values), max(values), len(values))


def unit_of(name: str) -> str:
    """Return the unit of a figure by its name: ``bytes``, ``s`` or empty."""
    head, _, tail = name.partition(".")
    if head.startswith("cuda") and head.endswith(COUNTS):
        return ""
    if head.startswith(("cuda", HOST)) or (head == OWN and tail.endswith(("bytes", "_memory"))):
        return "bytes"
    return "s" if head == "seconds" or (head == OWN and tail.endswith("seconds")) else ""


def exceeds(before: float, after: float, *, absolute: float, relative: float) -> bool:
    """Tell whether two values differ by more than both bounds: ``absolute`` in their unit, ``relative`` to ``before``.

    Both bounds must be exceeded, so that neither 4 KiB more on 4 KiB nor 10 MiB more on 10 GiB counts as a change.
    """
    difference = abs(after - before)
    return difference > absolute and difference > relative * abs(before)


def moved(name: str, before: Spread, after: Spread) -> bool:
    """Tell whether a figure moved: its median by more than the bounds of its unit and than either side's own spread."""
    unit = unit_of(name)
    absolute, relative = BOUNDS[unit]
    if not unit and not float(after.median).is_integer():
        relative = MEMORY_RELATIVE if QUOTIENT in name else RATIO_RELATIVE
    beyond = exceeds(before.median, after.median, absolute=absolute, relative=relative)
    return beyond and abs(after.median - before.median) > max(before.width, after.width)


@dataclass(frozen=True)
class Shift:
    """One memory figure that moved; bytes."""

    name: str
    before: Spread
    after: Spread

    @property
    def up(self) -> bool:
        """Tell whether it grew."""
        return self.after.median > self.before.median

    def __str__(self) -> str:
        """Write ``cuda_reserved.load 412.0 → 824.0 MiB (+100 %)``."""
        old, new = self.before.median, self.after.median
        share = f" ({(new - old) / old:+.0%})".replace("%", " %") if old > 0 else ""
        return f"{self.name} {old / MIB:,.1f} → {new / MIB:,.1f} MiB{share}"


def memory_shifts(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> tuple[Shift, ...]:
    """Return the figures in bytes that both sides measured and that moved, in the order of ``before``.

    What the host's allocator keeps varies from run to run: its figures count from ``ENOUGH`` attempts on.
    """
    return tuple(one for one in _memory_moved(before, after) if not _is_uncertain(one))


def has_uncertain_shift(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> bool:
    """Tell whether host memory moved beyond the bounds with too few attempts to know its noise."""
    return any(_is_uncertain(one) for one in _memory_moved(before, after))


def _memory_moved(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> Iterator[Shift]:
    for name in before:
        if name in after and unit_of(name) == "bytes" and moved(name, before[name], after[name]):
            one = Shift(name, before[name], after[name])
            if not _is_noise_of_few(one):
                yield one


def _is_noise_of_few(one: Shift) -> bool:
    """Tell whether so few attempts may lie so far apart by chance; allocated memory repeats nearly to the byte."""
    few = min(one.before.count, one.after.count) < ENOUGH and "allocated" not in one.name
    share = abs(one.after.median - one.before.median) / one.before.median if one.before.median else math.inf
    return few and share <= FEW_RELATIVE


def _is_uncertain(one: Shift) -> bool:
    return one.name.startswith(HOST) and min(one.before.count, one.after.count) < ENOUGH


def steps(
    values: Sequence[Value | None], differs: Callable[[Value, Value], bool], *, outliers: bool = False
) -> tuple[tuple[int, int], ...]:
    """Return each step of a series as the last index before it and the first index after it, in order.

    ============================================ ================== ========================
    values (``differs`` is ``!=``)               steps              with ``outliers``
    ============================================ ================== ========================
    ``1 1 2 2``                                  one, to the 2      the same
    ``1 1 2 1 1``                                none               two, to 2 and back to 1
    ``1 1 2``                                    one, to the last   the same
    ``1 1 2 3 3``                                two, to 2 and 3    the same
    ``1 1 None 2 2``                             one, over the gap  the same
    ============================================ ================== ========================

    Each value is compared with the value at the last step, so that a slow drift counts too. The index before is the
    last one with a value.

    Args:
        values: the series; None where the value is unknown.
        differs: whether two values differ beyond noise, the earlier one first.
        outliers: whether a single outlier counts.
    """
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    found: list[tuple[int, int]] = []
    if not known:
        return ()
    level = known[0][1]
    for position in range(1, len(known)):
        index, value = known[position]
        if not differs(level, value):
            continue
        back = not outliers and position + 1 < len(known) and not differs(level, known[position + 1][1])
        if not back:
            found.append((known[position - 1][0], index))
            level = value

    return tuple(found)
