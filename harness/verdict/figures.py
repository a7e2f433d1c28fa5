"""Names, units and sizes of figures as text."""

from __future__ import annotations

from harness.verdict.statistics import OWN

KIB = 1024
CUDA = ("cuda_allocated", "cuda_reserved", "cuda_allocated_peak")
HOST = ("host_anon_peak",)
LOAD = "load"
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


def figure_name(name: str) -> str:
    """Return a figure's readable name: ``cuda_reserved_peak`` → ``CUDA reserved, peak``."""
    source, _, rest = name.partition("_")
    if source.startswith("cuda") and rest in NAMES:
        return f"CUDA {source.removeprefix('cuda')} {NAMES[rest]}".replace("  ", " ")
    if name == "seconds":
        return "Time"
    if source == "host" and rest in NAMES:
        return f"Host {NAMES[rest]}"
    return name.replace("_", " ")


def figure_title(figure: str) -> str:
    """Return a figure's readable name and phase: ``cuda_reserved.load`` → ``CUDA reserved in load``."""
    head, _, tail = figure.partition(".")
    return tail.replace("_", " ") if head == OWN else f"{figure_name(head)}{f' in {tail}' if tail else ''}"


def human(value: float, unit: str) -> str:
    """Return a value with its unit: ``13.83 GiB``, ``412.0 MiB``, ``3.42 s``, ``225``."""
    if unit == "bytes":
        return human_bytes(value)
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:,.4g}" if isinstance(value, float) and not value.is_integer() else f"{value:,.0f}"


def human_bytes(value: float) -> str:
    """Return bytes in the largest unit that leaves a number of at least one."""
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
    """Return the difference from the reference with its sign; empty without a reference or difference."""
    if reference is None or value == reference:
        return ""
    difference = value - reference
    share = f" ({difference / reference:+.0%})" if reference else ""
    return f"{'+' if difference > 0 else ''}{human(difference, unit)}{share}".replace("-", "−")
