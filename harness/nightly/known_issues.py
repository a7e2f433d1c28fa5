"""The life of the known issues: which did not show, and which are due for review. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.nightly.claim import Claim, Kind
from harness.store.records import Status
from harness.verdict.known_issues import KnownIssue, Standing, State, standing
from harness.verdict.result import ScenarioResult

REPEATED = {Kind.KNOWN_CHANGED, Kind.MISSING, Kind.UNKNOWN}  # places of which each is said until it is so no more


@dataclass(frozen=True)
class Shown:
    """A place in the range of known issues: what it shows, in which night, and whether it is known to be flaky."""

    result: ScenarioResult
    night: str
    tonight: bool
    flaky: bool = False


def standing_of(issues: Sequence[KnownIssue], result: ScenarioResult) -> Standing | None:
    """Return what the known issues say about a look; a flaky one, and one without an answer, stands nowhere."""
    outcome = result.outcomes[-1] if result.outcomes and result.status in {Status.PASS, Status.FAIL} else None
    return standing(issues, result.key.scenario, result.versions, outcome, result.signatures)


def life(issues: Sequence[KnownIssue], shown: Iterable[Shown], before: set[str], today: dt.date) -> list[Claim]:
    """Announce what is gone and what is overdue, one claim an entry.

    ``before`` holds the entries (:func:`name`) that were gone or overdue in the last night: these are not fresh.
    """
    places = list(shown)
    said = [claim for issue in issues if (claim := _gone(issues, issue, places)) is not None]
    said += [_overdue(issue, today) for issue in issues if issue.review_by is not None and issue.review_by < today]
    return [one.model_copy(update={"fresh": mark(one) not in before}) for one in said]


def mark(claim: Claim) -> str:
    """Return what tells a claim that is said every night from another one; a place is told by its line too."""
    line = f" {claim.line}" if claim.kind in REPEATED else ""
    return f"{claim.kind}{line} {claim.scenario} {claim.tracker} {claim.signature}"


def told_again(claims: Iterable[Claim], before: set[str]) -> list[Claim]:
    """Call what is said of a place every night fresh in its first night alone: ``before`` are last night's marks."""
    return [
        one.model_copy(update={"fresh": mark(one) not in before}) if one.kind in REPEATED else one for one in claims
    ]


def _gone(issues: Sequence[KnownIssue], issue: KnownIssue, places: Sequence[Shown]) -> Claim | None:
    """Announce an entry whose place passes in its range; what passes is named with the night in which it was seen."""
    found = [(one, told) for one in places if (told := standing_of(issues, one.result)) and told.issue == issue]
    gone = [one for one, told in found if told.state is State.GONE and not one.flaky]
    if not gone:
        return None
    red = [one for one, told in found if told.state is State.KNOWN]
    newest = gone[-1]
    versions = ", ".join(f"{name} {newest.result.versions[name]}" for name in issue.versions)
    advice = f"narrow its range, for it is still red in {red[0].result.key.series}" if red else "remove the entry"
    seen = "" if newest.tonight else f" (seen in {newest.night})"
    lines = ", ".join(dict.fromkeys(one.result.key.series for one in gone))
    return Claim(
        kind=Kind.KNOWN_GONE,
        line=lines,
        scenario=issue.scenario,
        cell=newest.result.cell,
        detail=f"fixed by {versions}? {advice}{seen}",
        signature=issue.signature,
        tracker=issue.tracker,
    )


def _overdue(issue: KnownIssue, today: dt.date) -> Claim:
    late = (today - issue.review_by).days if issue.review_by else 0
    return Claim(
        kind=Kind.OVERDUE,
        line="",
        scenario=issue.scenario,
        detail=f"was to be reviewed by {issue.review_by}, {late} days ago",
        signature=issue.signature,
        tracker=issue.tracker,
    )
