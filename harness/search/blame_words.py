"""What a blame says at its end: the answer in one sentence, why, and what to do next; pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness.search.blamed import BlameQuestion, BlameResult
from harness.search.result import Ending
from harness.store.records import AttemptRecord, HostRecord, Reason, Status

SHOWN = 5  # packages that come and go; the result names all


def heads(result: BlameResult) -> dict[str, tuple[str, ...]]:
    """Return what an answer is named after, each with what only moves with it: proven members, the first of a group."""
    found: dict[str, tuple[str, ...]] = {}
    for group in result.proven:
        if not any(set(group) & {name, *others} for name, others in found.items()):
            found[group[0]] = group[1:]
    first = [name for name in result.members if name in found] or list(result.members[:1])
    return {name: found.get(name, ()) for name in first}


def sentence(result: BlameResult) -> str:
    """Say the answer in one sentence."""
    names = ", ".join(result.members)
    match result.ending:
        case Ending.FOUND:
            return _answer(result)
        case Ending.NOT_REPRODUCED:
            return f"not reproduced: {result.reason}"
        case Ending.INTERRUPTED:
            return f"interrupted: left are {names}"
        case Ending.INCONCLUSIVE if result.unsure:
            known = ", ".join(one for one in result.members if one not in result.unsure)
            besides = f"{known} {'is' if ',' not in known else 'are'} part of it, and " if known else ""
            return f"inconclusive: {besides}nobody can tell whether it goes without {', '.join(result.unsure)}"
    return f"inconclusive: {result.reason}; left are {names}"


def _answer(result: BlameResult) -> str:
    first = heads(result)
    words = _join([result.changes[one] for one in first])
    tied = {name: [result.changes[one] for one in others] for name, others in first.items() if others}
    said = {*first, *(one for others in first.values() for one in others)}
    loose = [result.changes[one] for one in result.members if one not in said]
    if len(first) > 1:
        which = "either one" if len(first) == 2 else "any one of them"  # noqa: PLR2004
        parts = [f"{words} are needed together; with {which} taken away it is green"]
    else:
        parts = [f"{words} turns green into red" if tied or loose else f"{words} alone turns green into red"]
    parts += [f"{_join(others)} cannot be taken apart from {name}" for name, others in tied.items()]
    parts += [f"{_join(loose)} cannot be taken away alone"] if loose else []
    return "; ".join(parts)


def _join(words: Sequence[str]) -> str:
    return " and ".join(([", ".join(words[:-1])] if len(words) > 1 else []) + [words[-1]])


def why(result: BlameResult) -> tuple[str, ...]:
    """Say what came along, and of each member that could not be taken away alone why."""
    some, more = ", ".join(result.followers[:SHOWN]), len(result.followers) - SHOWN
    came = [f"with this come and go: {some}{f' and {more} more' if more > 0 else ''}"] if some else []
    apart = [f"without {name} there is no such environment: {reason}" for name, reason in result.apart.items()]
    unsure = [f"without {name} nobody can tell: {reason}" for name, reason in result.unsure.items()]
    return (*came, *apart, *unsure)


def script(result: BlameResult, attempts: Sequence[AttemptRecord], place: str) -> tuple[str, ...]:
    """Return how to make a script of the answer's red cell, for a maintainer, and a draft of the issue."""
    red = next((one.cell for one in result.probes if set(one.applied) == set(result.members)), None)
    row = next((one for one in attempts if one.cell == red and one.outcome.status is Status.FAIL), None)
    if row is None:
        return ()
    words = ("harness", "repro", place, row.cell, row.scenario, "-o", "repro.py")
    draft = ("harness", "issue", place)
    return (f"a script for a maintainer: {shlex.join(words)}", f"a draft of the issue: {shlex.join(draft)}")


def advice(asked: BlameQuestion, result: BlameResult, host: HostRecord) -> tuple[str, ...]:
    """Return what to do where there is no answer.

    ============================== ==========================================================
    not reproduced                 what this machine is, to compare with the report
    the good end is not good       an older one, or the signature that is asked for
    attempts disagree              more of them, or one signature
    a busy card, no time           the option that helps
    a bundle without such a cell   more cells, or an index
    another failure                the signature that counts as good
    ============================== ==========================================================
    """
    if result.ending is Ending.NOT_REPRODUCED:
        cards = ", ".join(f"{gpu.name} (driver {gpu.driver})" for gpu in host.gpus) or "no GPU"
        here = f"here it is {host.platform}, {cards}, Python {asked.shared.python}"
        return (f"compare with the report: {here}; the notes above say what was left out",)
    if result.ending is not Ending.INCONCLUSIVE:
        return ()
    said = " ".join((result.reason, *result.unsure.values()))
    lines = []
    if said.startswith("the good end is not good"):
        lines.append("take an older good end")
    if "flaky:" in said:
        lines.append(
            f"attempts disagree: --confirm {max(5, 2 * asked.confirm)} says how often, --signature S counts one failure"
        )
    if Reason.TIMEOUT in said:
        lines.append("out of time: --timeout SECONDS gives more")
    if Reason.GPU_BUSY in said:
        lines.append("the card was in use: wait until it is free, or --gpu-busy SIZE")
    if "the bundle has no cell" in said:
        lines.append("a bundle with cells between these two, or an index, tells more")
    if " fail:" in said and "flaky:" not in said:
        counts = (
            "--good-signature S counts another failure as good"
            if asked.signature
            else "--signature S counts one failure alone"
        )
        lines.append(f"it fails in more than one way: {counts}")
    return tuple(lines)
