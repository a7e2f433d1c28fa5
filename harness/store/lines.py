"""Cell-lines: what a cell is over nights, whatever ``latest`` or ``dev`` mean on one of them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.matrix.cell import lasting
from harness.store.records import CellRecord


def line_of(cell: CellRecord, matrix: str = "") -> str:
    """Return the line of a cell: ``transformers=latest accelerate=1.13.0``.

    Runs from before lines were kept have their labels instead, without commits; there ``latest`` is the version it was.
    A cell in which nothing varies is called like its ``matrix``, or by its id where nobody says that.
    """
    kept = cell.line or " ".join(f"{axis}={lasting(label)}" for axis, label in cell.labels.items())
    return kept or matrix or cell.id


def lines_of(cells: Sequence[CellRecord], matrix: str = "") -> dict[str, str]:
    """Return cell id → line, no two alike.

    In a run that was planned on several days (merged, or extended) two cells can be ``latest``: the one that was
    planned last is, and the others carry their id behind it.
    """
    last = {line_of(cell, matrix): cell.id for cell in cells}
    return {
        cell.id: line if last[line] == cell.id else f"{line} ({cell.id})"
        for cell in cells
        for line in [line_of(cell, matrix)]
    }
