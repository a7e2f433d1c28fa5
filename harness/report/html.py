"""The report as one self-contained HTML file."""

from __future__ import annotations

import itertools
import json
import posixpath
import shlex
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from harness.report.cell_details import command_templates, test_of
from harness.report.context import pinned_packages
from harness.report.model import (
    KNOWN_ISSUE_TEXTS,
    Attempt,
    Column,
    Figure,
    KnownIssueState,
    MemoryRow,
    MemoryTable,
    Placement,
    ReportContext,
    Row,
    TableCell,
)
from harness.report.templates import environment, tracker_url
from harness.store.records import Status
from harness.verdict.comparison import Change
from harness.verdict.figures import delta, figure_name, human

DENSE_FROM = 14  # columns; from here on a table cell shows its glyph and status alone
BADGES = {"cuda": "cuda", "cpu": "cpu", "simulated": "sim"}
WHERE = {
    "cuda": "ran on a GPU",
    "cpu": "ran on the CPU",
    "sim": "partly simulated; see its details",
}
BARS = {"cuda_allocated": "a", "cuda_reserved": "r", "cuda_allocated_peak": "p", "host_anon_peak": "a"}
MARKS = {Change.NEW_FAILURE: "▼", Change.FIXED: "▲", Change.CHANGED: "◆"}
NOT_LISTED = "not listed"
PASSED = "pass:check"  # the most frequent outcome: the page fills it in
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}

FigureKey = tuple[str, str, str]  # name, phase, unit


def render(context: ReportContext) -> str:
    """Return the page."""
    return (
        environment(escape=True)
        .get_template("matrix.html.j2")
        .render(
            report=context,
            counts=context.counts(),
            statuses=list(Status),
            packages=pinned_packages(context.columns),
            marks=MARKS,
            mark=mark,
            dense=len(context.columns) > DENSE_FROM,
            describe=describe,
            badges=BADGES,
            legend=WHERE,
            known_issues=context.known_issue_counts(),
            names={column.id: column for column in context.columns},
            measure=measure_name,
            human=human,
            delta=difference,
            bar=bar,
            data=Markup(page_data(context)),  # noqa: S704  # page_data escapes everything that could end the element
        )
    )


def mark(result: TableCell) -> str:
    """Return the sign of a change against the reference; an unavailable cell has none."""
    return "" if result.change is None or result.applies_to == "cell" else MARKS.get(result.change, "")


def describe(row: Row, result: TableCell, column: Column) -> str:
    """Return the text of a table cell for screen readers and its tooltip."""
    parts = [f"{row.scenario}, {column.name}: {result.status or NOT_LISTED}"]
    if result.label:
        parts.append(result.label)
    if mark(result):
        parts.append(f"{result.change} against the reference")
    if result.known is not None:
        parts.append(KNOWN_ISSUE_TEXTS[result.known.state])
    if result.ran_on:
        parts.append(result.ran_on)
    return ", ".join(parts)


def difference(figure: Figure) -> str:
    """Return a figure's difference from the reference; empty below one percent."""
    if figure.reference is None or abs(figure.value - figure.reference.median) < abs(figure.reference.median) / 100:
        return ""
    return delta(figure.value, figure.reference.median, figure.unit)


def measure_name(name: str) -> str:
    """Return the short name of a measure for the head of a memory table."""
    return {"cuda_allocated_peak": "peak allocated"}.get(name, figure_name(name).removeprefix("CUDA "))


def bar(table: MemoryTable, row: MemoryRow) -> str:
    """Return the lengths of a row's bar in percent, as variables of its style (``.memory .bar``)."""
    sizes = [each.value for one in table.rows for each in one.figures if each] + [one.bf16 or 0 for one in table.rows]
    scale = 100 / (max(sizes) or 1)
    found = {BARS[name]: each.value for name, each in zip(table.measures, row.figures, strict=True) if each}
    if row.bf16:
        found["w"] = row.bf16
    return ";".join(f"--{name}:{value * scale:.0f}" for name, value in found.items())


# The data of the page's script


class Shared:
    """Values that many table cells share, each stored once and referred to by its index."""

    def __init__(self) -> None:
        """Start empty."""
        self.values: list[Any] = []
        self._indexes: dict[str, int] = {}

    def put(self, value: Any) -> int | None:
        """Return the index of a value, None for an empty one."""
        if not value:
            return None
        text = json.dumps(value, ensure_ascii=False)
        if text not in self._indexes:
            self._indexes[text] = len(self.values)
            self.values.append(value)
        return self._indexes[text]


def page_data(context: ReportContext) -> str:
    """Return the data of the page's script as JSON that cannot end its element or a line of JavaScript."""
    shared, positions = Shared(), _positions(context.rows)
    data = {
        "columns": [_column(column) for column in context.columns],
        "figures": [[figure_name(name), phase, unit] for name, phase, unit in positions],
        "rows": [_row(row, shared, positions) for row in context.rows],
        "commands": command_templates(context.matrix_file),
        "shared": shared.values,
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter, escape in ESCAPES.items():
        text = text.replace(letter, escape)
    return text


def _positions(rows: Sequence[Row]) -> dict[FigureKey, int]:
    names = (
        (each.name, each.phase, each.unit) for row in rows for result in row.table_cells for each in result.figures
    )
    return {key: position for position, key in enumerate(dict.fromkeys(names))}


def _column(column: Column) -> dict[str, Any]:
    return {
        "id": column.id,
        "cell": shlex.quote(column.id),
        "folder": quote(f"cells/{column.id}/"),
        "name": column.name,
        "reference": column.reference,
        "comparedWith": column.compared_with,
        "versions": [[each.package, each.after, each.before] for each in column.differences],
    }


def _row(row: Row, shared: Shared, positions: dict[FigureKey, int]) -> dict[str, Any]:
    base: dict[FigureKey, float] = {}
    for result in row.table_cells:
        for each in result.figures:
            base.setdefault((each.name, each.phase, each.unit), _short(each.value))
    last, results = dict(base), []
    for result in row.table_cells:
        results.append(_result(result, last, shared))
        last |= {(each.name, each.phase, each.unit): _short(each.value) for each in result.figures}
    return {
        "scenario": row.scenario,
        "test": shlex.quote(test_of(row.scenario)),
        "row": row.report_row,
        "title": row.title,
        "tracker": row.tracker,
        "trackerUrl": tracker_url(row.tracker),
        "figures": [positions[name] for name in base],
        "base": list(base.values()),
        "results": results,
    }


def _result(result: TableCell, last: dict[FigureKey, float], shared: Shared) -> dict[str, Any]:
    measured = {(each.name, each.phase, each.unit): each for each in result.figures}
    everything = {
        "outcome": "" if result.outcome == PASSED else result.outcome,
        "appliesTo": "" if result.applies_to == "scenario" else result.applies_to,
        "change": result.change,
        "ranOn": result.ran_on,
        "simulated": shared.put(result.simulated),
        "known": shared.put(_known(result.known)),
        "seconds": human(result.seconds, "s") if result.seconds else None,
        "detail": shared.put(result.detail),
        "signature": shared.put(_signature(result)),
        "frames": shared.put(result.frames),
        "checks": shared.put([[int(each.held), each.text, each.detail] for each in result.checks]),
        "count": max((each.spread.count for each in result.figures), default=0),
        "figures": _without_zeros([_number(measured.get(name), before) for name, before in last.items()])
        if result.figures
        else None,
        "moved": [at for at, name in enumerate(last) if name in measured and measured[name].changed],
        "notes": shared.put(result.notes),
        "hardware": shared.put(asdict(result.hardware) if result.hardware else None),
        "placements": [shared.put(_placement(each, shared)) for each in result.placements],
        "attempts": [_attempt(each, result.cell, shared) for each in result.attempts],
    }
    return {name: value for name, value in everything.items() if value is not None and value not in ("", [])}


def _attempt(attempt: Attempt, cell: str, shared: Shared) -> list[Any]:
    files = _files(cell, attempt.links, shared)
    return [attempt.number, attempt.outcome, human(attempt.seconds, "s"), attempt.isolation, files]


def _files(cell: str, links: Sequence[str], shared: Shared) -> int | None:
    """Share the files of an attempt as their folder, below the cell's, and their names."""
    if not links:
        return None
    folder = posixpath.dirname(links[0]).removeprefix(quote(f"cells/{cell}/"))
    return shared.put([folder, [posixpath.basename(link) for link in links]])


def _placement(placement: Placement, shared: Shared) -> list[Any]:
    """Return a placement as a list; parts that are often equal are shared."""
    return [
        shared.put(placement.stage),
        placement.bytes,
        shared.put([astuple(each) for each in placement.largest]),
        placement.unmatched,
        None if placement.device_map is None else shared.put([placement.device_map]),
        placement.device_map_text,
        shared.put(placement.hooks),
    ]


def _known(known: KnownIssueState | None) -> dict[str, Any] | None:
    if known is None:
        return None
    return {"state": known.state, **asdict(known.entry), "trackerUrl": tracker_url(known.entry.tracker)}


def _signature(result: TableCell) -> dict[str, str | None] | None:
    known = result.signature
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
    """Return a figure as its difference from ``before``, with the distances to low and high if attempts differ."""
    if figure is None:
        return None
    spread = figure.spread
    added = _short(_short(spread.median) - before)
    return [added, _short(spread.median - spread.low), _short(spread.high - spread.median)] if spread.width else added


def _without_zeros(numbers: Sequence[float | list[float] | None]) -> list[float | list[float] | str | None]:
    """Replace each run of zeros by its length as text: most figures equal those of the table cell before."""
    found: list[float | list[float] | str | None] = []
    for zero, members in itertools.groupby(numbers, key=lambda each: each == 0):
        run = list(members)
        found += [str(len(run))] if zero else run
    return found


def _short(value: float) -> float:
    """Round to four decimals; a whole number becomes an integer."""
    return int(value) if float(value).is_integer() else round(value, 4)
