"""The report as Markdown that fits into a GitHub issue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.report.context import pinned_packages
from harness.report.html import BADGES, mark, measure_name
from harness.report.model import AxisChange, Column, Figure, Group, MemoryRow, MemoryTable, ReportContext, Row
from harness.report.templates import environment, tracker_url
from harness.store.records import Status
from harness.verdict.figures import human

LIMIT = 65_000  # characters; GitHub refuses an issue body of 65,536
CELL_LIMIT = 300  # characters of a text that comes from a scenario
FEW = 12
PLAIN = {Status.PASS, Status.SKIP}
SPECIAL = str.maketrans({letter: f"\\{letter}" for letter in "\\`*_[]|~#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
MENTION = re.compile(r"(?<!\w)@")  # after a letter it mentions nobody: ``dev@1a2b3c4d`` can be copied unchanged


@dataclass(frozen=True)
class Selection:
    """What one rendering shows, and the names of what it leaves out."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    changes: tuple[AxisChange, ...]
    memory: tuple[MemoryTable, ...] = ()
    versions: bool = True
    text_limit: int = CELL_LIMIT
    left_out: tuple[str, ...] = ()


def render(context: ReportContext, limit: int = LIMIT) -> str:
    """Return the text in fewer than ``limit`` characters; the least useful parts are left out first."""
    text = ""
    for selection in _selections(context):
        text = _render(context, selection)
        if len(text) < limit:
            return text
    return shortened(text, limit)


def _selections(context: ReportContext) -> Iterator[Selection]:
    """Yield selections, each smaller than the one before.

    Left out in this order: the version table, memory without changes, rows without a failure, long texts, all memory,
    groups and changes beyond a dozen, more and more rows, more and more columns.
    """
    chosen = Selection(context.rows, context.columns, context.groups, context.axis_changes, context.memory)
    yield chosen
    chosen = _without(chosen, "the table of versions", versions=False)
    yield chosen
    chosen = _less_memory(chosen)
    yield chosen
    notable = tuple(row for row in chosen.rows if not all(result.status in PLAIN for result in row.table_cells))
    plain = len(chosen.rows) - len(notable)
    if plain:
        chosen = _without(chosen, f"{plain} scenarios that pass or do not apply everywhere", rows=notable)
        yield chosen
    chosen = _without(chosen, f"texts beyond {FEW * 8} characters", text_limit=FEW * 8)

    yield chosen
    if chosen.memory:
        chosen = _without(chosen, "memory", memory=())
        yield chosen
    if len(chosen.groups) > FEW or len(chosen.changes) > FEW:
        groups, changes = max(len(chosen.groups) - FEW, 0), max(len(chosen.changes) - FEW, 0)
        what = f"{groups} groups of failures, {changes} changes between releases"
        chosen = _without(chosen, what, groups=chosen.groups[:FEW], changes=chosen.changes[:FEW])
        yield chosen

    for few in (80, 40, 20, 10, 5):
        if len(chosen.rows) > few:
            rest = f"all scenarios but {few}"
            yield _without(chosen, rest, rows=chosen.rows[:few])

    chosen = replace(chosen, rows=chosen.rows[:5])
    for few in (40, 20, 10, 5, 1):
        if len(chosen.columns) > few:
            rest = f"all scenarios but {min(len(chosen.rows), 5)}, and all cells but {few}"
            yield _without(chosen, rest, columns=chosen.columns[:few])


def _less_memory(selection: Selection) -> Selection:
    """Leave out the memory of scenarios without changes."""
    notable = tuple(table for table in selection.memory if table.notable)
    plain = len(selection.memory) - len(notable)
    return _without(selection, f"memory of {plain} scenarios without changes", memory=notable) if plain else selection


def _without(selection: Selection, what: str, **changes: object) -> Selection:
    return replace(selection, **changes, left_out=(*selection.left_out, what))  # type: ignore[arg-type]


def _render(context: ReportContext, selection: Selection) -> str:
    names = {column.id: f"c{number}" for number, column in enumerate(context.columns, start=1)}
    return (
        environment(escape=False)
        .get_template("matrix.md.j2")
        .render(
            report=context,
            shown=selection,
            counts=context.counts(),
            statuses=list(Status),
            mark=mark,
            badges=BADGES,
            memory=[line for table in selection.memory for line in memory_lines(table)],
            escape=escaped,
            text=lambda value: table_text(value, selection.text_limit),
            code=lambda value: code(cut(value, selection.text_limit)),
            tracker=tracker,
            names=names,
            packages=pinned_packages(selection.columns),
            unavailable=[column for column in context.columns if column.unavailable],
        )
    )


def memory_lines(table: MemoryTable) -> list[tuple[str, tuple[str, ...]]]:
    """Return the transposed memory table: one line a measure, with a text for every cell."""
    rows = table.rows
    lines = [
        (measure_name(name), tuple(_measured(row.figures[index]) for row in rows))
        for index, name in enumerate(table.measures)
    ]
    if any(row.ratio for row in rows):
        lines.append(("reserved ÷ allocated", tuple(f"{row.ratio:.2f}" if row.ratio else "–" for row in rows)))
    if any(row.reserved_share for row in rows):
        lines.append(("reserved, of bf16", tuple(_reserved(row) for row in rows)))
        lines.append(("peak, of bf16", tuple(_share(row.peak_share) for row in rows)))
    where = f"{code(table.scenario)} {escaped(table.phase)}"
    return [(f"{escaped(table.report_row or '')} | {where} | {name}", texts) for name, texts in lines]


def _measured(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    sign = ""
    if figure.changed and figure.reference is not None:
        sign = " ↑" if figure.value > figure.reference.median else " ↓"
    return f"{human(figure.value, figure.unit)}{sign}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _reserved(row: MemoryRow) -> str:
    return f"**{_share(row.reserved_share)} ⚠**" if row.as_unquantized else _share(row.reserved_share)


def escaped(value: str) -> str:
    """Escape a text for a table cell: nothing in it ends the cell, starts markup or mentions anybody."""
    return MENTION.sub("@\u200b", value.translate(SPECIAL))


def code(value: str) -> str:
    """Return a text as code in a table cell; its own pipes and backticks cannot end it."""
    return f"`{value.replace('`', chr(0x2BC)).replace('|', chr(92) + '|')}`" if value else ""


def tracker(value: str) -> str:
    """Return a tracker as GitHub links it; any other text is escaped."""
    return value if tracker_url(value) else table_text(value)


def table_text(value: str, limit: int = CELL_LIMIT) -> str:
    """Return a text for a table cell: escaped, on one line, of at most so many characters before escaping."""
    return escaped(cut(value, limit))


def cut(value: object, limit: int = CELL_LIMIT) -> str:
    """Return a value as one line of at most ``limit`` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shortened(text: str, limit: int) -> str:
    """Return the beginning of a text that does not fit, with a note, in fewer than ``limit`` characters."""
    end = "\n\n(the rest is left out)\n"
    return text[: max(limit - len(end) - 1, 0)] + end
