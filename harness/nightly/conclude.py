"""From everything that was seen tonight to what the night claims and leaves behind: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.nightly import baseline
from harness.nightly.claim import OPEN, REGRESSIONS, Claim, Kind
from harness.nightly.classify import ENOUGH_MEMORY, classify
from harness.nightly.control import State, answers
from harness.nightly.evidence import NightEvidence
from harness.nightly.flakiness import LEAST, needed, rate
from harness.nightly.known_issues import REPEATED, Shown, life, mark, told_again
from harness.nightly.ledger import Ledger, Seen, seen, tallied
from harness.nightly.look import Look, Place, Word
from harness.nightly.memory import watched
from harness.store.records import WHOLE_CELL, fallback_ids

ANSWERS = {Word.GREEN, Word.RED, Word.FLAKY, Word.SKIP}


def kept(one: Seen, now: NightEvidence) -> bool:
    """Tell whether an earlier answer is still expected: there tonight, carried, or hidden by its cell's failure."""
    if one.place in now.looks or one.place in now.carried:
        return True
    return one.line in now.lines and one.scenario != WHOLE_CELL and _hidden(one.place, now)


def _hidden(place: Place, now: NightEvidence) -> bool:
    """Tell whether tonight another one speaks for a place: its cell, its file or its function."""
    line, scenario = place
    return any((line, name) in now.looks for name in fallback_ids(scenario) if name != scenario)


def settle(now: NightEvidence, judged: Mapping[Place, Sequence[Claim]]) -> Ledger:
    """Return the ledger after a night in which the machine was trusted."""
    old = now.ledger
    epoch = now.epoch
    after = {one.place: one for one in (old.seen if old else ()) if kept(one, now)}
    for place, look in now.looks.items():
        made = _after(now, look, {claim.kind for claim in judged[place]}, epoch)
        if made is not None:
            after[place] = made
    hidden = after.keys() - now.looks.keys() - now.carried.keys()
    tried = {look.line: look.mark.lock for look in now.looks.values()}
    after |= {place: _unsure(after[place], tried.get(place[0], "")) for place in hidden}
    control = tuple(_control(now, look, epoch) for look in now.control_looks.values() if answers(look))
    return Ledger(
        night=now.night,
        epoch=epoch,
        facts=now.facts,
        seen=tuple(after.values()),
        control=control,
        unanswered=_unanswered(now, after.keys()),
    )


def _unanswered(now: NightEvidence, answered: Collection[Place]) -> tuple[Place, ...]:
    """Return what was run, tonight or before, and never had an answer, as far as it is still expected."""
    before = {place for place in (now.ledger.unanswered if now.ledger else ()) if _hidden(place, now)}
    tonight = {place for place, look in now.looks.items() if look.word not in ANSWERS}
    return tuple(sorted((before | tonight) - set(answered)))


def _control(now: NightEvidence, look: Look, epoch: str) -> Seen:
    """Return what is kept of a scenario of the control cell; that it disagreed with itself is kept from any night."""
    was = _before(now.ledger, look) if now.ledger else None
    if was is not None and now.control.state is State.SETTLED and not rate(was.tallies).flaky:
        was = None  # what the machine showed before it moved is no disagreement of the scenario with itself
    made = seen(_slim(look), now.night, epoch, was, same=True, level=was is not None and was.epoch == epoch)
    return _with_flakes(made, now, was)


def _after(now: NightEvidence, look: Look, kinds: set[Kind], epoch: str) -> Seen | None:
    """Return what is kept of one place; an answer that is open leaves the earlier one, marked unsure."""
    was = now.was(look.place)
    if look.word not in ANSWERS:
        return _unsure(was, look.mark.lock) if was is not None and look.scenario != WHOLE_CELL else None
    if Kind.UNCONFIRMED in kinds or (Kind.FLAKY in kinds and look.word is Word.RED):
        return was and _unsure(was, look.mark.lock).model_copy(update={"tallies": tallied(look, now.night, was)})
    slim = _slim(look)
    same = was is not None and was.word is look.word and not kinds & {Kind.CHANGED, Kind.EDITED}
    level = not kinds & {Kind.MEMORY_UP, Kind.MEMORY_DOWN, Kind.EDITED, Kind.ACCEPTED}
    made = seen(slim, now.night, epoch, was, same=same, level=level)
    if look.word is not Word.GREEN:  # what a failed attempt measured is no level
        passed = was.figures if was is not None and was.epoch == epoch else {}
        made = made.model_copy(update={"figures": passed})
    return made


def _unsure(one: Seen, lock: str) -> Seen:
    return one.model_copy(update={"unsure": True, "tried": lock})


def _slim(look: Look) -> Look:
    """Leave out the figures that nothing is claimed about."""
    return replace(look, figures={name: values for name, values in look.figures.items() if watched(name)})


def distrusted(now: NightEvidence) -> Ledger | None:
    """Return the ledger after a night in which the machine was not trusted: as before, with tonight's control.

    That a scenario of the control cell disagreed with itself is kept of it as a place, too.
    """
    old = now.ledger or Ledger(night=now.night, epoch=now.night)
    moved = tuple(_moved(now, old, look) for look in now.control_looks.values() if answers(look))
    if not moved:
        return now.ledger
    control = tuple(_with_flakes(one, now, one) for one in old.control)
    mine = {look.place for look in now.control_looks.values()}
    places = tuple(_with_flakes(one, now, one) if one.place in mine else one for one in old.seen)
    update = {"night": now.night, "facts": now.facts, "control": control, "moved_control": moved, "seen": places}
    return old.model_copy(update=update)


def _moved(now: NightEvidence, old: Ledger, look: Look) -> Seen:
    was = _before(old, look)
    made = seen(_slim(look), now.night, now.night, None, same=False, level=False)
    if was is not None and rate(was.tallies).flaky:
        made = made.model_copy(update={"tallies": tallied(look, now.night, was)})
    return _with_flakes(made, now, was)


def _before(old: Ledger, look: Look) -> Seen | None:
    return next((one for one in (*old.control, *old.moved_control) if one.scenario == look.scenario), None)


def _with_flakes(one: Seen, now: NightEvidence, was: Seen | None) -> Seen:
    """Remember that a scenario of the control cell disagreed with itself, tonight or before: it says little then."""
    look = now.looks.get(one.place)
    if look is None or look.word is not Word.FLAKY:
        return one
    return one.model_copy(update={"tallies": tallied(look, now.night, was)})


WITHHELD = {Kind.NEW, Kind.MEMORY_UP, Kind.UNCONFIRMED, Kind.UNEXPLAINED, Kind.CHANGED, Kind.KNOWN_CHANGED}


SAID = REGRESSIONS | OPEN | {Kind.KNOWN}  # a place of which one of these is said is not held against the baseline


KEPT = {Kind.MISSING, Kind.UNKNOWN, Kind.OVERDUE}  # what may be said whatever the machine does


@dataclass(frozen=True)
class Night:
    """What a night claims, what it leaves to the next, and what is to be said beside."""

    claims: tuple[Claim, ...]
    ledger: Ledger | None
    notes: tuple[str, ...] = ()


def to_confirm(now: NightEvidence) -> dict[Place, int]:
    """Return how many more attempts each place needs, alone, before it may be called a regression."""
    wanted = {}
    for look in now.looks.values():
        case = now.case(look)
        kinds = {claim.kind: claim for claim in classify(case)}
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


def conclude(now: NightEvidence) -> Night:
    """Return the claims of a night and the ledger after it.

    A night in which the machine cannot be trusted claims no regression and no fix: what would be one is *not claimed*,
    the last answers stay as they were, and what was run is run again.
    """
    judged = {place: classify(now.case(look)) for place, look in now.looks.items()}
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


def _with_standing(found: Sequence[Claim], now: NightEvidence, ledger: Ledger) -> list[Claim]:
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
    worse = {(one.line, one.scenario): one for one in baseline.worse(now.held, standing, ledger.epoch, said)}
    kept = [one for one in found if one.kind is not Kind.STILL_RED or (one.line, one.scenario) not in worse]
    return [*kept, *worse.values()]


def _notes(now: NightEvidence) -> tuple[str, ...]:
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


def _overdue(now: NightEvidence) -> list[Claim]:
    before = set(now.ledger.announced) if now.ledger else set()
    return [claim for claim in life(now.issues, (), before, now.today) if claim.kind is Kind.OVERDUE]


def _gone(now: NightEvidence) -> list[Claim]:
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


def _unread(now: NightEvidence) -> list[Claim]:
    """Return that the baseline gives no answer: a night that cannot be held against it is not green."""
    return [Claim(kind=Kind.UNKNOWN, line="", scenario="", detail=now.held.note)] if now.held.note else []


def _shown(now: NightEvidence, ledger: Ledger) -> list[Shown]:
    """Return every answer that stands, tonight's and carried ones, for the known issues."""
    kept = ledger.places()
    tonight = [
        Shown(look, now.night, tonight=True, flaky=rate(kept[place].tallies).flaky if place in kept else False)
        for place, look in now.looks.items()
    ]
    return [*tonight, *(Shown(one.look, one.night, tonight=False) for one in now.carried.values())]
