"""Figures for people: which unit a figure has, what its name means, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping

from harness.report.facts import Figure
from harness.verdict.measures import OWN, moved, unit_of
from harness.verdict.noise import Spread

KIB = 1024
NAMES = {
    "allocated": "allocated",
    "allocated_peak": "allocated, peak",
    "reserved": "reserved",
    "reserved_peak": "reserved, peak",
    "reserved_emptied": "reserved, cache emptied",
    "allocated_emptied": "allocated, cache emptied",
    "active": "active",
    "active_peak": "active, peak",
    "device_used": "in use on the device",
    "device_used_emptied": "in use on the device, cache emptied",
    "process_used": "in use by the process",
    "retries": "allocation retries",
    "anon": "anonymous pages",
    "anon_peak": "anonymous pages, peak",
    "anon_added": "anonymous pages, added",
    "file": "file pages",
    "shmem": "shared pages",
}


def figures(measured: Mapping[str, Spread], reference: Mapping[str, Spread]) -> tuple[Figure, ...]:
    """Pair every figure of a box with the reference cell's, in the order they were measured."""
    return tuple(_figure(name, value, reference.get(name)) for name, value in measured.items())


def _figure(full: str, value: Spread, reference: Spread | None) -> Figure:
    head, _, tail = full.partition(".")
    name, phase = (tail, "") if head == OWN else (head, tail)
    unit = unit_of(full)
    return Figure(name, phase, unit, value, reference, reference is not None and moved(full, reference, value))


def figure_name(name: str) -> str:
    """Say a figure's name in words: ``cuda_reserved_peak`` → ``CUDA reserved, peak``."""
    source, _, rest = name.partition("_")
    if source.startswith("cuda") and rest in NAMES:
        return f"CUDA {source.removeprefix('cuda')} {NAMES[rest]}".replace("  ", " ")
    if name == "seconds":
        return "Time"
    if source == "host" and rest in NAMES:
        return f"Host {NAMES[rest]}"
    return name.replace("_", " ")


def human(value: float, unit: str) -> str:
    """Write a figure with a unit a person reads: ``13.83 GiB``, ``412.0 MiB``, ``3.42 s``, ``225``."""
    if unit == "bytes":
        return human_bytes(value)
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:,.4g}" if isinstance(value, float) and not value.is_integer() else f"{value:,.0f}"


def human_bytes(value: float) -> str:
    """Write bytes in the largest unit that leaves a number of one or more."""
    size = abs(value)
    sign = "-" if value < 0 else ""
    if size < KIB:
        return f"{sign}{size:.0f} B"
    for unit, digits in (("KiB", 1), ("MiB", 1), ("GiB", 2)):
        size /= KIB
        if round(size, digits) < KIB or unit == "GiB":
            return f"{sign}{size:.{digits}f} {unit}"
    return f"{value:.0f} B"


def delta(value: float, reference: float | None, unit: str) -> str:
    """Write the difference to the reference with its sign; empty without one or where nothing differs."""
    if reference is None or value == reference:
        return ""
    difference = value - reference
    share = f" ({difference / reference:+.0%})" if reference else ""
    return f"{'+' if difference > 0 else ''}{human(difference, unit)}{share}".replace("-", "−")
