"""Memory figures that moved beyond their noise between two sides. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.verdict.measures import moved, unit_of
from harness.verdict.noise import Spread

MIB = 1024**2
HOST = "host_"
FEW_RELATIVE = 0.10  # two equal nights of transformers 5.2.0 on an H200 lay 7 % apart in reserved memory
ENOUGH = (
    3  # attempts of either side before host memory is judged: two equal CPU runs lay 22 % apart in one attempt each
)


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


def shifts(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> tuple[Shift, ...]:
    """Return the figures in bytes that both sides measured and that moved, by the report's bounds, in their order.

    What the host's allocator keeps varies from run to run: its figures are told only where their spread is known.
    """
    return tuple(one for one in _moved(before, after) if not _unsure(one))


def unsure(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> bool:
    """Tell whether host memory moved beyond the bounds, with too few attempts to say whether that is noise."""
    return any(_unsure(one) for one in _moved(before, after))


def _moved(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> Iterator[Shift]:
    for name in before:
        if name in after and unit_of(name) == "bytes" and moved(name, before[name], after[name]):
            one = Shift(name, before[name], after[name])
            if not _within_noise_of_few(one):
                yield one


def _within_noise_of_few(one: Shift) -> bool:
    """Tell whether so few attempts may lie so far apart by themselves; what is allocated repeats nearly to the byte."""
    few = min(one.before.count, one.after.count) < ENOUGH and "allocated" not in one.name
    share = abs(one.after.median - one.before.median) / one.before.median if one.before.median else math.inf
    return few and share <= FEW_RELATIVE


def _unsure(one: Shift) -> bool:
    return one.name.startswith(HOST) and min(one.before.count, one.after.count) < ENOUGH
