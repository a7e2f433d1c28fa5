"""From everything that was seen tonight to what the night claims and leaves behind: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.nightly.baseline import worse
from harness.nightly.claim import OPEN, REGRESSIONS, Claim, Kind
from harness.nightly.classify import ENOUGH_MEMORY, classify
from harness.nightly.control import State, answers
from harness.nightly.evidence import NightEvidence
from harness.nightly.flakiness import LEAST, needed, rate
from harness.nightly.known_issues import REPEATED, Shown, life, mark, told_again
from harness.nightly.ledger import LastResult, Ledger, remember, with_answers
from harness.nightly.memory import watched
from harness.nightly.results import has_answer
from harness.store.records import WHOLE_CELL, Status, fallback_ids
from harness.verdict.result import ResultKey, ScenarioResult


def kept(one: LastResult, now: NightEvidence) -> bool:
    """Tell whether an earlier answer is still expected: there tonight, carried, or hidden by its cell's failure."""
    if one.key in now.results or one.key in now.carried:
        return True
    return one.line in now.lines and one.scenario != WHOLE_CELL and _hidden(one.key, now)


def _hidden(key: ResultKey, now: NightEvidence) -> bool:
    """Tell whether tonight another one speaks for a place: its cell, its file or its function."""
    line, scenario = key
    return any((line, name) in now.results for name in fallback_ids(scenario) if name != scenario)


def settle(now: NightEvidence, judged: Mapping[ResultKey, Sequence[Claim]]) -> Ledger:
    """Return the ledger after a night in which the machine was trusted."""
    old = now.ledger
    epoch = now.epoch
    after = {one.key: one for one in (old.seen if old else ()) if kept(one, now)}
    for key, result in now.results.items():
        made = _after(now, result, {claim.kind for claim in judged[key]}, epoch)
        if made is not None:
            after[key] = made
    hidden = after.keys() - now.results.keys() - now.carried.keys()
    tried = {result.key.series: result.lock for result in now.results.values()}
    after |= {key: _unsure(after[key], tried.get(key[0], "")) for key in hidden}
    control = tuple(_control(now, result, epoch) for result in now.control_results.values() if answers(result))
    return Ledger(
        night=now.night,
        epoch=epoch,
        facts=now.facts,
        seen=tuple(after.values()),
        control=control,
        unanswered=_unanswered(now, after.keys()),
    )


def _unanswered(now: NightEvidence, answered: Collection[ResultKey]) -> tuple[ResultKey, ...]:
    """Return what was run, tonight or before, and never had an answer, as far as it is still expected."""
    before = {key for key in (now.ledger.unanswered if now.ledger else ()) if _hidden(key, now)}
    tonight = {key for key, result in now.results.items() if not has_answer(result)}
    return tuple(sorted((before | tonight) - set(answered)))


def _control(now: NightEvidence, result: ScenarioResult, epoch: str) -> LastResult:
    """Return what is kept of a scenario of the control cell; that it disagreed with itself is kept from any night."""
    was = _before(now.ledger, result) if now.ledger else None
    if was is not None and now.control.state is State.SETTLED and not rate(was.tallies).flaky:
        was = None  # what the machine showed before it moved is no disagreement of the scenario with itself
    made = remember(_slim(result), now.night, epoch, was, same=True, level=was is not None and was.epoch == epoch)
    return _with_flakes(made, now, was)


def _after(now: NightEvidence, result: ScenarioResult, kinds: set[Kind], epoch: str) -> LastResult | None:
    """Return what is kept of one place; an answer that is open leaves the earlier one, marked unsure."""
    was = now.was(result.key)
    if not has_answer(result):
        return _unsure(was, result.lock) if was is not None and result.key.scenario != WHOLE_CELL else None
    if Kind.UNCONFIRMED in kinds or (Kind.FLAKY in kinds and result.status is Status.FAIL):
        return was and _unsure(was, result.lock).model_copy(update={"tallies": with_answers(result, now.night, was)})
    slim = _slim(result)
    same = was is not None and was.status is result.status and not kinds & {Kind.CHANGED, Kind.EDITED}
    level = not kinds & {Kind.MEMORY_UP, Kind.MEMORY_DOWN, Kind.EDITED, Kind.ACCEPTED}
    made = remember(slim, now.night, epoch, was, same=same, level=level)
    if result.status is not Status.PASS:  # what a failed attempt measured is no level
        passed = was.figures if was is not None and was.epoch == epoch else {}
        made = made.model_copy(update={"figures": passed})
    return made


def _unsure(one: LastResult, lock: str) -> LastResult:
    return one.model_copy(update={"unsure": True, "tried": lock})


def _slim(result: ScenarioResult) -> ScenarioResult:
    """Leave out the figures that nothing is claimed about."""
    return replace(result, values={name: values for name, values in result.values.items() if watched(name)})


def distrusted(now: NightEvidence) -> Ledger | None:
    """Return the ledger after a night in which the machine was not trusted: as before, with tonight's control.

    That a scenario of the control cell disagreed with itself is kept of it as a place, too.
    """
    old = now.ledger or Ledger(night=now.night, epoch=now.night)
    moved = tuple(_moved(now, old, result) for result in now.control_results.values() if answers(result))
    if not moved:
        return now.ledger
    control = tuple(_with_flakes(one, now, one) for one in old.control)
    mine = {result.key for result in now.control_results.values()}
    places = tuple(_with_flakes(one, now, one) if one.key in mine else one for one in old.seen)
    update = {"night": now.night, "facts": now.facts, "control": control, "moved_control": moved, "seen": places}
    return old.model_copy(update=update)


def _moved(now: NightEvidence, old: Ledger, result: ScenarioResult) -> LastResult:
    was = _before(old, result)
    made = remember(_slim(result), now.night, now.night, None, same=False, level=False)
    if was is not None and rate(was.tallies).flaky:
        made = made.model_copy(update={"tallies": with_answers(result, now.night, was)})
    return _with_flakes(made, now, was)


def _before(old: Ledger, result: ScenarioResult) -> LastResult | None:
    return next((one for one in (*old.control, *old.moved_control) if one.scenario == result.key.scenario), None)


def _with_flakes(one: LastResult, now: NightEvidence, was: LastResult | None) -> LastResult:
    """Remember that a scenario of the control cell disagreed with itself, tonight or before: it says little then."""
    result = now.results.get(one.key)
    if result is None or result.status is not Status.FLAKY:
        return one
    return one.model_copy(update={"tallies": with_answers(result, now.night, was)})


WITHHELD = {Kind.NEW, Kind.MEMORY_UP, Kind.UNCONFIRMED, Kind.UNEXPLAINED, Kind.CHANGED, Kind.KNOWN_CHANGED}


SAID = REGRESSIONS | OPEN | {Kind.KNOWN}  # a place of which one of these is said is not held against the baseline


KEPT = {Kind.MISSING, Kind.UNKNOWN, Kind.OVERDUE}  # what may be said whatever the machine does


@dataclass(frozen=True)
class Night:
    """What a night claims, what it leaves to the next, and what is to be said beside."""

    claims: tuple[Claim, ...]
    ledger: Ledger | None
    notes: tuple[str, ...] = ()


def to_confirm(now: NightEvidence) -> dict[ResultKey, int]:
    """Return how many more attempts each place needs, alone, before it may be called a regression."""
    wanted = {}
    for result in now.results.values():
        case = now.case(result)
        kinds = {claim.kind: claim for claim in classify(case)}
        short = Kind.UNCONFIRMED in kinds or (Kind.FLAKY in kinds and result.status is Status.FAIL)
        first = Kind.APPEARED in kinds and result.status is Status.FAIL and len(result.outcomes) < LEAST
        if result.key.scenario == WHOLE_CELL or not (short or first):
            continue
        if first:
            wanted[result.key] = LEAST - len(result.outcomes)
            continue
        goal = ENOUGH_MEMORY if result.status is Status.PASS else needed(case.was.tallies if case.was else ())
        wanted[result.key] = max(1, goal - len(result.outcomes))
    return wanted


def conclude(now: NightEvidence) -> Night:
    """Return the claims of a night and the ledger after it.

    A night in which the machine cannot be trusted claims no regression and no fix: what would be one is *not claimed*,
    the last answers stay as they were, and what was run is run again.
    """
    judged = {key: classify(now.case(result)) for key, result in now.results.items()}
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
    told: dict[ResultKey, set[Kind]] = {}
    for claim in found:
        told.setdefault(claim.key, set()).add(claim.kind)
    standing = {
        key: one
        for key, one in ledger.last_results().items()
        if (key in now.results or key in now.carried) and not told.get(key, set()) & SAID
    }
    said = {key: result.reason for key, result in now.results.items()}
    against = {one.key: one for one in worse(now.baseline, standing, ledger.epoch, said)}
    kept = [one for one in found if one.kind is not Kind.STILL_RED or one.key not in against]
    return [*kept, *against.values()]


def _notes(now: NightEvidence) -> tuple[str, ...]:
    if now.baseline.epoch in {"", now.epoch}:
        return ()
    return (
        f"memory is not held against the baseline {now.baseline.run}, for the machine moved since: set a newer one",
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
            kind=Kind.DISAPPEARED,
            line=one.line,
            scenario=name,
            detail=f"{text}; last result {one.status}",
            was=one.night,
        )
        for one, name, text in said
    ]


def _unread(now: NightEvidence) -> list[Claim]:
    """Return that the baseline gives no answer: a night that cannot be held against it is not green."""
    return [Claim(kind=Kind.UNKNOWN, line="", scenario="", detail=now.baseline.note)] if now.baseline.note else []


def _shown(now: NightEvidence, ledger: Ledger) -> list[Shown]:
    """Return every answer that stands, tonight's and carried ones, for the known issues."""
    kept = ledger.last_results()
    tonight = [
        Shown(result, now.night, tonight=True, flaky=rate(kept[key].tallies).flaky if key in kept else False)
        for key, result in now.results.items()
    ]
    return [*tonight, *(Shown(one.result, one.night, tonight=False) for one in now.carried.values())]
