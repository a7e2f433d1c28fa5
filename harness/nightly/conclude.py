"""From the evidence of a nightly run to its claims and its ledger. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.nightly.baseline import BaselineResults, acceptance_reasons, memory_acceptance, worse
from harness.nightly.claim import OPEN, REGRESSIONS, Claim, ClaimInput, Kind, classify
from harness.nightly.control import Control, ControlState, has_run
from harness.nightly.ledger import (
    MIN_FAILURES,
    LastResult,
    Ledger,
    failure_rate,
    failures_needed,
    is_watched,
    record_result,
    with_answers,
)
from harness.nightly.machine import MachineSnapshot
from harness.store.records import WHOLE_CELL, Status, fallback_ids
from harness.verdict.comparison import Results
from harness.verdict.known_issues import KnownIssue, Standing, State, standing
from harness.verdict.result import ANSWERS, ResultKey, ScenarioResult
from harness.verdict.statistics import ENOUGH

STEADY = Control(ControlState.STEADY)
UNKNOWN_MACHINE = MachineSnapshot()
NO_BASELINE = BaselineResults()
WITHHELD = {  # claims that a drift of the machine may have caused
    Kind.NEW_REGRESSION,
    Kind.MEMORY_UP,
    Kind.UNCONFIRMED,
    Kind.UNEXPLAINED,
    Kind.SIGNATURE_CHANGED,
    Kind.KNOWN_ISSUE_CHANGED,
}
WITHOUT_RESULT = {Kind.MISSING, Kind.UNAVAILABLE, Kind.INCONCLUSIVE}
REPORTED_ANYWAY = WITHOUT_RESULT | {Kind.KNOWN_ISSUE_OVERDUE}  # also if the machine drifted
NOT_COMPARED = REGRESSIONS | OPEN | {Kind.KNOWN_ISSUE}  # claims that replace a comparison with the baseline
REPEATED = WITHOUT_RESULT | {Kind.KNOWN_ISSUE_CHANGED}  # made every run, new in the first


@dataclass(frozen=True)
class NightEvidence:
    """All that the claims of a nightly run are made from.

    Attributes:
        run: The name of its run folder.
        today: The day with which ``review_by`` is compared.
        results: Every result that was expected, missing ones included.
        reused: The results of earlier runs that were not run again.
        ledger: The ledger of the last nightly run; None in the first.
        series: Every series that was planned.
        baseline: The results of the baseline.
        issues: The known issues.
        control: Whether the machine can be trusted.
        control_results: The last results of the control cell.
        machine: The machine at the end of the run.
    """

    run: str
    today: dt.date
    results: Results
    reused: Mapping[ResultKey, LastResult] = field(default_factory=dict)
    ledger: Ledger | None = None
    series: frozenset[str] = frozenset()
    baseline: BaselineResults = NO_BASELINE
    issues: Sequence[KnownIssue] = ()
    control: Control = STEADY
    control_results: Mapping[str, ScenarioResult] = field(default_factory=dict)
    machine: MachineSnapshot = UNKNOWN_MACHINE

    def last(self, key: ResultKey) -> LastResult | None:
        """Return the last result of a key; a cell that fails as a whole passed before if any of its series did."""
        if key in self._last_results or key.scenario != WHOLE_CELL:
            return self._last_results.get(key)
        mine = (one for one in self._last_results.values() if one.series == key.series)
        passed = next((one for one in mine if one.status is Status.PASS), None)
        return passed and passed.model_copy(update={"scenario": WHOLE_CELL, "history": ()})

    def claim_input(self, result: ScenarioResult) -> ClaimInput:
        """Return a result with what is known about its key."""
        last, baseline = self.last(result.key), self._baseline_results.get(result.key)
        return ClaimInput(
            result=result,
            last=last,
            baseline=baseline,
            known_issue=known_issue_of(self.issues, result),
            acceptance=self._acceptances.get(result.key, ""),
            memory_acceptance=memory_acceptance(self.baseline, baseline, result) if baseline else "",
            machine_drifted=last is not None and last.machine_era != self.machine_era,
        )

    @property
    def every_result(self) -> Results:
        """The results of this nightly run and those that it reused."""
        return {**{key: one.result for key, one in self.reused.items()}, **self.results}

    @property
    def machine_era(self) -> str:
        """The nightly run since which the machine measures as it does."""
        rebaselined = self.control.state is ControlState.REBASELINED
        return self.run if self.ledger is None or rebaselined else self.ledger.machine_era

    @property
    def announced(self) -> frozenset[str]:
        """The repeated claims of the last nightly run, see :func:`repeat_key`."""
        return frozenset(self.ledger.announced) if self.ledger else frozenset()

    def is_expected(self, one: LastResult) -> bool:
        """Tell whether an earlier result is still expected: present, reused, or masked by its cell."""
        if one.key in self.results or one.key in self.reused:
            return True
        return one.series in self.series and one.scenario != WHOLE_CELL and self.is_masked(one.key)

    def is_masked(self, key: ResultKey) -> bool:
        """Tell whether the results have only the test function, the file or the cell of a key."""
        coarser = (name for name in fallback_ids(key.scenario) if name != key.scenario)
        return any(ResultKey(key.series, name) in self.results for name in coarser)

    @cached_property
    def _last_results(self) -> dict[ResultKey, LastResult]:
        return self.ledger.last_results() if self.ledger else {}

    @cached_property
    def _baseline_results(self) -> Results:
        return self.baseline.comparable(self.machine_era)

    @cached_property
    def _acceptances(self) -> dict[ResultKey, str]:
        return acceptance_reasons(self.baseline, self.results)


@dataclass(frozen=True)
class Conclusion:
    """The claims of a nightly run, the ledger that it leaves, and notes."""

    claims: tuple[Claim, ...]
    ledger: Ledger | None
    notes: tuple[str, ...] = ()

    @property
    def regressions(self) -> list[Claim]:
        """The new regressions."""
        return [claim for claim in self.claims if claim.regression]


def reruns_needed(evidence: NightEvidence) -> dict[ResultKey, int]:
    """Return how many isolated reruns each result needs before it can be reported as a regression."""
    needed = {}
    for key, result in evidence.results.items():
        given = evidence.claim_input(result)
        kinds = {claim.kind for claim in classify(given)}
        failed, attempts = result.status is Status.FAIL, len(result.outcomes)
        first = failed and Kind.APPEARED in kinds and attempts < MIN_FAILURES
        if key.scenario == WHOLE_CELL or not (first or _is_unconfirmed(result, kinds)):
            continue
        if first:
            needed[key] = MIN_FAILURES - attempts
            continue
        history = given.last.history if given.last else ()
        goal = failures_needed(history) if failed else ENOUGH
        needed[key] = max(1, goal - attempts)

    return needed


def _is_unconfirmed(result: ScenarioResult, kinds: Collection[Kind]) -> bool:
    return Kind.UNCONFIRMED in kinds or (Kind.FLAKY in kinds and result.status is Status.FAIL)


def conclude(evidence: NightEvidence) -> Conclusion:
    """Return the claims of a nightly run and the ledger after it.

    If the machine cannot be trusted, no regression and no fix is claimed: what would be one is *not claimed*, the last
    results stay as they were, and what was run is run again.
    """
    by_key = {key: classify(evidence.claim_input(result)) for key, result in evidence.results.items()}
    claims = [claim for mine in by_key.values() for claim in mine] + _disappeared(evidence)
    if evidence.baseline.note:
        claims.append(Claim(kind=Kind.INCONCLUSIVE, series="", scenario="", detail=evidence.baseline.note))
    claims = mark_repeated(claims, evidence.announced)
    if not evidence.control.trusted:
        issues = known_issue_claims(evidence.issues, (), evidence.announced, evidence.today)
        overdue = [claim for claim in issues if claim.kind is Kind.KNOWN_ISSUE_OVERDUE]
        return Conclusion((*_withheld(claims), *overdue), _ledger_after_drift(evidence))

    ledger = _update_ledger(evidence, by_key)
    claims = _with_baseline(claims, evidence, ledger)
    issues = known_issue_claims(evidence.issues, _visible_results(evidence, ledger), evidence.announced, evidence.today)
    repeated = (*issues, *(one for one in claims if one.kind in REPEATED))
    ledger = ledger.model_copy(update={"announced": tuple(map(repeat_key, repeated))})
    return Conclusion((*claims, *issues), ledger, _notes(evidence))


def _with_baseline(claims: Sequence[Claim], evidence: NightEvidence, ledger: Ledger) -> list[Claim]:
    """Add what is worse than in the baseline, in place of *still failing*.

    A result with a new or open claim, or with a known issue, is not compared.
    """
    kinds: dict[ResultKey, set[Kind]] = {}
    for claim in claims:
        kinds.setdefault(claim.key, set()).add(claim.kind)
    current = {
        key: one
        for key, one in ledger.last_results().items()
        if (key in evidence.results or key in evidence.reused) and not kinds.get(key, set()) & NOT_COMPARED
    }
    messages = {key: result.reason for key, result in evidence.results.items()}
    found = {one.key: one for one in worse(evidence.baseline, current, ledger.machine_era, messages)}
    kept = [one for one in claims if one.kind is not Kind.STILL_FAILING or one.key not in found]
    return [*kept, *found.values()]


def _notes(evidence: NightEvidence) -> tuple[str, ...]:
    if evidence.baseline.machine_era in {"", evidence.machine_era}:
        return ()
    name = evidence.baseline.run
    return (f"memory is not compared with the baseline {name}: the machine drifted since; set a newer baseline",)


def _withheld(claims: Sequence[Claim]) -> list[Claim]:
    kept = [claim for claim in claims if claim.kind in REPORTED_ANYWAY]
    return kept + [
        claim.model_copy(update={"kind": Kind.WITHHELD, "detail": f"{claim.kind.label}: {claim.detail}"})
        for claim in claims
        if claim.kind in WITHHELD
    ]


def _disappeared(evidence: NightEvidence) -> list[Claim]:
    """Return a claim for each series that left the matrix and each scenario that is no longer listed."""
    gone = [one for one in (evidence.ledger.results if evidence.ledger else ()) if not evidence.is_expected(one)]
    series = {one.series: one for one in gone if one.series not in evidence.series}
    found = [(one, "*", "the series is no longer in the matrix") for one in series.values()]
    found += [
        (one, one.scenario, "no longer listed")
        for one in gone
        if one.series in evidence.series and one.scenario != WHOLE_CELL
    ]
    return [
        Claim(
            kind=Kind.DISAPPEARED,
            series=one.series,
            scenario=name,
            detail=f"{text}; last result {one.status}",
            was=one.run,
        )
        for one, name, text in found
    ]


@dataclass(frozen=True)
class VisibleResult:
    """A current result that known issues may be about.

    ``current`` is false for one that was reused from ``run``.
    """

    result: ScenarioResult
    run: str
    current: bool
    flaky: bool = False


def _visible_results(evidence: NightEvidence, ledger: Ledger) -> list[VisibleResult]:
    last = ledger.last_results()
    mine = [
        VisibleResult(result, evidence.run, current=True, flaky=key in last and failure_rate(last[key].history).flaky)
        for key, result in evidence.results.items()
    ]
    return [*mine, *(VisibleResult(one.result, one.run, current=False) for one in evidence.reused.values())]


def known_issue_of(issues: Sequence[KnownIssue], result: ScenarioResult) -> Standing | None:
    """Return the known issue that is about a result, and its state; none is about a flaky or a missing one."""
    outcome = result.outcomes[-1] if result.outcomes and result.status in {Status.PASS, Status.FAIL} else None
    return standing(issues, result.key.scenario, result.versions, outcome, result.signatures)


def known_issue_claims(
    issues: Sequence[KnownIssue], results: Sequence[VisibleResult], announced: Collection[str], today: dt.date
) -> list[Claim]:
    """Return a claim for each known issue that is gone, and for each that is overdue.

    ``announced`` has the keys (:func:`repeat_key`) of the last nightly run's claims: these are not new.
    """
    claims = [claim for issue in issues if (claim := _gone_claim(issues, issue, results)) is not None]
    claims += [
        _overdue_claim(issue, today) for issue in issues if issue.review_by is not None and issue.review_by < today
    ]
    return [one.model_copy(update={"fresh": repeat_key(one) not in announced}) for one in claims]


def repeat_key(claim: Claim) -> str:
    """Return what identifies a claim that is repeated each run; the series counts for claims about one result."""
    series = f" {claim.series}" if claim.kind in REPEATED else ""
    return f"{claim.kind}{series} {claim.scenario} {claim.tracker} {claim.signature}"


def mark_repeated(claims: Iterable[Claim], announced: Collection[str]) -> list[Claim]:
    """Mark repeated claims as new unless the last nightly run announced them."""
    return [
        one.model_copy(update={"fresh": repeat_key(one) not in announced}) if one.kind in REPEATED else one
        for one in claims
    ]


def _gone_claim(issues: Sequence[KnownIssue], issue: KnownIssue, results: Sequence[VisibleResult]) -> Claim | None:
    """Return a claim about a known issue in whose range a result passes; it names that result's versions."""
    found = [(one, known) for one in results if (known := known_issue_of(issues, one.result)) and known.issue == issue]
    passing = [one for one, known in found if known.state is State.GONE and not one.flaky]
    if not passing:
        return None
    failing = [one for one, known in found if known.state is State.KNOWN]
    newest = passing[-1]
    versions = ", ".join(f"{name} {newest.result.versions[name]}" for name in issue.versions)
    advice = f"narrow its range, it still fails in {failing[0].result.key.series}" if failing else "remove the entry"
    reused = "" if newest.current else f" (result of {newest.run})"
    return Claim(
        kind=Kind.KNOWN_ISSUE_GONE,
        series=", ".join(dict.fromkeys(one.result.key.series for one in passing)),
        scenario=issue.scenario,
        cell=newest.result.cell,
        detail=f"fixed by {versions}? {advice}{reused}",
        signature=issue.signature,
        tracker=issue.tracker,
    )


def _overdue_claim(issue: KnownIssue, today: dt.date) -> Claim:
    days = (today - issue.review_by).days if issue.review_by else 0
    return Claim(
        kind=Kind.KNOWN_ISSUE_OVERDUE,
        series="",
        scenario=issue.scenario,
        detail=f"review was due by {issue.review_by}, {days} days ago",
        signature=issue.signature,
        tracker=issue.tracker,
    )


def _update_ledger(evidence: NightEvidence, claims: Mapping[ResultKey, Sequence[Claim]]) -> Ledger:
    """Return the ledger after a nightly run in which the machine was trusted."""
    earlier = evidence.ledger.results if evidence.ledger else ()
    after = {one.key: one for one in earlier if evidence.is_expected(one)}
    for key, result in evidence.results.items():
        made = _last_result(evidence, result, {claim.kind for claim in claims[key]})
        if made is not None:
            after[key] = made

    masked = after.keys() - evidence.results.keys() - evidence.reused.keys()
    locks = {result.key.series: result.lock for result in evidence.results.values()}
    after |= {key: _unconfirmed(after[key], locks.get(key.series, "")) for key in masked}
    control = tuple(_control_result(evidence, one) for one in evidence.control_results.values() if has_run(one))
    return Ledger(
        run=evidence.run,
        machine_era=evidence.machine_era,
        machine=evidence.machine,
        results=tuple(after.values()),
        control=control,
        without_result=_without_result(evidence, after.keys()),
    )


def _last_result(evidence: NightEvidence, result: ScenarioResult, kinds: set[Kind]) -> LastResult | None:
    """Return what the ledger keeps of a result; without a confirmed one the earlier one, marked as unconfirmed."""
    last, era = evidence.last(result.key), evidence.machine_era
    if not _has_result(result):
        return _unconfirmed(last, result.lock) if last is not None and result.key.scenario != WHOLE_CELL else None
    if _is_unconfirmed(result, kinds):
        history = with_answers(result, evidence.run, last)
        return last and _unconfirmed(last, result.lock).model_copy(update={"history": history})
    made = record_result(
        _with_watched_figures(result),
        evidence.run,
        era,
        last,
        same_result=last is not None
        and last.status is result.status
        and not kinds & {Kind.SIGNATURE_CHANGED, Kind.SCENARIO_CHANGED},
        same_level=not kinds & {Kind.MEMORY_UP, Kind.MEMORY_DOWN, Kind.SCENARIO_CHANGED, Kind.ACCEPTED},
    )
    if result.status is Status.PASS:
        return made
    passed = last.values if last is not None and last.machine_era == era else {}  # not what the failure measured
    return made.model_copy(update={"values": passed})


def _has_result(one: ScenarioResult) -> bool:
    """Tell whether a result answers the question; a skip for want of a GPU does not."""
    return one.status in {*ANSWERS, Status.SKIP} and not one.lacks_gpu


def _without_result(evidence: NightEvidence, known: Collection[ResultKey]) -> tuple[ResultKey, ...]:
    """Return what was run, now or before, and never had a result, as far as it is still expected."""
    earlier = evidence.ledger.without_result if evidence.ledger else ()
    before = {key for key in earlier if evidence.is_masked(key)}
    now = {key for key, result in evidence.results.items() if not _has_result(result)}
    return tuple(sorted((before | now) - set(known)))


def _unconfirmed(one: LastResult, lock: str) -> LastResult:
    return one.model_copy(update={"unconfirmed": True, "tried_lock": lock})


def _with_watched_figures(result: ScenarioResult) -> ScenarioResult:
    return replace(result, values={name: values for name, values in result.values.items() if is_watched(name)})


def _control_result(evidence: NightEvidence, result: ScenarioResult) -> LastResult:
    """Return what the ledger keeps of a control result; that it is flaky is kept of any run."""
    last, era = _last_control(evidence.ledger, result), evidence.machine_era
    rebaselined = evidence.control.state is ControlState.REBASELINED
    if last is not None and rebaselined and not failure_rate(last.history).flaky:
        last = None  # a difference to a result from before the drift does not make the scenario flaky
    same_level = last is not None and last.machine_era == era
    made = record_result(
        _with_watched_figures(result), evidence.run, era, last, same_result=True, same_level=same_level
    )
    return _with_flakiness(made, evidence, last)


def _ledger_after_drift(evidence: NightEvidence) -> Ledger | None:
    """Return the ledger after a nightly run in which the machine was not trusted.

    It is the earlier one with the control results of this run, and with the attempts of flaky control scenarios.
    """
    old = evidence.ledger or Ledger(run=evidence.run, machine_era=evidence.run)
    drifted = tuple(_drifted(evidence, old, one) for one in evidence.control_results.values() if has_run(one))
    if not drifted:
        return evidence.ledger
    mine = {result.key for result in evidence.control_results.values()}
    return old.model_copy(
        update={
            "run": evidence.run,
            "machine": evidence.machine,
            "control": tuple(_with_flakiness(one, evidence, one) for one in old.control),
            "drifted_control": drifted,
            "results": tuple(_with_flakiness(one, evidence, one) if one.key in mine else one for one in old.results),
        }
    )


def _drifted(evidence: NightEvidence, old: Ledger, result: ScenarioResult) -> LastResult:
    last = _last_control(old, result)
    made = record_result(
        _with_watched_figures(result), evidence.run, evidence.run, None, same_result=False, same_level=False
    )
    if last is not None and failure_rate(last.history).flaky:
        made = made.model_copy(update={"history": with_answers(result, evidence.run, last)})
    return _with_flakiness(made, evidence, last)


def _last_control(ledger: Ledger | None, result: ScenarioResult) -> LastResult | None:
    earlier = (*ledger.control, *ledger.drifted_control) if ledger else ()
    return next((one for one in earlier if one.scenario == result.key.scenario), None)


def _with_flakiness(one: LastResult, evidence: NightEvidence, last: LastResult | None) -> LastResult:
    """Add the attempts of this run to the history if they disagree."""
    result = evidence.results.get(one.key)
    if result is None or result.status is not Status.FLAKY:
        return one
    return one.model_copy(update={"history": with_answers(result, evidence.run, last)})
