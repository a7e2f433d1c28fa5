"""Figures of attempts: their unit by their name, the bounds of their noise, and whether one moved. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.store.records import AttemptRecord, Status
from harness.verdict.noise import Spread, changed, spread

COUNTS = ("_retries", "_ooms")  # the figures of CUDA that are no bytes
MEMORY_ABSOLUTE = 1024 * 1024  # bytes; below this a difference is the allocator's
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


def spreads(attempts: Sequence[AttemptRecord]) -> dict[str, Spread]:
    """Reduce each figure over all attempts that have it, in the order they were measured.

    Every attempt that was not interrupted counts, whatever its outcome: a load that then fails has still been measured,
    and a figure of fewer attempts says so by its count.
    """
    values: dict[str, list[float]] = {}
    for attempt in attempts:
        if attempt.outcome.status is not Status.MISS:
            for name, value in attempt.figures.items():
                values.setdefault(name, []).append(value)
    return {name: spread(found) for name, found in values.items()}


def moved(name: str, before: Spread, after: Spread) -> bool:
    """Tell whether a figure of this name moved beyond the bounds of its unit and beyond its own spread."""
    unit = unit_of(name)
    absolute, relative = BOUNDS[unit]
    if not unit and not float(after.median).is_integer():
        relative = MEMORY_RELATIVE if QUOTIENT in name else RATIO_RELATIVE
    return changed(before, after, absolute=absolute, relative=relative)


def unit_of(name: str) -> str:
    """Return ``bytes``, ``s`` or nothing, by the name of a figure."""
    head, _, tail = name.partition(".")
    if head.startswith("cuda") and head.endswith(COUNTS):
        return ""
    if head.startswith(("cuda", "host_")) or (head == OWN and tail.endswith(("bytes", "_memory"))):
        return "bytes"
    return "s" if head == "seconds" or (head == OWN and tail.endswith("seconds")) else ""
