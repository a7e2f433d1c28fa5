"""From everything that was seen tonight to what the night claims and leaves behind: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.nightly import against
from harness.nightly.claim import OPEN, REGRESSIONS, Claim, Kind
from harness.nightly.flakes import LEAST, needed, rate
from harness.nightly.judge import ENOUGH_MEMORY, judge
from harness.nightly.known import REPEATED, Shown, life, mark, told_again
from harness.nightly.ledger import Ledger
from harness.nightly.look import Place, Word
from harness.nightly.settle import distrusted, kept, settle
from harness.nightly.situation import Situation
from harness.store.voices import WHOLE_CELL

WITHHELD = {Kind.NEW, Kind.MEMORY_UP, Kind.UNCONFIRMED, Kind.UNEXPLAINED, Kind.CHANGED, Kind.KNOWN_CHANGED}
SAID = REGRESSIONS | OPEN | {Kind.KNOWN}  # a place of which one of these is said is not held against the baseline
KEPT = {Kind.MISSING, Kind.UNKNOWN, Kind.OVERDUE}  # what may be said whatever the machine does


@dataclass(frozen=True)
class Night:
    """What a night claims, what it leaves to the next, and what is to be said beside."""

    claims: tuple[Claim, ...]
    ledger: Ledger | None
    notes: tuple[str, ...] = ()


def to_confirm(now: Situation) -> dict[Place, int]:
    """Return how many more attempts each place needs, alone, before it may be called a regression."""
    wanted = {}
    for look in now.looks.values():
        case = now.case(look)
        kinds = {claim.kind: claim for claim in judge(case)}
        short = Kind.UNCONFIRMED in kinds or (Kind.FLAKY in kinds and look.word is Word.RED)
        first = Kind.APPEARED in kinds and look.word is Word.RED and len(look.attempts) < LEAST
        if look.scenario == WHOLE_CELL or not (short or first):
            continue
        if first:
            wanted[look.place] = LEAST - len(look.attempts)
            continue
        goal = ENOUGH_MEMORY if look.word is Word.GREEN else needed(case.was.tallies if case.was else ())
        wanted[look.place] = max(1, goal - len(look.attempts))
    return wanted


def conclude(now: Situation) -> Night:
    """Return the claims of a night and the ledger after it.

    A night in which the machine cannot be trusted claims no regression and no fix: what would be one is *not claimed*,
    the last answers stay as they were, and what was run is run again.
    """
    judged = {place: judge(now.case(look)) for place, look in now.looks.items()}
    before = set(now.ledger.announced) if now.ledger else set()
    found = told_again([claim for claims in judged.values() for claim in claims] + _gone(now) + _unread(now), before)
    if not now.control.trusted:
        return Night((*_withheld(found), *_overdue(now)), distrusted(now))
    ledger = settle(now, judged)
    found = _with_standing(found, now, ledger)
    told = life(now.issues, _shown(now, ledger), before, now.today)
    again = [one for one in found if one.kind in REPEATED]
    ledger = ledger.model_copy(update={"announced": tuple(map(mark, (*told, *again)))})
    return Night((*found, *told), ledger, _notes(now))


def _with_standing(found: Sequence[Claim], now: Situation, ledger: Ledger) -> list[Claim]:
    """Add what stands worse than the baseline; it is said in place of *still red*.

    What is new or open tonight is said as that alone, and what a known issue describes is quiet.
    """
    told: dict[Place, set[Kind]] = {}
    for claim in found:
        told.setdefault((claim.line, claim.scenario), set()).add(claim.kind)
    standing = {
        place: one
        for place, one in ledger.places().items()
        if (place in now.looks or place in now.carried) and not told.get(place, set()) & SAID
    }
    said = {place: look.reason for place, look in now.looks.items()}
    worse = {(one.line, one.scenario): one for one in against.worse(now.held, standing, ledger.epoch, said)}
    kept = [one for one in found if one.kind is not Kind.STILL_RED or (one.line, one.scenario) not in worse]
    return [*kept, *worse.values()]


def _notes(now: Situation) -> tuple[str, ...]:
    if now.held.epoch in {"", now.epoch}:
        return ()
    return (
        f"memory is not held against the baseline {now.held.run}, for the machine moved since: set one that is newer",
    )


def _withheld(found: Sequence[Claim]) -> list[Claim]:
    kept = [claim for claim in found if claim.kind in KEPT]
    held = [claim for claim in found if claim.kind in WITHHELD]
    said = {"kind": Kind.WITHHELD}
    return kept + [one.model_copy(update={**said, "detail": f"{one.kind}: {one.detail}"}) for one in held]


def _overdue(now: Situation) -> list[Claim]:
    before = set(now.ledger.announced) if now.ledger else set()
    return [claim for claim in life(now.issues, (), before, now.today) if claim.kind is Kind.OVERDUE]


def _gone(now: Situation) -> list[Claim]:
    """Return what is expected no more: lines that left the matrix, and places that nobody lists."""
    if now.ledger is None:
        return []
    left = [one for one in now.ledger.seen if not kept(one, now)]
    lines = {one.line: one for one in left if one.line not in now.lines}
    places = [one for one in left if one.line in now.lines]
    said = [(one, "*", "the line is not in the matrix any more") for one in lines.values()]
    said += [(one, one.scenario, "is not listed any more") for one in places if one.scenario != WHOLE_CELL]
    return [
        Claim(
            kind=Kind.DISAPPEARED, line=one.line, scenario=name, detail=f"{text}; last seen {one.word}", was=one.night
        )
        for one, name, text in said
    ]


def _unread(now: Situation) -> list[Claim]:
    """Return that the baseline gives no answer: a night that cannot be held against it is not green."""
    return [Claim(kind=Kind.UNKNOWN, line="", scenario="", detail=now.held.note)] if now.held.note else []


def _shown(now: Situation, ledger: Ledger) -> list[Shown]:
    """Return every answer that stands, tonight's and carried ones, for the known issues."""
    kept = ledger.places()
    tonight = [
        Shown(look, now.night, tonight=True, flaky=rate(kept[place].tallies).flaky if place in kept else False)
        for place, look in now.looks.items()
    ]
    return [*tonight, *(Shown(one.look, one.night, tonight=False) for one in now.carried.values())]
