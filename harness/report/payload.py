"""The data that the page carries for its details, as JSON that cannot end the script element it stands in."""

from __future__ import annotations

import json
from typing import Any

from harness.report.figures import delta, figure_name, human
from harness.report.links import tracker_url
from harness.report.views import Box, Column, Figure, ReportContext, Row

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page_data(context: ReportContext) -> str:
    """Return the JSON text; ``<``, ``>``, ``&`` and the line separators of JavaScript are written as escapes."""
    data = {
        "columns": [_column(column) for column in context.columns],
        "rows": [_row(row) for row in context.rows],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter, escape in ESCAPES.items():
        text = text.replace(letter, escape)
    return text


def _column(column: Column) -> dict[str, Any]:
    return {
        "id": column.id,
        "name": column.name,
        "reference": column.reference,
        "comparedWith": column.compared_with,
        "versions": [[each.package, each.here, each.reference] for each in column.differences],
        "pins": column.pins,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "scenario": row.scenario,
        "row": row.report_row,
        "title": row.title,
        "tracker": row.tracker,
        "trackerUrl": tracker_url(row.tracker),
        "boxes": [_box(box) for box in row.boxes],
    }


def _box(box: Box) -> dict[str, Any]:
    everything = {
        "word": box.word,
        "glyph": box.word.glyph,
        "outcome": box.outcome,
        "appliesTo": box.applies_to,
        "change": box.change,
        "simulated": box.simulated,
        "seconds": human(box.seconds, "s") if box.seconds else None,
        "detail": box.detail,
        "signature": _signature(box),
        "frames": box.frames,
        "checks": [[each.held, each.text, each.detail] for each in box.checks],
        "figures": [_figure(each) for each in box.figures],
        "notes": box.notes,
        "tries": [
            [each.number, each.outcome, human(each.seconds, "s"), each.isolation, each.links] for each in box.tries
        ],
        "commands": box.commands,
    }
    return {name: value for name, value in everything.items() if value}


def _signature(box: Box) -> dict[str, str | None] | None:
    known = box.signature
    if known is None:
        return None
    return {
        "id": known.id,
        "rule": known.rule,
        "summary": known.summary if known.rule else None,
        "tracker": known.tracker,
        "trackerUrl": tracker_url(known.tracker),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure_name(figure.name),
        "phase": figure.phase,
        "text": human(figure.value, figure.unit),
        "exact": exact(figure.value, figure.unit),
        "reference": "" if figure.reference is None else human(figure.reference, figure.unit),
        "delta": delta(figure.value, figure.reference, figure.unit),
        "changed": figure.changed,
    }


def exact(value: float, unit: str) -> str:
    """Write a figure with every digit: ``14,847,246,336 bytes``."""
    digits = f"{value:,}" if isinstance(value, int) or not value.is_integer() else f"{int(value):,}"
    return f"{digits} {unit}".rstrip()
