"""Figures for people: which unit a figure has, what its name means, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.report.model import Box, Figure, MemoryLine, MemoryTable, Row
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


CUDA = ("cuda_allocated", "cuda_reserved", "cuda_allocated_peak")


HOST = ("host_anon_peak",)


LOAD = "load"


BF16 = "bf16_bytes"  # what the scenario recorded as the size of its model in bfloat16


UNQUANTIZED = 0.8  # share of the bf16 size; a 4-bit model with its unquantized parts stays well below


GRANULARITY = 64 * 1024**2  # bytes; the allocator takes segments of 2 and 20 MiB: below this its ratio means nothing


def memory(rows: Sequence[Row]) -> tuple[MemoryTable, ...]:
    """Return one table per scenario that measured memory in any cell, in the order of the rows."""
    return tuple(table for table in map(_table, rows) if table is not None)


def _table(row: Row) -> MemoryTable | None:
    phases = {phase: size for box in row.boxes for phase, size in _phases(box).items()}
    if not phases:
        return None
    phase = LOAD if LOAD in phases else max(phases, key=lambda each: phases[each])
    measures = tuple(
        name for name in (*CUDA, *HOST) if any(_find(box, name, phase) for box in row.boxes if _measured_on(box, name))
    )
    lines = tuple(_line(box, measures, phase) for box in row.boxes)
    return MemoryTable(row.scenario, row.report_row, row.title, phase, measures, lines)


def _phases(box: Box) -> dict[str, float]:
    """Return the largest figure of each phase, CUDA's before the host's."""
    names = CUDA if any(each.name in CUDA for each in box.figures) else HOST
    found: dict[str, float] = {}
    for each in box.figures:
        if each.name in names:
            found[each.phase] = max(found.get(each.phase, 0), each.value)
    return found


def _measured_on(box: Box, name: str) -> bool:
    """Tell whether a measure is one of the box's: the host's stands only where there is no CUDA."""
    on_cuda = any(each.name in CUDA for each in box.figures)
    return (name in CUDA) == on_cuda


def _find(box: Box, name: str, phase: str) -> Figure | None:
    return next((each for each in box.figures if (each.name, each.phase) == (name, phase)), None)


def _line(box: Box, measures: Sequence[str], phase: str) -> MemoryLine:
    found = [_find(box, name, phase) if _measured_on(box, name) else None for name in measures]
    by_name = dict(zip(measures, found, strict=True))
    allocated, reserved, peak = (_value(by_name.get(name)) for name in CUDA)
    size = _value(_find(box, BF16, ""))
    return MemoryLine(
        cell=box.cell,
        word=box.word,
        figures=tuple(found),
        ratio=reserved / allocated if reserved and allocated else None,
        bf16=size,
        reserved_share=reserved / size if reserved and size else None,
        peak_share=peak / size if peak and size else None,
        as_unquantized=bool(allocated and reserved and size and _as_unquantized(allocated, reserved, size)),
    )


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.value


def _as_unquantized(allocated: float, reserved: float, size: float) -> bool:
    """Tell whether a load reserved about what the unquantized model takes, though it allocated less."""
    return reserved >= UNQUANTIZED * size > allocated and reserved - allocated > GRANULARITY
