"""A night in words: lines for a terminal, and Markdown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from harness.matrix.cell import display_version
from harness.nightly.claim import LOUD, OPEN, STANDING, STRICT, Claim, Kind
from harness.nightly.record import Ended, Searched
from harness.report.markdown import code as as_code
from harness.report.markdown import escaped
from harness.report.markdown import tracker as as_tracker

ORDER = tuple(Kind)
MOST = 20  # claims of one kind that are named
SHOWS_CHANGES = {Kind.NEW, Kind.MEMORY_UP, Kind.FIXED, Kind.CHANGED} | STANDING
QUIET = 30  # lines about what is quiet, and about what was carried


@dataclass(frozen=True)
class Hand:
    """How names, trackers and what failures say are written: what comes from a failure may look like markup."""

    name: Callable[[str], str] = str
    tracker: Callable[[str], str] = str
    text: Callable[[str], str] = str


PLAIN, MARKDOWN = Hand(), Hand(as_code, as_tracker, escaped)


def verdict(code: int, control: str, claims: Iterable[Claim]) -> str:
    """Say the exit code in words."""
    all_, kinds = {claim.kind for claim in claims}, {claim.kind for claim in claims if claim.fresh}
    if control in {"moved", "silent"}:
        return "inconclusive: machine"
    if code == 1 and kinds & {Kind.NEW, Kind.MEMORY_UP}:
        return "new regression"
    if code == 1 and Kind.DIFFERS in all_:
        return f"{Kind.DIFFERS}{', and results are missing or open' if all_ & OPEN else ''}"
    if code == 1 and not kinds & STRICT:
        return f"{Kind.OTHERWISE} (--strict)"
    if code == 1:
        return "new on the known issues or a signature (--strict)"
    return "results missing or open" if code else "quiet"


def lines(night: Ended) -> list[str]:
    """Return what is said on a terminal, the verdict last."""
    said = [f"{kind}: {text}" for kind, text in _claims(night)]
    said += [f"search: {_searched(one)}" for one in night.searches]
    said += [f"draft: {name}" for name in night.drafts]
    said += [f"against the baseline: {text}" for text in night.against_baseline]
    said += [f"control moved: {text}" for text in night.moved]
    said += [f"machine: {text}" for text in night.machine]
    said += [f"note: {text}" for text in night.notes]
    said += [f"as before: {text}" for text in _as_before(night)]
    said += [_counts(night), *_carried(night)]
    return [*said, f"{night.verdict} (code {night.code})"]


def markdown(night: Ended) -> str:
    """Return ``nightly.md``."""
    out = [f"# {night.matrix}: {night.verdict}", "", f"{night.night}, exit code {night.code}. {_counts(night)}."]
    out += [f"{text}." for text in _carried(night)]
    compared = (
        f"Compared with {night.previous}" if night.previous else "The first night: there is nothing to compare with"
    )
    out += [f"{compared}{f' and the baseline {night.baseline}' if night.baseline else ''}.", ""]
    out += _section("The machine", _texts(night.moved, night.machine), f"Control cell: {night.control}.")
    for kind, group in groupby(_ordered(night.claims), key=lambda claim: claim.kind):
        claims = list(group)
        fresh = [claim for claim in claims if claim.fresh]
        if kind in LOUD or fresh:
            rows = [_row(claim, night, MARKDOWN) for claim in claims]
            out += _section(f"{kind.value.capitalize()} ({len(claims)})", rows)
    out += _section("Searches", [_searched(one, MARKDOWN) for one in night.searches])
    out += _section("Issue drafts", [f"[{name}]({name})" for name in night.drafts])
    out += _section("Against the baseline", _texts(night.against_baseline))
    out += _section("Notes", _texts(night.notes))
    out += _section("Known, accepted or as before", _as_before(night, MARKDOWN))
    out += _section("Not run again", _carried_lines(night))
    out += ["## What ran", "", "| line | why | versions |", "|---|---|---|"]
    out += [
        f"| {as_code(line)} | {escaped(why)} | {escaped(_versions(night, line))} |" for line, why in night.ran.items()
    ]
    return "\n".join([*out, ""])


def _claims(night: Ended) -> list[tuple[str, str]]:
    said = []
    for kind, group in groupby(_ordered(night.claims), key=lambda claim: claim.kind):
        claims = list(group)
        shown = [claim for claim in claims if claim.fresh or kind in OPEN | STANDING] if kind in LOUD else []
        said += [(kind.value, _row(claim, night)) for claim in shown[:MOST]]
        quiet = [claim for claim in claims if _is_quiet(claim)]  # named below, under "as before"
        left = len(claims) - len(shown[:MOST]) - len(quiet)
        if left:
            said.append((kind.value, f"{left} {'more ' if shown else ''}place{'' if left == 1 else 's'}"))
    return said


def _ordered(claims: Iterable[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: (ORDER.index(claim.kind), not claim.fresh, claim.line, claim.scenario))


def _row(claim: Claim, night: Ended, hand: Hand = PLAIN) -> str:
    named = [hand.name(text) for text in (claim.line, claim.scenario) if text]
    where = " · ".join([*named, *([hand.tracker(claim.tracker)] if claim.tracker else [])])
    since = f" (since {claim.since})" if claim.since else ""
    tested = night.resolved.get(claim.line, {})
    ordered = sorted(claim.changed.items(), key=lambda one: (one[0] not in tested, one[0]))
    changed = [f"{name} {' → '.join(display_version(text) or 'none' for text in pair)}" for name, pair in ordered]
    more = f"; changed: {', '.join(changed[:3])}{f' and {len(changed) - 3} more' if len(changed) > 3 else ''}"  # noqa: PLR2004
    told = more if changed and claim.kind in SHOWS_CHANGES else ""
    return f"{where}{': ' if where else ''}{hand.text(f'{claim.detail}{since}{told}')}"


def _searched(one: Searched, hand: Hand = PLAIN) -> str:
    places = [f"{hand.name(scenario)} ({hand.name(line)})" for line, scenario in one.places]
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    run = f" [{one.run}]" if one.run else ""
    return f"{places[0]}{more}: {hand.text(f'{one.answer}{run}')}"


def _counts(night: Ended) -> str:
    words = ", ".join(f"{count} {word}" for word, count in night.counts.items() if count)
    return f"{_results(sum(night.counts.values()))} of tonight: {words or 'none'}"


def _carried(night: Ended) -> list[str]:
    return [f"{_results(one.count)} not run again: unchanged since {one.night}" for one in night.carried]


def _results(number: int) -> str:
    return f"{number} result{'' if number == 1 else 's'}"


def _carried_lines(night: Ended) -> list[str]:
    """Name the cell-lines that were carried, each with how many scenarios and the night in which they were seen."""
    said = []
    for one in night.carried:
        counts = Counter(line for line, _ in one.places)
        said += [f"{as_code(line)}: {count} seen in {one.night}" for line, count in sorted(counts.items())]
    return _capped(said)


def _versions(night: Ended, line: str) -> str:
    return ", ".join(f"{name} {display_version(version)}" for name, version in night.resolved.get(line, {}).items())


def _texts(*many: Iterable[str]) -> list[str]:
    return [escaped(text) for texts in many for text in texts]


def _section(title: str, rows: list[str], before: str = "") -> list[str]:
    if not rows and not before:
        return []
    listed = [*(f"- {row}" for row in rows), ""] if rows else []
    return [f"## {title}", "", *([before, ""] if before else []), *listed]


def _is_quiet(claim: Claim) -> bool:
    return not claim.fresh and claim.kind not in LOUD


def _as_before(night: Ended, hand: Hand = PLAIN) -> list[str]:
    """Name every claim that is quiet: its kind, where, since when, and its tracker."""
    return _capped([f"{one.kind}: {_row(one, night, hand)}" for one in _ordered(night.claims) if _is_quiet(one)])


def _capped(said: list[str]) -> list[str]:
    more = len(said) - QUIET
    return [*said[:QUIET], f"and {more} more"] if more > 0 else said
