"""The summary on the terminal: outcomes per cell, and what changes between releases."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.model import Column, ReportContext, Word
from harness.store.records import WHOLE_CELL
from harness.verdict.acceptance import is_expected
from harness.verdict.box import Entry, Kind
from harness.verdict.compare import Change
from harness.verdict.compared import Comparison
from harness.verdict.known_issues import State

STYLES = {
    Word.PASS: "green",
    Word.FAIL: "red",
    Word.ERROR: "yellow",
    Word.SKIP: "dim",
    Word.MISS: "magenta",
    Word.FLAKY: "cyan",
}


CHANGE_STYLES = {Change.REGRESSION: "red", Change.FIXED: "green", Change.CHANGED_FAILURE: "yellow"}


MOST = 12  # differences on one screen


def print_summary(context: ReportContext, console: Console) -> None:
    """Write both tables to ``console``; rich leaves colours out where it is no terminal."""
    console.print(_counts(context))
    shown = context.differences[:MOST]
    for each in shown:
        where = f" (with {'; '.join(each.where)})" if each.where else ""
        line = Text.assemble(
            (f"{each.change:15}", CHANGE_STYLES.get(each.change, "")),
            f" {each.axis}  ",
            (f"{each.report_row or '–'} {each.scenario}", "bold"),
            f"  {each.sentence}{where}",
        )
        console.print(line, soft_wrap=True)
    if len(context.differences) > len(shown):
        console.print(f"and {len(context.differences) - len(shown)} more changes between releases, in the report")
    _known_lines(context, console)
    if not shown:
        console.print("No scenario answers differently in neighbouring releases.")


def _known_lines(context: ReportContext, console: Console) -> None:
    """Say what became of the known issues, where any is about this run."""
    states = context.standings()
    if not any(states.values()):
        return
    known, gone, changed = (states[state] for state in (State.KNOWN, State.GONE, State.CHANGED))
    console.print(f"Known issues: {known} red as written down, {gone} did not show, {changed} fail in another way.")
    for each in context.announcements[:MOST]:
        style = "green" if each.state is State.GONE else "red"
        line = Text.assemble((f"{each.state:15}", style), f" known issue {each.entry.tracker} {each.sentence}")
        console.print(line, soft_wrap=True)


def _counts(context: ReportContext) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("cell")
    for word in Word:
        table.add_column(f"{word.glyph} {word}", justify="right", header_style=STYLES[word])
    for index, column in enumerate(context.columns):
        words = [row.boxes[index].word for row in context.rows]
        numbers = [_number(words.count(word), word) for word in Word]
        table.add_row(Text(_name(column), overflow="fold"), *numbers)
    return table


def _name(column: Column) -> str:
    note = " (reference)" if column.reference else " (not set up)" if column.unavailable else ""
    return column.name + note


def _number(count: int, word: Word) -> Text:
    return Text(str(count), style=STYLES[word]) if count else Text("·", style="dim")


KIND_ORDER = (  # what a person has to look at stands first
    Kind.MISSING,
    Kind.NEW_FAILURE,
    Kind.CHANGED,
    Kind.MEMORY_UP,
    Kind.UNKNOWN,
    Kind.FLAKY,
    Kind.DISAPPEARED,
    Kind.APPEARED,
    Kind.MEMORY_DOWN,
    Kind.FIXED,
    Kind.STILL_RED,
)


KIND_STYLES = {
    Kind.MISSING: "magenta",
    Kind.NEW_FAILURE: "red",
    Kind.CHANGED: "yellow",
    Kind.MEMORY_UP: "yellow",
    Kind.FLAKY: "cyan",
    Kind.FIXED: "green",
    Kind.MEMORY_DOWN: "green",
}


PLURALS = {Kind.NEW_FAILURE: "new failures"}


MOST_LINES = 40  # lines of one kind on a screen


LONGEST = 200  # characters of a detail there


@dataclass(frozen=True)
class ComparisonLine:
    """One entry in words; ``tracker`` is that of a known issue, ``remark`` what is said of it or of an acceptance."""

    kind: Kind
    scenario: str
    line: str
    detail: str
    tracker: str = ""
    remark: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class ComparisonPage:
    """What a comparison shows; ``versions`` are pairs of a line and what differs there."""

    old: str
    new: str
    said: tuple[ComparisonLine, ...]
    versions: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    summary: str

    def of(self, kind: Kind) -> tuple[ComparisonLine, ...]:
        """Return what is said of one kind."""
        return tuple(one for one in self.said if one.kind is kind)


def comparison_page(comparison: Comparison) -> ComparisonPage:
    """Put a comparison into words, the most urgent first."""
    ordered = sorted(comparison.entries, key=lambda entry: KIND_ORDER.index(entry.kind))
    return ComparisonPage(
        old=comparison.old,
        new=comparison.new,
        said=tuple(_comparison_line(entry) for entry in ordered),
        versions=tuple((line, ", ".join(map(str, changes))) for line, changes in comparison.versions.items()),
        notes=comparison.notes,
        summary=_summary(comparison),
    )


def _comparison_line(entry: Entry) -> ComparisonLine:
    remarks = [f"accepted: {entry.accepted}"] if entry.accepted else []
    if entry.known is not None:
        words = {"known": "known issue", "changed": "not as the known issue", "gone": "known issue did not show"}
        remarks.insert(0, words[entry.known.state])
    return ComparisonLine(
        kind=entry.kind,
        scenario="every scenario" if entry.scenario == WHOLE_CELL else entry.scenario,
        line=entry.line,
        detail=entry.detail,
        tracker=entry.known.issue.tracker if entry.known else "",
        remark="; ".join(remarks),
        quiet=is_expected(entry),
    )


def _summary(comparison: Comparison) -> str:
    counts = Counter(entry.kind for entry in comparison.entries)
    said = [
        f"{counts[kind]} {PLURALS.get(kind, kind) if counts[kind] > 1 else kind}" for kind in KIND_ORDER if counts[kind]
    ]
    places = f"{comparison.compared} compared, {comparison.same} with nothing to say"
    return f"{places}{': ' if said else ''}{', '.join(said)}."


def print_comparison(shown: ComparisonPage, console: Console) -> None:
    """Write it to a terminal, one entry a line."""
    console.print(f"old  {shown.old}\nnew  {shown.new}", highlight=False, markup=False, soft_wrap=True)
    for kind in KIND_ORDER:
        found = shown.of(kind)
        for one in found[:MOST_LINES]:
            console.print(_kind_line(one), soft_wrap=True)
        if len(found) > MOST_LINES:
            console.print(f"and {len(found) - MOST_LINES} more {kind}, in --format json", highlight=False)
    for line, changes in shown.versions:
        text = Text.assemble(("versions        ", "bold"), f" {line}: {changes}")
        console.print(text, soft_wrap=True)
    for note in shown.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    console.print(shown.summary, highlight=False, markup=False, soft_wrap=True)


def _kind_line(one: ComparisonLine) -> Text:
    style = "dim" if one.quiet else KIND_STYLES.get(one.kind, "")
    remark = " ".join(text for text in (one.remark, one.tracker) if text)
    return Text.assemble(
        (f"{one.kind:16}", style),
        (f" {one.scenario}", "bold"),
        f"  {one.line}  {_shortened(one.detail)}" + (f"  ({remark})" if remark else ""),
    )


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…"
