"""What a night leaves to the next one: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.nightly.claim import Claim, Kind
from harness.nightly.control import State, answers
from harness.nightly.flakes import rate
from harness.nightly.ledger import Ledger, Seen, seen, tallied
from harness.nightly.levels import watched
from harness.nightly.look import Look, Place, Word
from harness.nightly.situation import Situation
from harness.store.voices import WHOLE_CELL, voices

ANSWERS = {Word.GREEN, Word.RED, Word.FLAKY, Word.SKIP}


def kept(one: Seen, now: Situation) -> bool:
    """Tell whether an earlier answer is still expected: there tonight, carried, or hidden by its cell's failure."""
    if one.place in now.looks or one.place in now.carried:
        return True
    return one.line in now.lines and one.scenario != WHOLE_CELL and _hidden(one.place, now)


def _hidden(place: Place, now: Situation) -> bool:
    """Tell whether tonight another one speaks for a place: its cell, its file or its function."""
    line, scenario = place
    return any((line, name) in now.looks for name in voices(scenario) if name != scenario)


def settle(now: Situation, judged: Mapping[Place, Sequence[Claim]]) -> Ledger:
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


def _unanswered(now: Situation, answered: Collection[Place]) -> tuple[Place, ...]:
    """Return what was run, tonight or before, and never had an answer, as far as it is still expected."""
    before = {place for place in (now.ledger.unanswered if now.ledger else ()) if _hidden(place, now)}
    tonight = {place for place, look in now.looks.items() if look.word not in ANSWERS}
    return tuple(sorted((before | tonight) - set(answered)))


def _control(now: Situation, look: Look, epoch: str) -> Seen:
    """Return what is kept of a scenario of the control cell; that it disagreed with itself is kept from any night."""
    was = _before(now.ledger, look) if now.ledger else None
    if was is not None and now.control.state is State.SETTLED and not rate(was.tallies).flaky:
        was = None  # what the machine showed before it moved is no disagreement of the scenario with itself
    made = seen(_slim(look), now.night, epoch, was, same=True, level=was is not None and was.epoch == epoch)
    return _with_flakes(made, now, was)


def _after(now: Situation, look: Look, kinds: set[Kind], epoch: str) -> Seen | None:
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


def distrusted(now: Situation) -> Ledger | None:
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


def _moved(now: Situation, old: Ledger, look: Look) -> Seen:
    was = _before(old, look)
    made = seen(_slim(look), now.night, now.night, None, same=False, level=False)
    if was is not None and rate(was.tallies).flaky:
        made = made.model_copy(update={"tallies": tallied(look, now.night, was)})
    return _with_flakes(made, now, was)


def _before(old: Ledger, look: Look) -> Seen | None:
    return next((one for one in (*old.control, *old.moved_control) if one.scenario == look.scenario), None)


def _with_flakes(one: Seen, now: Situation, was: Seen | None) -> Seen:
    """Remember that a scenario of the control cell disagreed with itself, tonight or before: it says little then."""
    look = now.looks.get(one.place)
    if look is None or look.word is not Word.FLAKY:
        return one
    return one.model_copy(update={"tallies": tallied(look, now.night, was)})
