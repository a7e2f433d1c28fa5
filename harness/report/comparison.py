"""A comparison for people: what is said of each place, on the terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from harness.store.voices import WHOLE_CELL
from harness.verdict.box import Entry, Kind
from harness.verdict.compared import Comparison
from harness.verdict.failing import quiet

ORDER = (  # what a person has to look at stands first
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
STYLES = {
    Kind.MISSING: "magenta",
    Kind.NEW_FAILURE: "red",
    Kind.CHANGED: "yellow",
    Kind.MEMORY_UP: "yellow",
    Kind.FLAKY: "cyan",
    Kind.FIXED: "green",
    Kind.MEMORY_DOWN: "green",
}
PLURALS = {Kind.NEW_FAILURE: "new failures"}
MOST = 40  # lines of one kind on a screen
LONGEST = 200  # characters of a detail there


@dataclass(frozen=True)
class Said:
    """One entry in words; ``tracker`` is that of a known issue, ``remark`` what is said of it or of an acceptance."""

    kind: Kind
    scenario: str
    line: str
    detail: str
    tracker: str = ""
    remark: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Page:
    """What a comparison shows; ``versions`` are pairs of a line and what differs there."""

    old: str
    new: str
    said: tuple[Said, ...]
    versions: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    summary: str

    def of(self, kind: Kind) -> tuple[Said, ...]:
        """Return what is said of one kind."""
        return tuple(one for one in self.said if one.kind is kind)


def page(comparison: Comparison) -> Page:
    """Put a comparison into words, the most urgent first."""
    ordered = sorted(comparison.entries, key=lambda entry: ORDER.index(entry.kind))
    return Page(
        old=comparison.old,
        new=comparison.new,
        said=tuple(_said(entry) for entry in ordered),
        versions=tuple((line, ", ".join(map(str, changes))) for line, changes in comparison.versions.items()),
        notes=comparison.notes,
        summary=_summary(comparison),
    )


def _said(entry: Entry) -> Said:
    remarks = [f"accepted: {entry.accepted}"] if entry.accepted else []
    if entry.known is not None:
        words = {"known": "known issue", "changed": "not as the known issue", "gone": "known issue did not show"}
        remarks.insert(0, words[entry.known.state])
    return Said(
        kind=entry.kind,
        scenario="every scenario" if entry.scenario == WHOLE_CELL else entry.scenario,
        line=entry.line,
        detail=entry.detail,
        tracker=entry.known.issue.tracker if entry.known else "",
        remark="; ".join(remarks),
        quiet=quiet(entry),
    )


def _summary(comparison: Comparison) -> str:
    counts = Counter(entry.kind for entry in comparison.entries)
    said = [f"{counts[kind]} {PLURALS.get(kind, kind) if counts[kind] > 1 else kind}" for kind in ORDER if counts[kind]]
    places = f"{comparison.compared} compared, {comparison.same} with nothing to say"
    return f"{places}{': ' if said else ''}{', '.join(said)}."


def print_page(shown: Page, console: Console) -> None:
    """Write it to a terminal, one entry a line."""
    console.print(f"old  {shown.old}\nnew  {shown.new}", highlight=False, markup=False, soft_wrap=True)
    for kind in ORDER:
        found = shown.of(kind)
        for one in found[:MOST]:
            console.print(_line(one), soft_wrap=True)
        if len(found) > MOST:
            console.print(f"and {len(found) - MOST} more {kind}, in --format json", highlight=False)
    for line, changes in shown.versions:
        text = Text.assemble(("versions        ", "bold"), f" {line}: {changes}")
        console.print(text, soft_wrap=True)
    for note in shown.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    console.print(shown.summary, highlight=False, markup=False, soft_wrap=True)


def _line(one: Said) -> Text:
    style = "dim" if one.quiet else STYLES.get(one.kind, "")
    remark = " ".join(text for text in (one.remark, one.tracker) if text)
    return Text.assemble(
        (f"{one.kind:16}", style),
        (f" {one.scenario}", "bold"),
        f"  {one.line}  {_cut(one.detail)}" + (f"  ({remark})" if remark else ""),
    )


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…"
