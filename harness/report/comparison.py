"""A comparison of two runs or cells, for a terminal, as Markdown and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.errors import ExitCode
from harness.report.markdown import CELL_LIMIT, LIMIT, code, cut, shortened, table_text, tracker
from harness.store.records import WHOLE_CELL
from harness.verdict.acceptance import counted, is_expected
from harness.verdict.box import Box, Entry, Kind
from harness.verdict.compared import Comparison
from harness.verdict.known_issues import State

KIND_ORDER = (  # the most urgent first
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
KNOWN_ISSUE = {
    State.KNOWN: "known issue",
    State.CHANGED: "differs from the known issue",
    State.GONE: "known issue not reproduced",
}
MOST_LINES = 40  # entries of one kind on a terminal
MOST_CHARACTERS = 200  # of a detail there
ROWS = (1_000, 200, 50, 10, 3)  # entries of one kind in Markdown; the first number that fits is taken


@dataclass(frozen=True)
class EntryView:
    """One difference in words. ``tracker`` is that of a known issue; an ``expected`` entry is known or accepted."""

    kind: Kind
    scenario: str
    series: str
    detail: str
    tracker: str = ""
    remark: str = ""
    expected: bool = False


@dataclass(frozen=True)
class ComparisonView:
    """What is shown of a comparison. ``versions`` are pairs of a series and its version changes."""

    old: str
    new: str
    entries: tuple[EntryView, ...]
    versions: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    summary: str

    def of(self, kind: Kind) -> tuple[EntryView, ...]:
        """Return the entries of one kind."""
        return tuple(each for each in self.entries if each.kind is kind)


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Put a comparison into words, the most urgent entries first."""
    ordered = sorted(comparison.entries, key=lambda entry: KIND_ORDER.index(entry.kind))
    return ComparisonView(
        old=comparison.old,
        new=comparison.new,
        entries=tuple(_entry_view(entry) for entry in ordered),
        versions=tuple((series, ", ".join(map(str, changes))) for series, changes in comparison.versions.items()),
        notes=comparison.notes,
        summary=_summary(comparison),
    )


def _entry_view(entry: Entry) -> EntryView:
    remarks = [KNOWN_ISSUE[entry.known.state]] if entry.known else []
    remarks += [f"accepted: {entry.accepted}"] if entry.accepted else []
    return EntryView(
        kind=entry.kind,
        scenario="every scenario" if entry.scenario == WHOLE_CELL else entry.scenario,
        series=entry.line,
        detail=entry.detail,
        tracker=entry.known.issue.tracker if entry.known else "",
        remark="; ".join(remarks),
        expected=is_expected(entry),
    )


def _summary(comparison: Comparison) -> str:
    counts = Counter(entry.kind for entry in comparison.entries)
    kinds = [f"{counts[kind]} {_plural(kind, counts[kind])}" for kind in KIND_ORDER if counts[kind]]
    total = f"{comparison.compared} compared, {comparison.same} unchanged"
    return f"{total}{': ' if kinds else ''}{', '.join(kinds)}."


def _plural(kind: Kind, count: int) -> str:
    return PLURALS.get(kind, kind) if count > 1 else kind


def exit_sentence(comparison: Comparison, exit_code: ExitCode, fail_on: Sequence[str]) -> str:
    """Explain the exit code of a comparison; empty for 0."""
    if exit_code is ExitCode.INCOMPLETE and not comparison.compared:
        return "Nothing was compared: no scenario has a result on both sides."
    if exit_code is ExitCode.INCOMPLETE:
        number = sum(entry.incomplete for entry in comparison.entries)
        return f"Incomplete: {number} result{' is' if number == 1 else 's are'} missing or invalid."
    return f"--fail-on {' '.join(fail_on)}: {len(counted(comparison.entries, fail_on))} found." if exit_code else ""


# Terminal


def print_comparison(view: ComparisonView, console: Console) -> None:
    """Print a comparison, one entry a line."""
    console.print(f"old  {view.old}\nnew  {view.new}", highlight=False, markup=False, soft_wrap=True)
    for kind in KIND_ORDER:
        entries = view.of(kind)
        for entry in entries[:MOST_LINES]:
            console.print(_entry_line(entry), soft_wrap=True)
        if len(entries) > MOST_LINES:
            console.print(f"and {len(entries) - MOST_LINES} more {kind}, in --format json", highlight=False)
    for series, changes in view.versions:
        console.print(Text.assemble(("versions        ", "bold"), f" {series}: {changes}"), soft_wrap=True)
    for note in view.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    console.print(view.summary, highlight=False, markup=False, soft_wrap=True)


def _entry_line(entry: EntryView) -> Text:
    style = "dim" if entry.expected else KIND_STYLES.get(entry.kind, "")
    remark = " ".join(text for text in (entry.remark, entry.tracker) if text)
    return Text.assemble(
        (f"{entry.kind:16}", style),
        (f" {entry.scenario}", "bold"),
        f"  {entry.series}  {cut(entry.detail, MOST_CHARACTERS)}" + (f"  ({remark})" if remark else ""),
    )


# Markdown


def comparison_markdown(view: ComparisonView, limit: int = LIMIT) -> str:
    """Return a redacted comparison in fewer than ``limit`` characters; every kind keeps its number of entries."""
    text = ""
    for rows in ROWS:
        text = "\n".join(_markdown_lines(view, rows)) + "\n"
        if len(text) < limit:
            return text
    return shortened(text, limit)


def _markdown_lines(view: ComparisonView, rows: int) -> Iterator[str]:
    yield f"**{table_text(view.summary)}**"
    yield ""
    yield f"{code(view.old)} → {code(view.new)}"
    for kind in KIND_ORDER:
        entries = view.of(kind)
        if entries:
            yield from ("", f"### {kind} ({len(entries)})", "", "| scenario | series | detail |", "|---|---|---|")
            yield from (_markdown_row(entry) for entry in entries[:rows])
            if len(entries) > rows:
                yield from ("", f"and {len(entries) - rows} more")
    if view.versions:
        yield from ("", "### version changes", "", "| series | packages |", "|---|---|")
        for series, changes in view.versions[:rows]:
            yield f"| {code(series)} | {table_text(changes, CELL_LIMIT * 4)} |"
        if len(view.versions) > rows:
            yield from ("", f"and {len(view.versions) - rows} more series")
    for note in view.notes:
        yield from ("", table_text(note))


def _markdown_row(entry: EntryView) -> str:
    remark = " ".join(text for text in (table_text(entry.remark), tracker(entry.tracker)) if text)
    detail = f"{table_text(entry.detail)}{f' ({remark})' if remark else ''}"
    return f"| {code(cut(entry.scenario))} | {code(cut(entry.series))} | {detail} |"


# JSON


def comparison_json(comparison: Comparison, exit_code: ExitCode, fail_on: Sequence[str]) -> dict[str, Any]:
    """Return a comparison as JSON values."""
    failing = counted(comparison.entries, fail_on)
    return {
        "old": comparison.old,
        "new": comparison.new,
        "exit_code": int(exit_code),
        "compared": comparison.compared,
        "same": comparison.same,
        "entries": [{**_entry_json(entry), "failing": entry in failing} for entry in comparison.entries],
        "versions": {
            series: {change.package: [change.before, change.after] for change in changes}
            for series, changes in comparison.versions.items()
        },
        "notes": comparison.notes,
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind.value,
        "line": entry.line,
        "scenario": entry.scenario,
        "detail": entry.detail,
        "incomplete": entry.incomplete,
        "known": {"state": entry.known.state.value, "tracker": entry.known.issue.tracker} if entry.known else None,
        "accepted": entry.accepted or None,
        "figures": {one.name: [one.before.median, one.after.median] for one in entry.shifts},
        "before": _side_json(entry.before),
        "after": _side_json(entry.after),
    }


def _side_json(box: Box | None) -> dict[str, Any] | None:
    if box is None:
        return None
    return {"cell": box.cell, "result": str(box.outcomes), "signatures": box.signatures, "gpu": box.gpu}
