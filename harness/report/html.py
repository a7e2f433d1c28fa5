"""The report as one HTML file that asks nothing of any network."""

from __future__ import annotations

from markupsafe import Markup

from harness.report.columns import pinned_packages
from harness.report.facts import Figure
from harness.report.figures import delta, figure_name, human
from harness.report.payload import page_data
from harness.report.templating import environment
from harness.report.views import Box, Column, MemoryLine, MemoryTable, ReportContext, Row, Word
from harness.verdict.compare import Change
from harness.verdict.known import State

DENSE_FROM = 14  # columns; more than this and a box shows its glyph and word alone
BADGES = {"cuda": "cuda", "cpu": "cpu", "simulated": "sim"}
WHERE = {
    "cuda": "ran on a GPU",
    "cpu": "ran on the CPU, for real",
    "sim": "part of the attempt is simulated; its details say what",
}
BARS = {"cuda_allocated": "a", "cuda_reserved": "r", "cuda_allocated_peak": "p", "host_anon_peak": "a"}
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
            badges=BADGES,
            legend=WHERE,
            states=context.standings(),
            names={column.id: column for column in context.columns},
            measure=measure_name,
            human=human,
            delta=moved_by,
            bar=bar,
            data=Markup(page_data(context)),  # noqa: S704  # page_data escapes everything that could end the element
        )
    )


KNOWN = {
    State.KNOWN: "known issue",
    State.GONE: "known issue did not show",
    State.CHANGED: "known to fail, fails in another way",
}


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
    if box.known is not None:
        parts.append(KNOWN[box.known.state])
    if box.ran_on:
        parts.append(box.ran_on)
    return ", ".join(parts)


def moved_by(figure: Figure) -> str:
    """Return a figure's difference to the reference; empty below a hundredth, which says nothing."""
    if figure.reference is None or abs(figure.value - figure.reference.median) < abs(figure.reference.median) / 100:
        return ""
    return delta(figure.value, figure.reference.median, figure.unit)


def measure_name(name: str) -> str:
    """Name a measure in the head of a memory table, shorter than in the details."""
    return {"cuda_allocated_peak": "peak allocated"}.get(name, figure_name(name).removeprefix("CUDA "))


def bar(table: MemoryTable, line: MemoryLine) -> str:
    """Return the lengths of a line's bar in percent, as variables of its style: see ``.memory .bar`` there."""
    sizes = [each.value for one in table.lines for each in one.figures if each] + [one.bf16 or 0 for one in table.lines]
    scale = 100 / (max(sizes) or 1)
    found = {BARS[name]: each.value for name, each in zip(table.measures, line.figures, strict=True) if each}
    if line.bf16:
        found["w"] = line.bf16
    return ";".join(f"--{name}:{value * scale:.0f}" for name, value in found.items())
