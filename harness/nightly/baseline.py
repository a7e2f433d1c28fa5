"""The baseline of a matrix: read once, then compared in memory with the results of a nightly run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.nightly.claim import Claim, Kind, changed_packages
from harness.nightly.ledger import LastResult, shifts_from_baseline
from harness.nightly.record import read_ledger
from harness.session.comparison_input import baseline_run, read_side
from harness.store.baseline import Acceptance, current
from harness.store.records import Status
from harness.verdict.acceptance import acceptable, with_accepted
from harness.verdict.comparison import Change, Difference, Results, differences, with_series_of
from harness.verdict.figures import human_bytes
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult
from harness.verdict.statistics import Shift

NOT_REPORTED = {Change.DISAPPEARED, Change.MISSING}  # the claims name what disappeared or is missing


@dataclass(frozen=True)
class BaselineResults:
    """What nightly runs of a matrix are compared with; ``run`` is empty if no baseline is set.

    Attributes:
        run: The name of its run folder.
        results: Its results, those included that it reused from earlier nightly runs.
        machine_era: Since when the machine measured as in the baseline; empty if unknown, as for ``harness run``.
        accepted: The differences that a person accepted.
        note: Why the baseline cannot be read.
    """

    run: str = ""
    results: Results = field(default_factory=dict)
    machine_era: str = ""
    accepted: Sequence[Acceptance] = ()
    note: str = ""

    def aligned(self, results: Results) -> BaselineResults:
        """Return the baseline with the series names that ``results`` have for the same cells."""
        return replace(self, results=with_series_of(self.results, results))

    def comparable(self, machine_era: str) -> Results:
        """Return the results with at least one attempt, without metrics if the machine drifted since the baseline."""
        drifted = self.machine_era not in {"", machine_era}
        recorded = {key: one for key, one in self.results.items() if one.outcomes}
        return {key: replace(one, values={}) for key, one in recorded.items()} if drifted else recorded


def read_baseline(reports: Path, matrix: str) -> BaselineResults:
    """Read the baseline of a matrix, its results and the accepted differences.

    Raises:
        ConfigError: The file of the baselines cannot be read. If only the run of the baseline cannot be read, the note
            of the result says why.
    """
    baseline = current(reports, matrix)
    if baseline is None:
        return BaselineResults()
    try:
        folder, accepted = baseline_run(matrix, reports)
        results = read_side(folder).results
        ledger = read_ledger(reports, baseline.run)
    except HarnessError as error:
        return BaselineResults(run=baseline.run, note=f"the baseline {baseline.run} cannot be read: {error}")

    return BaselineResults(baseline.run, results, ledger.machine_era if ledger else "", accepted)


def describe_differences(
    baseline: BaselineResults, results: Results, issues: Sequence[KnownIssue] = ()
) -> tuple[str, ...]:
    """Return a sentence for each difference from the baseline, by the rules of ``harness compare``."""
    if not baseline.results:
        return ()
    found = with_accepted(differences(baseline.results, results, issues), baseline.accepted)
    return tuple(_sentence(one) for one in found if one.change not in NOT_REPORTED)


def _sentence(difference: Difference) -> str:
    accepted = f" (accepted: {difference.accepted})" if difference.accepted else ""
    key = difference.key
    return f"{difference.change.label}: {key.series} · {key.scenario}: {difference.detail}{accepted}"


def acceptance_reasons(baseline: BaselineResults, results: Results) -> dict[ResultKey, str]:
    """Return key → reason for each result of which every difference was accepted; memory is not considered."""
    found = {key: [one for one in mine if acceptable(one)] for key, mine in _differences(baseline, results).items()}
    return {key: mine[0].accepted for key, mine in found.items() if mine and all(one.accepted for one in mine)}


def memory_acceptance(baseline: BaselineResults, before: ScenarioResult, after: ScenarioResult) -> str:
    """Return why the growth of memory since the baseline was accepted; empty if it was not."""
    grown = tuple(one for one in shifts_from_baseline(before, after) if one.up)
    difference = Difference(Change.MEMORY_UP, after.key, before, after, "", shifts=grown)
    return with_accepted([difference], baseline.accepted)[0].accepted if grown else ""


def worse(
    baseline: BaselineResults,
    current: Mapping[ResultKey, LastResult],
    machine_era: str,
    details: Mapping[ResultKey, str],
) -> list[Claim]:
    """Return a claim for each result that is worse than in the baseline and not accepted.

    ========================== ================= ==================================
    in the baseline            current           claim
    ========================== ================= ==================================
    pass or flaky              fail              still differs from the baseline
    another failure            fail              fails differently than in the baseline
    pass                       pass, more memory still differs from the baseline
    anything else                                none
    ========================== ================= ==================================

    Memory is compared if the machine did not drift since the baseline.

    Args:
        baseline: The baseline.
        current: The confirmed results, reused ones included.
        machine_era: Since when the machine measures as it does now.
        details: Key → message of the failure in this nightly run.
    """
    before, found = baseline.comparable(machine_era), dict[ResultKey, Claim]()
    results = _differences(baseline, {key: one.result for key, one in current.items()})
    for key, last in current.items():
        if last.status is Status.FAIL:
            open_ = [(kind, one) for one in results.get(key, ()) if (kind := _kind(one)) and not one.accepted]
            if open_:
                kind, difference = min(open_, key=lambda one: one[0] is not Kind.STILL_DIFFERS)
                found[key] = _failure_claim(baseline, last, difference, kind, details.get(key, ""))
        elif last.status is Status.PASS and key in before and not memory_acceptance(baseline, before[key], last.result):
            grown = [one for one in shifts_from_baseline(before[key], last.result) if one.up]
            if grown:
                most = max(grown, key=lambda one: one.after.median - one.before.median)
                found[key] = _memory_claim(baseline, last, before[key], most)

    return list(found.values())


def _kind(difference: Difference) -> Kind | None:
    """Return which claim a difference makes of a failure; None if it is not known to be worse."""
    flaky = difference.before is not None and difference.before.status is Status.FLAKY
    if difference.change is Change.CHANGED and not flaky:
        return Kind.FAILS_DIFFERENTLY
    worse_than = {Change.NEW_FAILURE, Change.CHANGED, Change.FLAKY}
    return Kind.STILL_DIFFERS if difference.change in worse_than else None


def _failure_claim(
    baseline: BaselineResults, last: LastResult, difference: Difference, kind: Kind, detail: str
) -> Claim:
    if difference.before is None:
        raise ValueError("a claim against the baseline needs a result of the baseline")
    text = detail or (last.signatures[0] if last.signatures else last.result.text)
    detail = f"{' '.join(text.split())}; {difference.before.status} in the baseline {baseline.run}"
    return _claim(baseline, last, difference.before, kind, detail, last.since)


def _memory_claim(baseline: BaselineResults, last: LastResult, before: ScenarioResult, shift: Shift) -> Claim:
    sizes = human_bytes(shift.before.median), human_bytes(shift.after.median)
    detail = f"{shift.name} {sizes[0]} in {baseline.run}, {sizes[1]} now"
    made = _claim(baseline, last, before, Kind.STILL_DIFFERS, detail, last.level_since)
    return made.model_copy(update={"figure": shift.name, "bounds": (shift.before.median, shift.after.median)})


def _claim(
    baseline: BaselineResults, last: LastResult, before: ScenarioResult, kind: Kind, detail: str, since: str
) -> Claim:
    versions = before.exact_versions, last.result.exact_versions
    return Claim(
        kind=kind,
        series=last.series,
        scenario=last.scenario,
        cell=last.cell,
        detail=detail,
        fresh=False,
        since=since,
        was=baseline.run,
        was_cell=before.cell,
        changed=changed_packages(*versions) if all(versions) else {},
        signature=last.signatures[0] if last.signatures else "",
    )


def _differences(baseline: BaselineResults, results: Results) -> dict[ResultKey, list[Difference]]:
    """Return how results differ from the baseline except in memory; a failed cell has one difference a scenario."""
    found: dict[ResultKey, list[Difference]] = {}
    for difference in with_accepted(differences(baseline.results, results), baseline.accepted):
        if difference.after is not None and not difference.shifts:
            found.setdefault(difference.after.key, []).append(difference)
    return found
