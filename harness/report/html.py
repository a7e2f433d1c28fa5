"""The report as one HTML file that asks nothing of any network."""

from __future__ import annotations

from markupsafe import Markup

from harness.report.columns import pinned_packages
from harness.report.payload import page_data
from harness.report.templating import environment
from harness.report.views import Box, Column, ReportContext, Row, Word
from harness.verdict.compare import Change

DENSE_FROM = 14  # columns; more than this and a box shows its glyph and word alone
MARKS = {Change.REGRESSION: "▼", Change.FIXED: "▲", Change.CHANGED_FAILURE: "◆"}


def render(context: ReportContext) -> str:
    """Return the page."""
    return (
        environment(escape=True)
        .get_template("matrix.html.j2")
        .render(
            report=context,
            counts=context.counts(),
            words=list(Word),
            packages=pinned_packages(context.columns),
            marks=MARKS,
            mark=mark,
            dense=len(context.columns) > DENSE_FROM,
            describe=describe,
            data=Markup(page_data(context)),  # noqa: S704  # page_data escapes everything that could end the element
        )
    )


def mark(box: Box) -> str:
    """Return the sign of a change against the reference; a cell that could not be set up is marked as a whole."""
    return "" if box.change is None or box.applies_to == "cell" else MARKS.get(box.change, "")


def describe(row: Row, box: Box, column: Column) -> str:
    """Say a box aloud: for screen readers and as its tooltip."""
    parts = [f"{row.scenario}, {column.name}: {box.word}"]
    if box.label:
        parts.append(box.label)
    if mark(box):
        parts.append(f"{box.change} against the reference")
    if box.simulated:
        parts.append("simulated")
    return ", ".join(parts)
