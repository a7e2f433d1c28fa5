"""What to do next, by how a bisect ended: pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.version import InvalidVersion, Version

from harness.search.criterion import Evaluation
from harness.search.ends import bad_end_untold, good_end_failed
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.store.records import AttemptRecord, CellRecord, Reason, RunRecord, Status

STEPS_BACK = 2  # minors
SHOWN = 5  # reasons
GIB = 2**30


@dataclass(frozen=True)
class Facts:
    """What a hint may be about: the run, where it lies, the bad end's cell and attempts, and every final release."""

    run: RunRecord
    place: str
    cell: CellRecord | None = None
    attempts: Sequence[AttemptRecord] = ()
    known: Sequence[str] = ()  # ascending
    border: Mapping[str, CellRecord] = field(default_factory=dict)  # release -> its cell, of the two at the border
    compare: str = ""  # a page with the commits between the two
    repository: str = ""  # where the package's source lies


def hints(asked: Question, result: Result, facts: Facts) -> tuple[str, ...]:
    """Return what to do next, one line each.

    ============================================== =====================================================
    found                                          the commits between, the script, the draft, the commit
    not reproduced                                 what this machine and cell are, to compare
    the bad end cannot be judged                   the option that helps, and what this machine and cell are
    the good end is not good                       an older release, or another package by blame
    no good release was found at all               whether it ever worked
    attempts disagree                              more attempts, or one signature
    releases are left that cannot be told          why, and the flag that helps
    interrupted                                    nothing: the last line says how to go on
    ============================================== =====================================================
    """
    lines: tuple[str, ...] = ()
    match result.ending:
        case Ending.FOUND:
            lines = _found(asked, result, facts)
        case Ending.NOT_REPRODUCED:
            end = {one: judged for one, judged in result.releases.items() if one == asked.bad}
            lines = (*_here(facts), *_looser(asked), *_advice(asked, end))
        case Ending.INCONCLUSIVE if bad_end_untold(asked, result):
            lines = (*_here(facts), *_advice(asked, {asked.bad: result.releases[asked.bad]}))
        case Ending.INCONCLUSIVE if asked.open_end and not result.before:
            lines = (_never(asked), *_untold(asked, result.releases))
        case Ending.INCONCLUSIVE if good_end_failed(asked, result):
            lines = _other_end(asked, result, facts)
        case Ending.INCONCLUSIVE if "flaky:" in result.reason:
            lines = _disagree(asked)
        case Ending.INCONCLUSIVE:
            lines = _untold(asked, {one: result.releases[one] for one in result.suspects if one in result.releases})
    return lines


def _found(asked: Question, result: Result, facts: Facts) -> tuple[str, ...]:
    after = result.suspects[0]
    red = facts.border.get(result.before if asked.find_fix else after)
    lines = [f"commits between: {facts.compare}"] if facts.compare else []
    scenario = next((one.scenario for one in facts.attempts if red and one.cell == red.id and _failed(one)), None)
    if red is not None and scenario is not None:  # where only a figure is bad nothing failed: there is nothing to show
        words = ["harness", "repro", facts.place, red.id, scenario, "-o", "repro.py"]
        lines.append(f"a script for a maintainer: {shlex.join(words)}")
        draft = ["harness", "issue", facts.place, "--bisect", facts.place]
        lines.append(f"a draft of the issue: {shlex.join(draft)}")
    if facts.repository:
        words = ["harness", "bisect", "--resume", facts.place, "--into", f"git:{facts.repository}"]
        lines.append(f"the commit: {shlex.join(words)}")
    return tuple(lines)


def _failed(one: AttemptRecord) -> bool:
    return bool(one.attempt) and one.outcome.status is Status.FAIL


def _here(facts: Facts) -> tuple[str, ...]:
    """List what a person compares with the report that they try to reproduce."""
    host, size = facts.run.host, facts.run.matrix.get("checkpoints", {})
    cards = ", ".join(f"{one.name} {one.memory_bytes / GIB:.0f} GiB (driver {one.driver})" for one in host.gpus)
    ran = sorted({one.ran_on for one in facts.attempts if one.ran_on})
    lines = ["compare with the report that it comes from; here it was"]
    where = f", ran on {', '.join(ran)}" if ran else ""
    lines.append(f"  machine: {host.platform}, {cards or 'no GPU'}{where}")
    weights, kind = size.get("weights", "synthetic"), size.get("size", "tiny")
    named = sorted({name for info in facts.run.scenarios for name in info.checkpoints})
    if named:
        lines.append(f"  checkpoints: {', '.join(named)}, {kind if weights == 'synthetic' else weights}")
    if facts.cell is not None:
        names = dict.fromkeys((*facts.cell.pins, "torch"))
        found = {**facts.cell.pins, **facts.cell.versions}
        versions = [f"{name} {found[name]}" for name in names if name in found]
        lines.append(f"  versions: {', '.join((f'Python {facts.cell.python}', *versions))}")
        if facts.cell.variables:
            lines.append(f"  variables: {', '.join(f'{k}={v}' for k, v in facts.cell.variables.items())}")
    if named and weights == "synthetic" and kind == "tiny":
        lines.append('  a failure that needs real sizes shows with size = "full" under [checkpoints] of the matrix')
    return tuple(lines)


def _looser(asked: Question) -> tuple[str, ...]:
    if asked.signature:
        return ("without --signature any failure counts as bad",)
    return ("--metric and --above ask for a figure instead of a failure",) if asked.metric is None else ()


def _other_end(asked: Question, result: Result, facts: Facts) -> tuple[str, ...]:
    if result.releases[asked.good].bad is None:
        return _untold(asked, {asked.good: result.releases[asked.good]})
    if asked.find_fix:
        newest = facts.known[-1] if facts.known else asked.good
        if newest == asked.good:
            return (f"{asked.good} is the newest release: it is not fixed in any", *_looser(asked))
        return (f"try the newest release: --good {newest}",)
    older = minors_before(asked.good, facts.known)
    lines = [f"try an older good end: --good {older}"] if older else []
    lines.append("leave --good out, and the search goes back until a release is good")
    lines.append("if no release is good it is another package: harness blame names it between two cells")
    return tuple(lines)


def _never(asked: Question) -> str:
    if asked.find_fix:
        return "name a release that is bad (--bad), or drop --find-fix"
    return (
        "it may never have worked with these pins: harness blame compares two cells that differ in other packages too"
    )


def _disagree(asked: Question) -> tuple[str, ...]:
    more = max(5, 2 * asked.confirm)
    lines = [f"more attempts say how often: --confirm {more}"]
    if asked.metric:
        lines.append("the figure lies on both sides of the bound: choose --above further from both ends")
    elif asked.signature is None:
        lines.append("if it fails in several ways: --signature S counts one of them")
    return tuple(lines)


def _untold(asked: Question, releases: Mapping[str, Evaluation]) -> tuple[str, ...]:
    """Say why releases cannot be told, and which option helps."""
    untold = {release: judged.reason for release, judged in releases.items() if judged.bad is None}
    newest = list(untold.items())[::-1] if asked.open_end else list(untold.items())
    lines = [f"{release} cannot be told: {reason}" for release, reason in newest[:SHOWN]]
    if len(untold) > SHOWN:
        lines.append(f"… and {len(untold) - SHOWN} more: the report has them")
    return (*lines, *_advice(asked, releases))


def _advice(asked: Question, releases: Mapping[str, Evaluation]) -> tuple[str, ...]:
    """Name the options that help where releases cannot be told."""
    lines = []
    reasons = " ".join(judged.reason for judged in releases.values() if judged.bad is None)
    if "flaky:" in reasons:
        lines.append("attempts disagree there: --confirm or --signature S")
    if Reason.TIMEOUT in reasons:
        lines.append("out of time: --timeout SECONDS gives more")
    if Reason.GPU_BUSY in reasons:
        lines.append("the card was in use: wait until it is free, or --gpu-busy SIZE")
    if Reason.UNSOLVABLE in reasons or Reason.INSTALL_FAILED in reasons:
        lines.append("what cannot be installed together: change the other pins of the matrix")
    if asked.signature and " fail:" in reasons and Reason.TIMEOUT not in reasons:
        lines.append("another failure stands there: --good-signature S counts it as good, no --signature counts any")
    return tuple(lines)


def minors_before(release: str, known: Sequence[str]) -> str | None:
    """Return the newest release of the second minor before a release's own; of the oldest where there is no second."""
    try:
        own = Version(release)
        versions = sorted(Version(one) for one in known)
    except InvalidVersion:
        return None
    newest = {one.release[:2]: one for one in versions if one.release[:2] < own.release[:2]}
    older = [newest[minor] for minor in sorted(newest)]
    return str(older[max(0, len(older) - STEPS_BACK)]) if older else None
