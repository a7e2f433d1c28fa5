"""What tells good from bad, as the command line says it: any failure, one signature, or a figure above a bound."""

from __future__ import annotations

import re

from harness.store.records import Record


class Criterion(Record):
    """What counts as bad; without anything set, any failure does.

    ``signature`` and ``good_signature`` are names of rules or whole signatures. ``good_signature`` is a failure that
    counts as good: the one that was asked for is gone, and another stands behind it. ``factor`` times the figure of the
    good end, or ``limit``, is what ``metric`` must not exceed.
    """

    signature: str | None = None
    good_signature: str | None = None
    metric: str | None = None
    factor: float | None = None
    limit: int | None = None  # bytes, or the figure's own unit

    def words(self) -> tuple[str, ...]:
        """Return the options of the command line that say the same."""
        above = f"{self.factor:g}x" if self.factor is not None else self.limit
        return (
            *(("--signature", self.signature) if self.signature else ()),
            *(("--good-signature", self.good_signature) if self.good_signature else ()),
            *(("--metric", self.metric) if self.metric else ()),
            *(("--above", str(above)) if self.metric and above is not None else ()),
        )


def is_factor(text: str) -> float | None:
    """Read a factor (``1.5x``); None where the text is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x", text)
    return float(match[1]) if match else None
