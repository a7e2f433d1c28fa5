"""The summary of a nightly run: lines for a terminal, and Markdown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from harness.matrix.cell import display_version
from harness.nightly.claim import AGAINST_BASELINE, OPEN, REGRESSIONS, STRICT, Claim, Kind
from harness.nightly.control import ControlState
from harness.nightly.record import NightlyReport, SearchSummary
from harness.report.markdown import code as as_code
from harness.report.markdown import escaped
from harness.report.markdown import tracker as as_tracker
from harness.reporter import counted, listed

ORDER = tuple(Kind)
SECTIONS = (  # kinds with a section of their own, also if none of their claims is new
    REGRESSIONS
    | OPEN
    | AGAINST_BASELINE
    | STRICT
    | {Kind.SCENARIO_CHANGED, Kind.FLAKY, Kind.FIXED, Kind.MEMORY_DOWN, Kind.DISAPPEARED, Kind.WITHHELD}
)
WITH_CHANGES = {Kind.NEW_REGRESSION, Kind.MEMORY_UP, Kind.FIXED, Kind.SIGNATURE_CHANGED} | AGAINST_BASELINE
MAX_CLAIMS = 20  # of one kind on the terminal
MAX_UNCHANGED = 30  # lines about unchanged results, and about reused ones
MAX_PACKAGES = 3  # changed packages named in a line


@dataclass(frozen=True)
class Markup:
    """How names, trackers and texts of failures are written: a text of a failure may look like markup."""

    name: Callable[[str], str] = str
    tracker: Callable[[str], str] = str
    text: Callable[[str], str] = str


PLAIN, MARKDOWN = Markup(), Markup(as_code, as_tracker, escaped)


def verdict(code: int, control: str, claims: Iterable[Claim]) -> str:
    """Return the exit code in words."""
    every, kinds = {claim.kind for claim in claims}, {claim.kind for claim in claims if claim.fresh}
    if control in {ControlState.DRIFTED, ControlState.NO_RESULT}:
        return "inconclusive: machine"
    if code == 1 and kinds & REGRESSIONS:
        return "new regression"
    if code == 1 and Kind.STILL_DIFFERS in every:
        return f"{Kind.STILL_DIFFERS}{', and results are missing or open' if every & OPEN else ''}"
    if code == 1 and not kinds & STRICT:
        return f"{Kind.FAILS_DIFFERENTLY} (--strict)"
    if code == 1:
        return "new on the known issues or a signature (--strict)"
    return "results missing or open" if code else "quiet"


def terminal_lines(report: NightlyReport) -> list[str]:
    """Return the summary for a terminal, the verdict last."""
    lines = [f"{kind.label}: {text}" for kind, text in _terminal_claims(report)]
    lines += [f"search: {_search(one)}" for one in report.searches]
    lines += [f"draft: {name}" for name in report.drafts]
    lines += [f"against the baseline: {text}" for text in report.against_baseline]
    lines += [f"machine drift: {text}" for text in report.drift]
    lines += [f"machine: {text}" for text in report.changes]
    lines += [f"note: {text}" for text in report.notes]
    lines += [f"unchanged: {text}" for text in _unchanged(report)]
    lines += [_counts(report), *_reused(report)]
    return [*lines, f"{report.verdict} (exit code {report.code})"]


def markdown(report: NightlyReport) -> str:
    """Return ``nightly.md``."""
    out = [f"# {report.matrix}: {report.verdict}", "", f"{report.run}, exit code {report.code}. {_counts(report)}."]
    out += [f"{text}." for text in _reused(report)]
    compared = f"Compared with {report.previous}" if report.previous else "First nightly run: no earlier results"
    out += [f"{compared}{f' and the baseline {report.baseline}' if report.baseline else ''}.", ""]
    control = f"Control cell: {ControlState(report.control).label}."
    out += _section("Machine", _escaped(report.drift, report.changes), control)
    for kind, group in groupby(_ordered(report.claims), key=lambda claim: claim.kind):
        claims = list(group)
        if kind in SECTIONS or any(claim.fresh for claim in claims):
            rows = [_claim(claim, report, MARKDOWN) for claim in claims]
            out += _section(f"{kind.label.capitalize()} ({len(claims)})", rows)

    out += _section("Searches", [_search(one, MARKDOWN) for one in report.searches])
    out += _section("Issue drafts", [f"[{name}]({name})" for name in report.drafts])
    out += _section("Against the baseline", _escaped(report.against_baseline))
    out += _section("Notes", _escaped(report.notes))
    out += _section("Unchanged, known or accepted", _unchanged(report, MARKDOWN))
    out += _section("Reused results", _reused_by_series(report))
    out += ["## Cells", "", "| series | run because | versions |", "|---|---|---|"]
    out += [
        f"| {as_code(series)} | {escaped(reason)} | {escaped(_versions(report, series))} |"
        for series, reason in report.reasons.items()
    ]
    return "\n".join([*out, ""])


def _terminal_claims(report: NightlyReport) -> list[tuple[Kind, str]]:
    """Return the claims of each kind with a section; of those that are not new only if they are open."""
    lines = []
    for kind, group in groupby(_ordered(report.claims), key=lambda claim: claim.kind):
        claims = list(group)
        named = [claim for claim in claims if claim.fresh or kind in OPEN | AGAINST_BASELINE]
        named = named[:MAX_CLAIMS] if kind in SECTIONS else []
        lines += [(kind, _claim(claim, report)) for claim in named]
        left = len(claims) - len(named) - sum(map(_is_unchanged, claims))
        if left:
            lines.append((kind, counted(left, "more result" if named else "result")))

    return lines


def _ordered(claims: Iterable[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: (ORDER.index(claim.kind), not claim.fresh, *claim.key))


def _claim(claim: Claim, report: NightlyReport, markup: Markup = PLAIN) -> str:
    names = [markup.name(text) for text in claim.key if text]
    subject = " · ".join([*names, *([markup.tracker(claim.tracker)] if claim.tracker else [])])
    since = f" (since {claim.since})" if claim.since else ""
    changed = _changed(claim, report) if claim.kind in WITH_CHANGES else ""
    return f"{subject}{': ' if subject else ''}{markup.text(f'{claim.detail}{since}{changed}')}"


def _changed(claim: Claim, report: NightlyReport) -> str:
    """Return the packages that changed, those under test first."""
    if not claim.changed:
        return ""
    tested = report.resolved.get(claim.series, {})
    pairs = sorted(claim.changed.items(), key=lambda one: (one[0] not in tested, one[0]))
    named = [f"{name} {' → '.join(display_version(text) or 'none' for text in pair)}" for name, pair in pairs]
    return f"; changed: {listed(named, MAX_PACKAGES)}"


def _search(one: SearchSummary, markup: Markup = PLAIN) -> str:
    first = one.keys[0]
    more = f" and {len(one.keys) - 1} more" if len(one.keys) > 1 else ""
    run = f" [{one.run}]" if one.run else ""
    return f"{markup.name(first.scenario)} ({markup.name(first.series)}){more}: {markup.text(f'{one.answer}{run}')}"


def _counts(report: NightlyReport) -> str:
    statuses = ", ".join(f"{count} {status}" for status, count in report.counts.items() if count)
    return f"{counted(sum(report.counts.values()), 'result')} run: {statuses or 'none'}"


def _reused(report: NightlyReport) -> list[str]:
    return [f"{counted(one.count, 'result')} reused from {one.run}" for one in report.reused]


def _reused_by_series(report: NightlyReport) -> list[str]:
    """Return each series with the number of its reused results and their nightly run."""
    lines = []
    for one in report.reused:
        counts = Counter(key.series for key in one.keys)
        lines += [f"{as_code(series)}: {count} from {one.run}" for series, count in sorted(counts.items())]
    return _capped(lines)


def _versions(report: NightlyReport, series: str) -> str:
    return ", ".join(f"{name} {display_version(text)}" for name, text in report.resolved.get(series, {}).items())


def _escaped(*groups: Iterable[str]) -> list[str]:
    return [escaped(text) for texts in groups for text in texts]


def _section(title: str, rows: list[str], before: str = "") -> list[str]:
    if not rows and not before:
        return []
    listed = [*(f"- {row}" for row in rows), ""] if rows else []
    return [f"## {title}", "", *([before, ""] if before else []), *listed]


def _is_unchanged(claim: Claim) -> bool:
    return not claim.fresh and claim.kind not in SECTIONS


def _unchanged(report: NightlyReport, markup: Markup = PLAIN) -> list[str]:
    """Return the claims without a section, each with its kind, since when it holds, and its tracker."""
    claims = [one for one in _ordered(report.claims) if _is_unchanged(one)]
    return _capped([f"{one.kind.label}: {_claim(one, report, markup)}" for one in claims])


def _capped(lines: list[str]) -> list[str]:
    more = len(lines) - MAX_UNCHANGED
    return [*lines[:MAX_UNCHANGED], f"and {more} more"] if more > 0 else lines
