"""What one place claims after tonight: pure."""

from __future__ import annotations

from harness.nightly.claim import Claim, ClaimInput, Kind, alike, claim_of
from harness.nightly.flakiness import Rate, needed, rate, streak
from harness.nightly.ledger import with_answers
from harness.nightly.memory import Move, beyond, moves
from harness.nightly.results import same_inputs
from harness.store.records import WHOLE_CELL, Status
from harness.verdict.figures import human_bytes
from harness.verdict.known_issues import State

ENOUGH_MEMORY = 3  # attempts before more memory is called more
BY_CHANGE = {Kind.NEW, Kind.UNCONFIRMED, Kind.CHANGED, Kind.FIXED, Kind.MEMORY_UP, Kind.MEMORY_DOWN}


def classify(case: ClaimInput) -> list[Claim]:
    """Return what a place claims, see :func:`_judge`; a scenario that was edited is never a release's doing unsaid."""
    claims = _judge(case)
    if not case.edited:
        return claims
    return [_edited(case, one) if one.kind in {*BY_CHANGE, Kind.KNOWN_CHANGED} else one for one in claims]


def _edited(case: ClaimInput, claim: Claim) -> Claim:
    if not case.edited_alone:
        return claim.model_copy(update={"detail": f"{claim.detail}; the scenario's source changed too"})
    said = f"its source changed, nothing installed did: {claim.detail}"
    return claim.model_copy(update={"kind": Kind.EDITED if claim.kind in BY_CHANGE else claim.kind, "detail": said})


def _judge(case: ClaimInput) -> list[Claim]:  # noqa: PLR0911  # one return a row of the table
    """Return what a place claims; nothing where it is green as it was.

    ========================== ==================================================================
    miss, skip without a GPU   missing
    unavailable                unavailable
    error                      no answer
    skip                       disappeared, where there was an answer
    a pass and a fail          flaky
    green, was red             fixed; flaky, where nothing changed
    green, memory moved        memory up or down; *not confirmed* until it was measured three times
    red, a known issue's       known issue
    red, was red               still red, or signature changed
    red, as in the baseline    still red
    red, never green           appeared; signature changed, where the baseline is red otherwise
    red, was green or flaky    see :func:`_new_red`
    ========================== ==================================================================
    """
    result, was = case.result, case.was
    match result.status:
        case Status.SKIP if result.lacks_gpu:
            return [claim_of(case, Kind.MISSING, result.reason or "there was no GPU")]
        case Status.UNAVAILABLE:
            return [claim_of(case, Kind.UNAVAILABLE, f"{result.text}{': ' if result.reason else ''}{result.reason}")]
        case Status.MISS:
            last = f"; last result {was.status} in {was.night}" if was else ""
            return [claim_of(case, Kind.MISSING, f"{result.reason or 'no result'}{last}")]
        case Status.ERROR if case.accepted:
            return [claim_of(case, Kind.ACCEPTED, case.accepted, fresh=False)]
        case Status.ERROR:
            return [claim_of(case, Kind.UNKNOWN, f"{result.text}{': ' if result.reason else ''}{result.reason}")]
        case Status.SKIP:
            gone = was is not None and was.status is not Status.SKIP
            return [claim_of(case, Kind.DISAPPEARED, result.reason or "does not apply any more")] if gone else []
        case Status.FLAKY:
            return [_flaky(case)]
        case Status.PASS:
            return _green(case)
        case Status.FAIL:
            return [_red(case)]


def _green(case: ClaimInput) -> list[Claim]:
    """Return what a green place claims: a fix, a flake, memory that moved, or nothing.

    What was red is held against the memory that it took when it last passed.
    """
    was = case.was
    if was is None and case.base is None:
        return [claim_of(case, Kind.APPEARED, "green")]
    moved = _moved(case)
    memory = [_memory(case, max(moved, key=lambda one: abs(one.now - one.before)))] if moved else []
    if was is None or was.status is not Status.FAIL:
        return memory
    if case.rate.flaky:
        return [_flaky(case)]
    said = f"red since {was.since}" if not case.edited_alone else "green, where it was red"
    return [claim_of(case, Kind.FIXED, said), *memory] if case.standing is None else memory


def _moved(case: ClaimInput) -> tuple[Move, ...]:
    """Return the memory that moved, from the last answer, else from the baseline unless that was said before."""
    result, was, base = case.result, case.was, case.base
    if case.new_epoch:
        return ()
    moved = moves(was.figures, result.values) if was is not None and was.gpu == result.gpu else ()
    if moved or base is None or (was is not None and beyond(base, was.result)):
        return moved
    return tuple(Move(one.name, one.before.median, one.after.median) for one in beyond(base, result))


def _memory(case: ClaimInput, move: Move) -> Claim:
    detail = f"{move.figure} {human_bytes(move.before)} → {human_bytes(move.now)}"
    if not move.up:
        return claim_of(case, Kind.MEMORY_DOWN, detail, move=move)
    if case.accepted_memory:
        return claim_of(case, Kind.ACCEPTED, f"{detail}: {case.accepted_memory}", fresh=False)
    enough = len(case.result.outcomes) >= ENOUGH_MEMORY
    kind = Kind.MEMORY_UP if enough else Kind.UNCONFIRMED
    return claim_of(case, kind, f"{detail}{'' if enough else ', measured once'}", move=move)


def _red(case: ClaimInput) -> Claim:
    result, was, standing = case.result, case.was, case.standing
    said = result.reason or str(result.text)
    if standing is not None and standing.state is State.KNOWN:
        same = was is not None and was.status is Status.FAIL and alike(was.result, result)
        since = was.since if was is not None and same else ""
        return claim_of(case, Kind.KNOWN, standing.issue.note or said, fresh=False, since=since)
    if was is not None and was.status is Status.FAIL and alike(was.result, result):
        kind = Kind.STILL_RED if standing is None else Kind.KNOWN_CHANGED
        return claim_of(case, kind, said, fresh=False, since=was.since)
    if case.base is not None and case.base.status is Status.FAIL and alike(case.base, result):
        return claim_of(case, Kind.STILL_RED, f"{said}; red in the baseline too", fresh=was is not None)
    if case.accepted:
        return claim_of(case, Kind.ACCEPTED, case.accepted, fresh=False)
    if was is not None and was.status is Status.FAIL:
        return claim_of(case, Kind.CHANGED if standing is None else Kind.KNOWN_CHANGED, said)
    return _new_red(case, said) if case.once_green else _never_green(case, said)


def _never_green(case: ClaimInput, said: str) -> Claim:
    if case.standing is not None:
        return claim_of(case, Kind.KNOWN_CHANGED, f"red from the first: {said}")
    if case.base is not None and case.base.status is Status.FAIL:
        return claim_of(case, Kind.CHANGED, f"{said}; the baseline is red in another way")
    return claim_of(case, Kind.APPEARED, f"red from the first: {said}")


def _new_red(case: ClaimInput, said: str) -> Claim:
    """Judge a red that was green.

    =========================================================== ====================
    fewer reds in a row than its history gives by chance        not confirmed; flaky, where it ever disagreed
    as many, and neither lock nor source changed                red without a change
    else                                                        new regression
    =========================================================== ====================
    """
    reds, history = streak(with_answers(case.result, "tonight", case.was))
    wanted = (
        1 if case.result.key.scenario == WHOLE_CELL else needed(history)
    )  # what cannot be set up is not set up again
    if reds < wanted:
        if rate(history).flaky:
            return _flaky(case, rate(history), reds)
        if case.edited_alone:
            return claim_of(case, Kind.UNCONFIRMED, f"{said}, where it was green")
        return claim_of(case, Kind.UNCONFIRMED, f"{said}; red {reds} times, {wanted} needed")
    if case.was is not None and same_inputs(case.result, case.was.result):
        moved = "; the machine moved in between" if case.new_epoch else ""
        return claim_of(case, Kind.UNEXPLAINED, f"{said}; nothing that is installed changed{moved}")
    caveat = "; the machine moved in between, so that it may be the cause" if case.new_epoch else ""
    return claim_of(case, Kind.NEW, f"{said}{caveat}" if not case.edited_alone else f"{said}, where it was green")


def _flaky(case: ClaimInput, found: Rate | None = None, reds: int = 0) -> Claim:
    found = found or case.rate
    tonight = f"{reds} times red tonight; " if reds else ""
    known = case.was is not None and rate(case.was.tallies).flaky
    return claim_of(case, Kind.FLAKY, f"{tonight}{found} under an equal lock", fresh=not known)
