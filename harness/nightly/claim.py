"""Claims: what a nightly run reports about one result, from its history, the baseline and the known issues. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from harness.nightly.control import Control
from harness.nightly.ledger import (
    FailureRate,
    LastResult,
    failure_rate,
    failures_needed,
    same_inputs,
    shifts_from_baseline,
    shifts_since,
    trailing_failures,
    with_answers,
)
from harness.store.records import WHOLE_CELL, Record, Status
from harness.verdict.comparison import Change, compare
from harness.verdict.figures import human_bytes
from harness.verdict.known_issues import Standing, State
from harness.verdict.package_diff import package_diff
from harness.verdict.result import ResultKey, ScenarioResult
from harness.verdict.statistics import ENOUGH, Shift


class Kind(StrEnum):
    """What is claimed, as ``nightly.json`` names it; a result that passes as before makes no claim."""

    NEW_REGRESSION = "new regression"  # passed before, fails now, confirmed, with another lock or source
    MEMORY_UP = "memory up"  # beyond noise, confirmed
    STILL_DIFFERS = "still differs from the baseline"  # fails or takes more memory; reported before, not accepted
    UNCONFIRMED = "not confirmed"  # a new failure or more memory, with too few attempts
    UNEXPLAINED = "red without a change"  # passed before, fails now, and neither lock nor source changed
    SIGNATURE_CHANGED = "signature changed"
    FAILS_DIFFERENTLY = "fails otherwise than the baseline"  # reported before, not accepted
    SCENARIO_CHANGED = "scenario changed"  # status or memory changed, and only the source of the scenario did
    STILL_FAILING = "still red"
    FLAKY = "flaky"
    FIXED = "fixed"
    MEMORY_DOWN = "memory down"
    KNOWN_ISSUE = "known issue"
    KNOWN_ISSUE_GONE = "known issue gone"
    KNOWN_ISSUE_CHANGED = "known issue changed"
    KNOWN_ISSUE_OVERDUE = "known issue overdue"
    ACCEPTED = "accepted"
    APPEARED = "appeared"
    DISAPPEARED = "disappeared"
    MISSING = "missing"
    UNAVAILABLE = "unavailable"  # the cell could not be set up: nothing is known of the software
    INCONCLUSIVE = "no answer"  # an error of scenario, harness, network or busy GPU; or the baseline cannot be read
    WITHHELD = "not claimed"  # a regression, a failure or another signature, but the machine drifted

    @property
    def label(self) -> str:
        """The name on the terminal and in ``nightly.md``."""
        return LABELS.get(self, self.value)


LABELS = {
    Kind.UNEXPLAINED: "failing without a change",
    Kind.FAILS_DIFFERENTLY: "fails differently than in the baseline",
    Kind.STILL_FAILING: "still failing",
    Kind.INCONCLUSIVE: "inconclusive",
}
REGRESSIONS = frozenset({Kind.NEW_REGRESSION, Kind.MEMORY_UP})
OPEN = frozenset({Kind.MISSING, Kind.UNAVAILABLE, Kind.INCONCLUSIVE, Kind.UNCONFIRMED, Kind.UNEXPLAINED})
AGAINST_BASELINE = frozenset({Kind.STILL_DIFFERS, Kind.FAILS_DIFFERENTLY})  # count every run; the last with --strict
STRICT = frozenset({Kind.SIGNATURE_CHANGED, Kind.KNOWN_ISSUE_GONE, Kind.KNOWN_ISSUE_CHANGED, Kind.KNOWN_ISSUE_OVERDUE})
DUE_TO_CHANGE = frozenset(  # claims of which an edited scenario may be the cause
    {
        Kind.NEW_REGRESSION,
        Kind.UNCONFIRMED,
        Kind.SIGNATURE_CHANGED,
        Kind.FIXED,
        Kind.MEMORY_UP,
        Kind.MEMORY_DOWN,
    }
)


class Claim(Record):
    """One claim about one result, with its evidence.

    Attributes:
        fresh: It is new in this nightly run.
        since: The nightly run since which it holds.
        was: The nightly run, or the baseline, of the result before.
        was_cell: The cell of the result before.
        changed: Package → the two versions, or addresses of what is built from a commit; empty for a side without it.
        figure: For memory, the name of the figure.
        bounds: For memory, the bytes before and now.
    """

    kind: Kind
    series: str = Field(alias="line")
    scenario: str
    cell: str = ""
    detail: str = ""
    fresh: bool = True
    since: str = ""
    was: str = ""
    was_cell: str = ""
    changed: dict[str, tuple[str, str]] = Field(default_factory=dict)
    signature: str = ""
    tracker: str = ""
    figure: str = ""
    bounds: tuple[float, float] | None = None

    @property
    def key(self) -> ResultKey:
        """The result that it is about."""
        return ResultKey(self.series, self.scenario)

    @property
    def regression(self) -> bool:
        """Tell whether it is a new regression, which is searched and makes the run fail."""
        return self.fresh and self.kind in REGRESSIONS


@dataclass(frozen=True)
class ClaimInput:
    """One result of a nightly run with what is known about its key.

    Attributes:
        result: The result.
        last: The last result in the ledger.
        baseline: The result of the baseline.
        known_issue: The known issue that is about it, and its state.
        acceptance: Why the result was accepted, if it was.
        memory_acceptance: Why its growth of memory was accepted, if it was.
        machine_drifted: The machine drifted between the last result and this one.
    """

    result: ScenarioResult
    last: LastResult | None = None
    baseline: ScenarioResult | None = None
    known_issue: Standing | None = None
    acceptance: str = ""
    memory_acceptance: str = ""
    machine_drifted: bool = False

    @property
    def change(self) -> Change:
        """The change since the last result."""
        return compare(self.last.result if self.last else None, self.result)

    @property
    def failure_rate(self) -> FailureRate:
        """How often the result fails by itself, this nightly run included."""
        return failure_rate(with_answers(self.result, "", self.last))

    @property
    def passed_before(self) -> bool:
        """Tell whether the baseline or the last result passed, at least sometimes."""
        before = {self.baseline.status if self.baseline else None, self.last.status if self.last else None}
        return bool(before & {Status.PASS, Status.FLAKY})

    @property
    def source_changed(self) -> bool:
        """Tell whether the source of the scenario is known to have changed since the last result."""
        sources = {self.last.source if self.last else "", self.result.source}
        return len(sources) > 1 and "" not in sources

    @property
    def only_source_changed(self) -> bool:
        """Tell whether the source of the scenario changed and the lock did not."""
        same_lock = self.last is not None and bool(self.last.lock) and self.last.lock == self.result.lock
        return self.source_changed and same_lock


def changed_packages(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return package → (before, after) of what differs; the text is empty for a side that lacks the package."""
    return {one.package: (one.before or "", one.after or "") for one in package_diff(before, after)}


def make_claim(
    given: ClaimInput, kind: Kind, detail: str, *, fresh: bool = True, since: str = "", shift: Shift | None = None
) -> Claim:
    """Return a claim about a result; ``shift`` is the figure of a claim about memory."""
    result, last = given.result, given.last
    before, after = last.result.exact_versions if last else {}, result.exact_versions
    return Claim(
        kind=kind,
        series=result.key.series,
        scenario=result.key.scenario,
        cell=result.cell,
        detail=" ".join(detail.split()),
        fresh=fresh,
        since=since,
        was=last.run if last else "",
        was_cell=last.cell if last else "",
        changed=changed_packages(before, after) if before and after else {},
        signature=result.signatures[0] if result.signatures else "",
        tracker=given.known_issue.issue.tracker if given.known_issue else "",
        figure=shift.name if shift else "",
        bounds=(shift.before.median, shift.after.median) if shift else None,
    )


def classify(given: ClaimInput) -> list[Claim]:
    """Return the claims about a result; those of an edited scenario say that its source changed."""
    claims = _claims(given)
    if not given.source_changed:
        return claims
    edited = {*DUE_TO_CHANGE, Kind.KNOWN_ISSUE_CHANGED}
    return [_with_edit(given, one) if one.kind in edited else one for one in claims]


def _with_edit(given: ClaimInput, claim: Claim) -> Claim:
    if not given.only_source_changed:
        return claim.model_copy(update={"detail": f"{claim.detail}; the source of the scenario changed, too"})
    kind = Kind.SCENARIO_CHANGED if claim.kind in DUE_TO_CHANGE else claim.kind
    return claim.model_copy(update={"kind": kind, "detail": f"only the source of the scenario changed: {claim.detail}"})


def _claims(given: ClaimInput) -> list[Claim]:  # noqa: PLR0911  # one return a row of the table
    """Return the claims about a result by its change since the last one; the first row that fits decides.

    ================================ ================================================================
    skipped for want of a GPU        missing
    missing, unavailable             missing, unavailable
    error                            accepted, else inconclusive
    disappeared (skipped now)        disappeared
    attempts disagree                flaky
    passes                           see :func:`_pass_claims`
    fails                            see :func:`_failure_claim`
    ================================ ================================================================
    """
    result, change = given.result, given.change
    if result.lacks_gpu:
        return [make_claim(given, Kind.MISSING, result.reason or "there was no GPU")]
    match result.status:
        case Status.MISS:
            last = f"; last result {given.last.status} in {given.last.run}" if given.last else ""
            return [make_claim(given, Kind.MISSING, f"{result.reason or 'no result'}{last}")]
        case Status.UNAVAILABLE:
            return [make_claim(given, Kind.UNAVAILABLE, _outcome_and_reason(result))]
        case Status.ERROR if given.acceptance:
            return [make_claim(given, Kind.ACCEPTED, given.acceptance, fresh=False)]
        case Status.ERROR:
            return [make_claim(given, Kind.INCONCLUSIVE, _outcome_and_reason(result))]
        case Status.SKIP:
            gone = change is Change.DISAPPEARED
            return [make_claim(given, Kind.DISAPPEARED, result.reason or "no longer applicable")] if gone else []
        case Status.FLAKY:
            return [_flaky(given)]
        case Status.PASS:
            return _pass_claims(given)
        case Status.FAIL:
            return [_failure_claim(given)]


def _outcome_and_reason(result: ScenarioResult) -> str:
    return f"{result.text}{': ' if result.reason else ''}{result.reason}"


def _pass_claims(given: ClaimInput) -> list[Claim]:
    """Return the claims about a result that passes.

    =========================================== =========================================================
    first result, and none in the baseline      appeared
    failed before, with a history of both       flaky
    failed before                               fixed, unless a known issue is about it: see its claims
    memory moved                                memory up or down; *not confirmed* with fewer than three
                                                attempts
    =========================================== =========================================================

    The memory of what failed before is compared with that of its last pass.
    """
    if given.last is None and given.baseline is None:
        return [make_claim(given, Kind.APPEARED, "passes")]
    shifts = _memory_shifts(given)
    largest = max(shifts, key=lambda one: abs(one.after.median - one.before.median), default=None)
    memory = [] if largest is None else [_memory_claim(given, largest)]
    if given.last is None or given.change is not Change.FIXED:
        return memory
    if given.failure_rate.flaky:
        return [_flaky(given)]
    if given.known_issue is not None:
        return memory
    detail = "passes now, failed before" if given.only_source_changed else f"failed since {given.last.since}"
    return [make_claim(given, Kind.FIXED, detail), *memory]


def _memory_shifts(given: ClaimInput) -> tuple[Shift, ...]:
    """Return the memory that moved since the last result, else since the baseline if that was not reported before."""
    result, last, baseline = given.result, given.last, given.baseline
    if given.machine_drifted:
        return ()
    shifts = shifts_since(last.values, result.values) if last is not None and last.gpu == result.gpu else ()
    if shifts or baseline is None or (last is not None and shifts_from_baseline(baseline, last.result)):
        return shifts
    return shifts_from_baseline(baseline, result)


def _memory_claim(given: ClaimInput, shift: Shift) -> Claim:
    detail = f"{shift.name} {human_bytes(shift.before.median)} → {human_bytes(shift.after.median)}"
    if not shift.up:
        return make_claim(given, Kind.MEMORY_DOWN, detail, shift=shift)
    if given.memory_acceptance:
        return make_claim(given, Kind.ACCEPTED, f"{detail}: {given.memory_acceptance}", fresh=False)
    attempts = len(given.result.outcomes)
    if attempts < ENOUGH:
        detail = f"{detail}; measured {attempts} of {ENOUGH} times"
    return make_claim(given, Kind.MEMORY_UP if attempts >= ENOUGH else Kind.UNCONFIRMED, detail, shift=shift)


def _failure_claim(given: ClaimInput) -> Claim:  # noqa: PLR0911  # one return a row of the table
    """Return the claim about a result that fails; the first row that fits decides.

    =============================================== =============================================
    as a known issue in range says                  known issue
    as before                                       still failing; known issue changed, where one
                                                    is in range
    as in the baseline                              still failing
    accepted                                        accepted
    in another way than before                      signature changed; known issue changed
    passed before, or in the baseline               see :func:`_new_failure`
    a known issue in range                          known issue changed
    in another way than in the baseline             signature changed
    anything else                                   appeared
    =============================================== =============================================
    """
    result, last, known, change = given.result, given.last, given.known_issue, given.change
    message = result.reason or str(result.text)
    if known is not None and known.state is State.KNOWN:
        since = last.since if last is not None and change is Change.STILL_FAILING else ""
        return make_claim(given, Kind.KNOWN_ISSUE, known.issue.note or message, fresh=False, since=since)
    if last is not None and change is Change.STILL_FAILING:
        kind = Kind.STILL_FAILING if known is None else Kind.KNOWN_ISSUE_CHANGED
        return make_claim(given, kind, message, fresh=False, since=last.since)
    if compare(given.baseline, result) is Change.STILL_FAILING:
        return make_claim(given, Kind.STILL_FAILING, f"{message}; fails in the baseline, too", fresh=last is not None)
    if given.acceptance:
        return make_claim(given, Kind.ACCEPTED, given.acceptance, fresh=False)
    if last is not None and last.status is Status.FAIL:
        return make_claim(given, Kind.SIGNATURE_CHANGED if known is None else Kind.KNOWN_ISSUE_CHANGED, message)
    if given.passed_before:
        return _new_failure(given, message)
    if known is not None:
        return make_claim(given, Kind.KNOWN_ISSUE_CHANGED, f"fails since its first result: {message}")
    if given.baseline is not None and given.baseline.status is Status.FAIL:
        return make_claim(given, Kind.SIGNATURE_CHANGED, f"{message}; the baseline fails in another way")
    return make_claim(given, Kind.APPEARED, f"fails since its first result: {message}")


def _new_failure(given: ClaimInput, message: str) -> Claim:
    """Return the claim about a failure of what passed before.

    ================================================================ ====================================
    fewer consecutive failures than its history explains by chance   not confirmed; flaky, if it ever was
    as many, and neither lock nor source changed                     failing without a change
    else                                                             new regression
    ================================================================ ====================================

    A cell that cannot be set up is not rerun: one failure is enough.
    """
    failures, history = trailing_failures(with_answers(given.result, "this run", given.last))
    needed = 1 if given.result.key.scenario == WHOLE_CELL else failures_needed(history)
    if failures < needed:
        if failure_rate(history).flaky:
            return _flaky(given, failure_rate(history), failures)
        if given.only_source_changed:
            return make_claim(given, Kind.UNCONFIRMED, f"{message}; passed before")
        return make_claim(given, Kind.UNCONFIRMED, f"{message}; {failures} of {needed} failures needed to confirm it")

    if given.last is not None and same_inputs(given.result, given.last.result):
        drift = "; the machine drifted in between" if given.machine_drifted else ""
        return make_claim(given, Kind.UNEXPLAINED, f"{message}; lock and source are unchanged{drift}")
    if given.only_source_changed:
        return make_claim(given, Kind.NEW_REGRESSION, f"{message}; passed before")
    caveat = "; the machine drifted in between, which may be the cause" if given.machine_drifted else ""
    return make_claim(given, Kind.NEW_REGRESSION, f"{message}{caveat}")


def _flaky(given: ClaimInput, rate: FailureRate | None = None, failures: int = 0) -> Claim:
    rate = rate or given.failure_rate
    here = f"{failures} failures in a row; " if failures else ""
    known = given.last is not None and failure_rate(given.last.history).flaky
    return make_claim(given, Kind.FLAKY, f"{here}{rate} with the same lock and source", fresh=not known)


def exit_code(claims: Sequence[Claim], control: Control, *, strict: bool = False) -> int:
    """Reduce a nightly run to its exit code; the first row that fits decides.

    ================================================================== ===
    the machine drifted, or the control cell has no result             4
    a new regression                                                   1
    a result still differs from the baseline, and was not accepted     1
    a result is missing, inconclusive or not confirmed                 4
    ``strict``, and a signature changed, a known issue is gone,        1
    changed or overdue, or a result fails differently than in the
    baseline
    else                                                               0
    ================================================================== ===
    """
    if not control.trusted:
        return 4
    fresh, kinds = {claim.kind for claim in claims if claim.fresh}, {claim.kind for claim in claims}
    if fresh & REGRESSIONS or Kind.STILL_DIFFERS in kinds:
        return 1
    if kinds & OPEN:
        return 4
    return 1 if strict and (fresh & STRICT or kinds & AGAINST_BASELINE) else 0
