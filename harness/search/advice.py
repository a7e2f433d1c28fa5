"""What to do after a search: the next commands of an answer, and the options that help without one; pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from harness.search.conclusions import causes
from harness.search.criterion import Cause
from harness.search.links import compare_link, repositories, repository_of
from harness.search.pins import commit_pin
from harness.search.records import (
    BlameResult,
    CommitQuestion,
    CommitResult,
    Ending,
    Question,
    ReleaseQuestion,
    ReleaseResult,
    Result,
    SearchRecord,
)
from harness.store.records import AttemptRecord, CellRecord, RunRecord, Status

MINORS_BACK = 2
REASONS_SHOWN = 5
GIB = 2**30


@dataclass(frozen=True)
class Facts:
    """What advice may refer to.

    Attributes:
        run: The run of the search.
        attempts: All its attempts.
        place: Its folder, as a command names it.
        known: All final releases of the package, ascending.
    """

    run: RunRecord
    attempts: Sequence[AttemptRecord]
    place: str
    known: Sequence[str] = ()

    def cell(self, package: str, label: str) -> CellRecord | None:
        """Return the cell that has a package at one version."""
        return next((cell for cell in self.run.cells if cell.labels.get(package) == label), None)


def advice(question: Question, result: Result, facts: Facts) -> tuple[str, ...]:
    """Return what to do next, one line each.

    ============================= ====================================================================
    found                         the commits between, a script, a draft of the issue, the commit
    not reproduced                facts about this machine and cell, to compare with the report
    the bad end is undecided      the same facts, and the option that helps
    the good end is not good      an older one, or another package by blame
    no older end was found        whether it ever worked
    not confirmed                 more attempts, or one signature
    candidates are undecided      why, and the option that helps
    interrupted                   nothing: the command that resumes is said elsewhere
    ============================= ====================================================================
    """
    end, lines = result.failed_end, tuple[str, ...]()
    match result.ending:
        case Ending.FOUND:
            lines = _found(question, result, facts)
        case Ending.NOT_REPRODUCED:
            lines = (*_here(question, result, facts), *_looser(question), *_options(question, result))
        case Ending.INCONCLUSIVE if end is not None and end.side == "bad":
            lines = (*_here(question, result, facts), *_options(question, result))
        case Ending.INCONCLUSIVE if end is not None and end.evaluation.bad:
            lines = _other_end(question, facts.known)
        case Ending.INCONCLUSIVE if result.unconfirmed is not None:
            lines = _disagree(question)
        case Ending.INCONCLUSIVE if isinstance(result, ReleaseResult):
            lines = (*_undecided(question, result), *_options(question, result))
        case Ending.INCONCLUSIVE:
            lines = _options(question, result)

    return lines


def repeat_command(search: SearchRecord) -> tuple[str, ...]:
    """Return the command that probes an answer once more, between its two candidates; empty without an answer."""
    question, result = search.question, search.commits or search.result
    match question:
        case ReleaseQuestion() if isinstance(search.result, ReleaseResult) and not question.scan:
            found = search.result.ending is Ending.FOUND or search.commits is not None
            return question.command(search.result.before, search.result.suspects[-1]) if found else ()
        case CommitQuestion() if isinstance(result, CommitResult) and result.ending is Ending.FOUND:
            return question.command(result.before, result.suspects[0])
    return ()


def minors_before(release: str, known: Sequence[str]) -> str | None:
    """Return the newest release of the second minor before a release's own; of the oldest if there is no second."""
    try:
        own = Version(release)
        versions = sorted(Version(one) for one in known)
    except InvalidVersion:
        return None

    newest = {one.release[:2]: one for one in versions if one.release[:2] < own.release[:2]}
    older = [newest[minor] for minor in sorted(newest)]
    return str(older[max(0, len(older) - MINORS_BACK)]) if older else None


def _found(question: Question, result: Result, facts: Facts) -> tuple[str, ...]:
    lines: list[str] = []
    red = _red_cell(result, facts)
    known = repositories(facts.run.matrix.get("repositories", {}))
    if isinstance(result, ReleaseResult) and (
        page := compare_link(result.package, result.before, result.suspects[0], known)
    ):
        lines.append(f"commits between: {page}")

    failed = (one for one in facts.attempts if one.attempt and one.outcome.status is Status.FAIL)
    scenario = next((one.scenario for one in failed if one.cell == red), None)
    if red is not None and scenario is not None:  # with a metric nothing may have failed, so there is nothing to show
        script = shlex.join(["harness", "repro", facts.place, red, scenario, "-o", "repro.py"])
        draft = shlex.join(["harness", "issue", facts.place])
        lines += [f"a script for a maintainer: {script}", f"a draft of the issue: {draft}"]

    if isinstance(question, ReleaseQuestion) and question.source is None:
        repository = repository_of(question.package, known)
        into = ["harness", "bisect", "--resume", facts.place, "--into", f"git:https://github.com/{repository}"]
        lines += [f"the commit: {shlex.join(into)}"] if repository else []

    return tuple(lines)


def _red_cell(result: Result, facts: Facts) -> str | None:
    match result:
        case BlameResult():
            return next((one.cell for one in result.probes if set(one.applied) == set(result.members)), None)
        case CommitResult():
            sha = result.before if result.find_fix else result.suspects[0]
            cell = facts.cell(result.package, commit_pin(result.package, "", sha).label)
        case ReleaseResult():
            cell = facts.cell(result.package, result.before if result.find_fix else result.suspects[0])

    return cell.id if cell is not None else None


def _here(question: Question, result: Result, facts: Facts) -> tuple[str, ...]:
    """Return what a person compares with the report that they try to reproduce."""
    host, size = facts.run.host, facts.run.matrix.get("checkpoints", {})
    gpus = ", ".join(f"{one.name} {one.memory_bytes / GIB:.0f} GiB (driver {one.driver})" for one in host.gpus)
    ran = sorted({one.ran_on for one in facts.attempts if one.ran_on})
    where = f", ran on {', '.join(ran)}" if ran else ""
    lines = ["compare with the report that it comes from; here it was"]
    lines.append(f"  machine: {host.platform}, {gpus or 'no GPU'}{where}")

    weights, kind = size.get("weights", "synthetic"), size.get("size", "tiny")
    named = sorted({name for info in facts.run.scenarios for name in info.checkpoints})
    if named:
        lines.append(f"  checkpoints: {', '.join(named)}, {kind if weights == 'synthetic' else weights}")

    cell = _bad_cell(question, result, facts)
    if cell is not None:
        names = dict.fromkeys((*cell.pins, "torch"))
        found = {**cell.pins, **cell.versions}
        versions = [f"{name} {found[name]}" for name in names if name in found]
        lines.append(f"  versions: {', '.join((f'Python {cell.python}', *versions))}")
        if cell.variables:
            lines.append(f"  variables: {', '.join(f'{name}={value}' for name, value in cell.variables.items())}")

    if named and weights == "synthetic" and kind == "tiny":
        lines.append('  a failure that needs real sizes shows with size = "full" under [checkpoints] of the matrix')
    return tuple(lines)


def _bad_cell(question: Question, result: Result, facts: Facts) -> CellRecord | None:
    if isinstance(question, ReleaseQuestion):
        return facts.cell(question.package, question.bad)
    if isinstance(result, BlameResult):
        ids = {one.cell for one in result.probes if len(one.applied) == len(result.changes)}
        return next((cell for cell in facts.run.cells if cell.id in ids), None)
    return None


def _looser(question: Question) -> tuple[str, ...]:
    if question.signature:
        return ("without --signature every failure counts as bad",)
    return ("--metric and --above judge by a metric instead of a failure",) if question.metric is None else ()


def _other_end(question: Question, known: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(question, ReleaseQuestion):
        return ("choose an older good end",)
    if question.find_fix:
        newest = known[-1] if known else question.good
        if newest == question.good:
            return (f"{question.good} is the newest release: no release fixes it", *_looser(question))
        return (f"try the newest release: --good {newest}",)

    older = minors_before(question.good, known)
    lines = [f"try an older good end: --good {older}"] if older else []
    lines.append("without --good the search goes back until a release is good")
    lines.append("if no release is good, another package is the cause: harness blame finds it between two cells")
    return tuple(lines)


def _disagree(question: Question) -> tuple[str, ...]:
    lines = [f"more attempts show how often it fails: --confirm {max(5, 2 * question.confirm)}"]
    if question.metric:
        lines.append("the metric lies on both sides of the bound: choose --above further from both ends")
    elif question.signature is None:
        lines.append("if it fails in several ways, --signature S counts one of them")
    return tuple(lines)


def _undecided(question: Question, result: ReleaseResult) -> tuple[str, ...]:
    """Return why releases are undecided; without an older end also that there may be none."""
    never: tuple[str, ...] = ()
    shown: Iterable[str] = result.suspects
    if result.failed_end is not None and isinstance(question, ReleaseQuestion):
        shown = (question.good,)
    elif not result.before:
        shown = reversed(result.evaluations)
        never = (
            "name a bad release with --bad, or drop --find-fix"
            if result.find_fix
            else "it may never have worked with these pins: harness blame compares cells that differ in other packages",
        )

    found = {one: result.evaluations[one] for one in shown if one in result.evaluations}
    reasons = [f"{one} is undecided: {each.reason}" for one, each in found.items() if each.bad is None]
    more = len(reasons) - REASONS_SHOWN
    return (*never, *reasons[:REASONS_SHOWN], *([f"… and {more} more: the report has them"] if more > 0 else []))


def _options(question: Question, result: Result) -> tuple[str, ...]:
    """Return the options that help where evaluations are undecided."""
    other = "--good-signature S counts it as good, no --signature counts every failure"
    if not question.signature:
        other = "--signature S counts one failure alone"
    texts = {
        Cause.FLAKY: "attempts disagree: use --confirm or --signature S",
        Cause.TIMEOUT: "timeout: raise it with --timeout SECONDS",
        Cause.GPU_BUSY: "the GPU was in use: wait until it is free, or raise --gpu-busy SIZE",
        Cause.UNAVAILABLE: "dependency conflict: relax the other pins of the matrix",
        Cause.NO_ENVIRONMENT: "more environments between the ends help: use a bundle with more cells, or an index",
        Cause.OTHER_FAILURE: f"it fails in another way: {other}",
    }
    found = causes(result)
    return tuple(text for cause, text in texts.items() if cause in found)
