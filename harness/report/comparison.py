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
from harness.report.model import KNOWN_ISSUE_TEXTS
from harness.store.records import WHOLE_CELL
from harness.verdict.acceptance import is_expected, matching
from harness.verdict.comparison import Change, Comparison, Difference
from harness.verdict.result import ScenarioResult

KIND_ORDER = (  # the most urgent first
    Change.MISSING,
    Change.UNAVAILABLE,
    Change.NEW_FAILURE,
    Change.CHANGED,
    Change.MEMORY_UP,
    Change.UNKNOWN,
    Change.FLAKY,
    Change.DISAPPEARED,
    Change.APPEARED,
    Change.MEMORY_DOWN,
    Change.FIXED,
    Change.STILL_FAILING,
)
KIND_STYLES = {
    Change.MISSING: "magenta",
    Change.UNAVAILABLE: "magenta",
    Change.NEW_FAILURE: "red",
    Change.CHANGED: "yellow",
    Change.MEMORY_UP: "yellow",
    Change.FLAKY: "cyan",
    Change.FIXED: "green",
    Change.MEMORY_DOWN: "green",
}
PLURALS = {Change.NEW_FAILURE: "new failures"}
MOST_LINES = 40  # entries of one kind on a terminal
MOST_CHARACTERS = 200  # of a detail there
ROWS = (1_000, 200, 50, 10, 3)  # entries of one kind in Markdown; the first number that fits is taken


@dataclass(frozen=True)
class EntryView:
    """One difference in words. ``tracker`` is that of a known issue; an ``expected`` entry is known or accepted."""

    kind: Change
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

    def of(self, kind: Change) -> tuple[EntryView, ...]:
        """Return the entries of one kind."""
        return tuple(each for each in self.entries if each.kind is kind)


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Put a comparison into words, the most urgent entries first."""
    ordered = sorted(comparison.differences, key=lambda one: KIND_ORDER.index(one.change))
    return ComparisonView(
        old=comparison.old,
        new=comparison.new,
        entries=tuple(_entry_view(one) for one in ordered),
        versions=tuple((series, ", ".join(map(str, changes))) for series, changes in comparison.versions.items()),
        notes=comparison.notes,
        summary=_summary(comparison),
    )


def _entry_view(difference: Difference) -> EntryView:
    remarks = [KNOWN_ISSUE_TEXTS[difference.known.state]] if difference.known else []
    remarks += [f"accepted: {difference.accepted}"] if difference.accepted else []
    return EntryView(
        kind=difference.change,
        scenario="every scenario" if difference.key.scenario == WHOLE_CELL else difference.key.scenario,
        series=difference.key.series,
        detail=difference.detail,
        tracker=difference.known.issue.tracker if difference.known else "",
        remark="; ".join(remarks),
        expected=is_expected(difference),
    )


def _summary(comparison: Comparison) -> str:
    counts = Counter(one.change for one in comparison.differences)
    kinds = [f"{counts[kind]} {_plural(kind, counts[kind])}" for kind in KIND_ORDER if counts[kind]]
    total = f"{comparison.compared} compared, {comparison.same} unchanged"
    return f"{total}{': ' if kinds else ''}{', '.join(kinds)}."


def _plural(kind: Change, count: int) -> str:
    return PLURALS.get(kind, kind.label) if count > 1 else kind.label


def exit_sentence(comparison: Comparison, exit_code: ExitCode, fail_on: Sequence[str]) -> str:
    """Explain the exit code of a comparison; empty for 0."""
    if exit_code is ExitCode.INCOMPLETE and not comparison.compared:
        return "Nothing was compared: no scenario has a result on both sides."
    if exit_code is ExitCode.INCOMPLETE:
        number = sum(one.incomplete for one in comparison.differences)
        return f"Incomplete: {number} result{' is' if number == 1 else 's are'} missing or invalid."
    number = len(matching(comparison.differences, fail_on))
    return f"--fail-on {' '.join(fail_on)}: {number} found." if exit_code else ""


# Terminal


def print_comparison(view: ComparisonView, console: Console) -> None:
    """Print a comparison, one entry a line."""
    console.print(f"old  {view.old}\nnew  {view.new}", highlight=False, markup=False, soft_wrap=True)
    for kind in KIND_ORDER:
        entries = view.of(kind)
        for entry in entries[:MOST_LINES]:
            console.print(_entry_line(entry), soft_wrap=True)
        if len(entries) > MOST_LINES:
            console.print(f"and {len(entries) - MOST_LINES} more {kind.label}, in --format json", highlight=False)

    for series, changes in view.versions:
        console.print(Text.assemble(("versions        ", "bold"), f" {series}: {changes}"), soft_wrap=True)
    for note in view.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    console.print(view.summary, highlight=False, markup=False, soft_wrap=True)


def _entry_line(entry: EntryView) -> Text:
    style = "dim" if entry.expected else KIND_STYLES.get(entry.kind, "")
    remark = " ".join(text for text in (entry.remark, entry.tracker) if text)
    return Text.assemble(
        (f"{entry.kind.label:16}", style),
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
            yield from ("", f"### {kind.label} ({len(entries)})", "", "| scenario | series | detail |", "|---|---|---|")
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
    failing = matching(comparison.differences, fail_on)
    return {
        "old": comparison.old,
        "new": comparison.new,
        "exit_code": int(exit_code),
        "compared": comparison.compared,
        "same": comparison.same,
        "entries": [{**_entry_json(one), "failing": one in failing} for one in comparison.differences],
        "versions": {
            series: {change.package: [change.before, change.after] for change in changes}
            for series, changes in comparison.versions.items()
        },
        "notes": comparison.notes,
    }


def _entry_json(difference: Difference) -> dict[str, Any]:
    known = difference.known
    return {
        "kind": difference.change.value,
        "line": difference.key.series,
        "scenario": difference.key.scenario,
        "detail": difference.detail,
        "incomplete": difference.incomplete,
        "known": {"state": known.state.value, "tracker": known.issue.tracker} if known else None,
        "accepted": difference.accepted or None,
        "figures": {one.name: [one.before.median, one.after.median] for one in difference.shifts},
        "before": _side_json(difference.before),
        "after": _side_json(difference.after),
    }


def _side_json(side: ScenarioResult | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "cell": side.cell,
        "status": side.status.value,
        "result": side.text,
        "signatures": side.signatures,
        "gpu": side.gpu,
    }
