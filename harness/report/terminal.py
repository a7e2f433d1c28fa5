"""The summary on a terminal: results by cell, and changes between releases."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.model import GLYPHS, Column, ReportContext
from harness.store.records import Status
from harness.verdict.comparison import Change
from harness.verdict.known_issues import State

STYLES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.ERROR: "yellow",
    Status.UNAVAILABLE: "yellow",
    Status.SKIP: "dim",
    Status.MISS: "magenta",
    Status.FLAKY: "cyan",
}
CHANGE_STYLES = {Change.NEW_FAILURE: "red", Change.FIXED: "green", Change.CHANGED: "yellow"}
MOST = 12  # differences on one screen


def print_summary(context: ReportContext, console: Console) -> None:
    """Print the summary; rich leaves out colours if ``console`` is no terminal."""
    if context.conclusion:
        lines = [*context.conclusion.sentences, *(f"  {detail}" for detail in context.conclusion.details)]
        console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    if not context.rows:
        console.print("No scenario is selected in any cell.")
        return
    console.print(_counts(context))
    shown = context.axis_changes[:MOST]
    for each in shown:
        where = f" (with {'; '.join(each.where)})" if each.where else ""
        line = Text.assemble(
            (f"{each.change:15}", CHANGE_STYLES.get(each.change, "")),
            f" {each.axis}  ",
            (f"{each.report_row or ''} {each.scenario}".lstrip(), "bold"),
            f"  {each.sentence}{where}",
        )
        console.print(line, soft_wrap=True)

    if len(context.axis_changes) > len(shown):
        console.print(f"and {len(context.axis_changes) - len(shown)} more changes between releases, in the report")
    _known_lines(context, console)
    if not shown:
        console.print("No scenario changes between adjacent releases.")


def _known_lines(context: ReportContext, console: Console) -> None:
    states = context.known_issue_counts()
    if not any(states.values()):
        return
    known, gone, changed = (states[state] for state in (State.KNOWN, State.GONE, State.CHANGED))
    console.print(f"Known issues: {known} reproduced, {gone} not reproduced, {changed} failing differently.")
    for each in context.announcements[:MOST]:
        style = "green" if each.state is State.GONE else "red"
        line = Text.assemble((f"{each.state:15}", style), f" known issue {each.entry.tracker} {each.sentence}")
        console.print(line, soft_wrap=True)


def _counts(context: ReportContext) -> Table:
    """Count the results of each cell by status; a status that no result has gets no column, but for pass and fail."""
    counts = context.counts()
    shown = [status for status in Status if counts[status] or status in {Status.PASS, Status.FAIL}]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("cell")
    for status in shown:
        table.add_column(
            f"{GLYPHS[status]} {status}",
            justify="right",
            header_style=STYLES[status],
        )
    for index, column in enumerate(context.columns):
        found = [row.table_cells[index].status for row in context.rows]
        table.add_row(Text(_name(column), overflow="fold"), *(_number(found.count(status), status) for status in shown))
    return table


def _name(column: Column) -> str:
    note = " (reference)" if column.reference else " (unavailable)" if column.unavailable else ""
    return column.name + note


def _number(count: int, status: Status) -> Text:
    return Text(str(count), style=STYLES[status]) if count else Text("·", style="dim")
