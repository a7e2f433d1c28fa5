"""Columns of the table: cells grouped by axis, each with the reference cell it is compared with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from harness.report.views import Column, HeaderBox, HeaderRow, VersionDifference
from harness.store.records import CellRecord, RunRecord


def ordered_cells(run: RunRecord) -> list[CellRecord]:
    """Sort cells so that equal labels lie together, the first axis outermost; labels keep the matrix's order."""
    places = [labels_of(run, axis) for axis in run.axes]
    return sorted(
        run.cells,
        key=lambda cell: tuple(order.index(label(cell, axis)) for axis, order in zip(run.axes, places, strict=True)),
    )


def labels_of(run: RunRecord, axis: str) -> list[str]:
    """Return the labels of one axis in the order of the cells."""
    return list(dict.fromkeys(label(cell, axis) for cell in run.cells))


def label(cell: CellRecord, axis: str) -> str:
    """Return what a cell has on an axis, empty where it has nothing."""
    return cell.labels.get(axis, "")


def reference_of(cell: CellRecord, run: RunRecord) -> CellRecord | None:
    """Return the reference cell that shares most labels with ``cell``; None for a reference cell itself."""
    candidates = [] if cell.reference else [each for each in run.cells if each.reference]
    return max(candidates, key=lambda each: sum(label(each, a) == label(cell, a) for a in run.axes), default=None)


def columns(run: RunRecord, unavailable: Mapping[str, str]) -> tuple[Column, ...]:
    """Make the columns in their order; ``unavailable`` maps cell ids to why nothing could run there."""
    return tuple(_column(cell, run, unavailable.get(cell.id)) for cell in ordered_cells(run))


def _column(cell: CellRecord, run: RunRecord, unavailable: str | None) -> Column:
    reference = reference_of(cell, run)
    return Column(
        id=cell.id,
        labels=tuple(label(cell, axis) for axis in run.axes),
        name=" · ".join(f"{axis} {label(cell, axis) or '–'}" for axis in run.axes) or cell.id,
        reference=cell.reference,
        compared_with=reference.id if reference else None,
        unavailable=unavailable or cell.unsolvable,
        pins=tuple({**cell.pins, "python": cell.python, **cell.variables}.items()),
        differences=version_differences(cell, reference) if reference else (),
    )


def version_differences(cell: CellRecord, reference: CellRecord) -> tuple[VersionDifference, ...]:
    """Return the packages whose versions differ, pinned ones first; empty where one side was never locked."""
    if not cell.versions or not reference.versions:
        return ()
    here, there = cell.versions, reference.versions
    names = sorted({*here, *there}, key=lambda name: (name not in cell.pins, name))
    return tuple(
        VersionDifference(name, here.get(name), there.get(name)) for name in names if here.get(name) != there.get(name)
    )


def pinned_packages(found: Sequence[Column]) -> list[str]:
    """Return what is pinned in any of the columns, in the order of the first that pins it."""
    return list(dict.fromkeys(name for column in found for name, _ in column.pins))


def header(found: Sequence[Column], axes: Sequence[str]) -> tuple[HeaderRow, ...]:
    """Merge neighbouring columns that share a label on an axis and on every axis outside it."""
    rows = []
    for depth, axis in enumerate(axes, start=1):
        runs = itertools.groupby(found, key=lambda column, depth=depth: column.labels[:depth])  # type: ignore[misc]
        boxes = []
        for labels, members in runs:
            run = list(members)
            boxes.append(HeaderBox(labels[-1] or "–", len(run), any(column.reference for column in run)))
        rows.append(HeaderRow(axis, tuple(boxes)))
    return tuple(rows)
