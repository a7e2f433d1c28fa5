"""Memory figures that moved beyond their noise between two sides. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.verdict.measures import moved, unit_of
from harness.verdict.noise import Spread

MIB = 1024**2


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
        share = f" ({(new - old) / old:+.0%})".replace("%", " %") if old else ""
        return f"{self.name} {old / MIB:,.1f} → {new / MIB:,.1f} MiB{share}"


def shifts(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> tuple[Shift, ...]:
    """Return the figures in bytes that both sides measured and that moved, by the report's bounds, in their order."""
    both = (name for name in before if name in after and unit_of(name) == "bytes")
    found = (Shift(name, before[name], after[name]) for name in both)
    return tuple(one for one in found if moved(one.name, one.before, one.after))
