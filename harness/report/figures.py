"""The figures of a table cell with those of the reference, and the memory tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.report.model import Figure, MemoryRow, MemoryTable, Row, TableCell
from harness.store.records import Status
from harness.verdict.figures import CUDA, HOST, LOAD
from harness.verdict.statistics import OWN, Spread, moved, unit_of

BF16 = "bf16_bytes"  # recorded by the scenario: the size of its model in bfloat16
UNQUANTIZED = 0.8  # share of the bf16 size; a 4-bit model with its unquantized parts stays well below
GRANULARITY = 64 * 1024**2  # bytes; the ratio is not meaningful below: the allocator takes segments of 2 and 20 MiB


def figures(measured: Mapping[str, Spread], reference: Mapping[str, Spread]) -> tuple[Figure, ...]:
    """Pair every figure with the reference cell's, in the order of measurement."""
    return tuple(_figure(name, value, reference.get(name)) for name, value in measured.items())


def _figure(full: str, value: Spread, reference: Spread | None) -> Figure:
    head, _, tail = full.partition(".")
    name, phase = (tail, "") if head == OWN else (head, tail)
    unit = unit_of(full)
    return Figure(name, phase, unit, value, reference, reference is not None and moved(full, reference, value))


def memory(rows: Sequence[Row]) -> tuple[MemoryTable, ...]:
    """Return one table per scenario that measured memory in any cell, in the order of the rows."""
    return tuple(table for table in map(_table, rows) if table is not None)


def _table(row: Row) -> MemoryTable | None:
    phases = {phase: size for result in row.table_cells for phase, size in _phases(result).items()}
    if not phases:
        return None
    phase = LOAD if LOAD in phases else max(phases, key=lambda each: phases[each])
    measures = tuple(
        name
        for name in (*CUDA, *HOST)
        if any(_find(result, name, phase) for result in row.table_cells if _measured_on(result, name))
    )
    memory_rows = tuple(_memory_row(result, measures, phase) for result in row.table_cells)
    return MemoryTable(row.scenario, row.report_row, row.title, phase, measures, memory_rows)


def _phases(result: TableCell) -> dict[str, float]:
    """Return the largest figure of each phase, of CUDA if measured, else of the host."""
    names = CUDA if any(each.name in CUDA for each in result.figures) else HOST
    found: dict[str, float] = {}
    for each in result.figures:
        if each.name in names:
            found[each.phase] = max(found.get(each.phase, 0), each.value)
    return found


def _measured_on(result: TableCell, name: str) -> bool:
    """Tell whether a measure applies to a result: the host's only without CUDA."""
    on_cuda = any(each.name in CUDA for each in result.figures)
    return (name in CUDA) == on_cuda


def _find(result: TableCell, name: str, phase: str) -> Figure | None:
    return next((each for each in result.figures if (each.name, each.phase) == (name, phase)), None)


def _memory_row(result: TableCell, measures: Sequence[str], phase: str) -> MemoryRow:
    found = [_find(result, name, phase) if _measured_on(result, name) else None for name in measures]
    by_name = dict(zip(measures, found, strict=True))
    allocated, reserved, peak = (_value(by_name.get(name)) for name in CUDA)
    size = _value(_find(result, BF16, ""))
    return MemoryRow(
        cell=result.cell,
        status=result.status or Status.MISS,
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
    """Tell whether a load reserved about the size of the unquantized model, but allocated less."""
    return reserved >= UNQUANTIZED * size > allocated and reserved - allocated > GRANULARITY
