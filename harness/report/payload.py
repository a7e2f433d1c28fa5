"""The data that the page carries for its details, as JSON that cannot end the script element it stands in.

Small, for a page of fifty scenarios by twelve cells has to stay under a megabyte: figures are bare numbers in the order
of their row's names and relative to the box before, the reference's are looked up in its own box, and what many boxes
say stands once under ``shared``.
"""

from __future__ import annotations

import itertools
import json
import posixpath
import shlex
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any
from urllib.parse import quote

from harness.report.boxes import command_templates, test_of
from harness.report.facts import Figure, Known, Placed
from harness.report.figures import figure_name, human
from harness.report.links import tracker_url
from harness.report.views import Box, Column, ReportContext, Row

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
Base = dict[tuple[str, str, str], float]  # (name, phase, unit) of a row's figures -> a box's
Places = dict[tuple[str, str, str], int]  # (name, phase, unit) of a figure -> its place in the page's list


PASSED = "pass:check"  # what most boxes say: the page fills it in


class Shared:
    """Values that boxes have in common, each kept once and named by its place."""

    def __init__(self) -> None:
        """Begin empty."""
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def put(self, value: Any) -> int | None:
        """Return the place of a value, None for an empty one."""
        if not value:
            return None
        text = json.dumps(value, ensure_ascii=False)
        if text not in self._places:
            self._places[text] = len(self.values)
            self.values.append(value)
        return self._places[text]


def page_data(context: ReportContext) -> str:
    """Return the JSON text; ``<``, ``>``, ``&`` and the line separators of JavaScript are written as escapes."""
    shared, places = Shared(), _places(context.rows)
    data = {
        "columns": [_column(column) for column in context.columns],
        "figures": [[figure_name(name), phase, unit] for name, phase, unit in places],
        "rows": [_row(row, shared, places) for row in context.rows],
        "commands": command_templates(context.matrix_file),
        "shared": shared.values,
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter, escape in ESCAPES.items():
        text = text.replace(letter, escape)
    return text


def _places(rows: Sequence[Row]) -> Places:
    names = ((each.name, each.phase, each.unit) for row in rows for box in row.boxes for each in box.figures)
    return {key: place for place, key in enumerate(dict.fromkeys(names))}


def _column(column: Column) -> dict[str, Any]:
    return {
        "id": column.id,
        "cell": shlex.quote(column.id),
        "folder": quote(f"cells/{column.id}/"),
        "name": column.name,
        "reference": column.reference,
        "comparedWith": column.compared_with,
        "versions": [[each.package, each.here, each.reference] for each in column.differences],
    }


def _row(row: Row, shared: Shared, places: Places) -> dict[str, Any]:
    base: Base = {}
    for box in row.boxes:
        for each in box.figures:
            base.setdefault((each.name, each.phase, each.unit), _short(each.value))
    last, boxes = dict(base), []
    for box in row.boxes:
        boxes.append(_box(box, last, shared))
        last |= {(each.name, each.phase, each.unit): _short(each.value) for each in box.figures}
    return {
        "scenario": row.scenario,
        "test": shlex.quote(test_of(row.scenario)),
        "row": row.report_row,
        "title": row.title,
        "tracker": row.tracker,
        "trackerUrl": tracker_url(row.tracker),
        "figures": [places[name] for name in base],
        "base": list(base.values()),
        "boxes": boxes,
    }


def _box(box: Box, last: Base, shared: Shared) -> dict[str, Any]:
    measured = {(each.name, each.phase, each.unit): each for each in box.figures}
    everything = {
        "outcome": "" if box.outcome == PASSED else box.outcome,
        "appliesTo": "" if box.applies_to == "scenario" else box.applies_to,
        "change": box.change,
        "ranOn": box.ran_on,
        "simulated": shared.put(box.simulated),
        "known": shared.put(_known(box.known)),
        "seconds": human(box.seconds, "s") if box.seconds else None,
        "detail": shared.put(box.detail),
        "signature": shared.put(_signature(box)),
        "frames": shared.put(box.frames),
        "checks": shared.put([[int(each.held), each.text, each.detail] for each in box.checks]),
        "count": max((each.spread.count for each in box.figures), default=0),
        "figures": _without_zeros([_number(measured.get(name), before) for name, before in last.items()])
        if box.figures
        else None,
        "moved": [place for place, name in enumerate(last) if name in measured and measured[name].changed],
        "notes": shared.put(box.notes),
        "where": shared.put(asdict(box.where) if box.where else None),
        "placements": [shared.put(_placed(each, shared)) for each in box.placements],
        "tries": [
            [each.number, each.outcome, human(each.seconds, "s"), each.isolation, _files(box.cell, each.links, shared)]
            for each in box.tries
        ],
    }
    return {name: value for name, value in everything.items() if value is not None and value not in ("", [])}


def _files(cell: str, links: Sequence[str], shared: Shared) -> int | None:
    """Split an attempt's links into their folder below the cell's and the names in it, and share both."""
    if not links:
        return None
    folder = posixpath.dirname(links[0]).removeprefix(quote(f"cells/{cell}/"))
    return shared.put([folder, [posixpath.basename(link) for link in links]])


def _placed(placed: Placed, shared: Shared) -> list[Any]:
    """Write a placement by position; what stays the same while bytes differ is shared."""
    return [
        shared.put(placed.stage),
        placed.bytes,
        shared.put([astuple(each) for each in placed.largest]),
        placed.unmatched,
        None if placed.device_map is None else shared.put([placed.device_map]),
        placed.device_map_text,
        shared.put(placed.hooks),
    ]


def _known(known: Known | None) -> dict[str, Any] | None:
    if known is None:
        return None
    return {"state": known.state, **asdict(known.entry), "trackerUrl": tracker_url(known.entry.tracker)}


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


def _number(figure: Figure | None, before: float) -> float | list[float] | None:
    """Write a figure as what its median adds to the box before; attempts that differ add how far below and above.

    The number of attempts is the box's ``count``: the most that measured anything there.
    """
    if figure is None:
        return None
    spread = figure.spread
    added = _short(_short(spread.median) - before)
    return [added, _short(spread.median - spread.low), _short(spread.high - spread.median)] if spread.width else added


def _without_zeros(numbers: Sequence[float | list[float] | None]) -> list[float | list[float] | str | None]:
    """Write each run of zeros as its length in quotes: most figures are those of the box before."""
    told: list[float | list[float] | str | None] = []
    for zero, members in itertools.groupby(numbers, key=lambda each: each == 0):
        run = list(members)
        told += [str(len(run))] if zero else run
    return told


def _short(value: float) -> float:
    """Leave out digits that nobody measures: integers stay whole, seconds and ratios keep four decimals."""
    return int(value) if float(value).is_integer() else round(value, 4)
