"""Tonight and what stands after it, held against the baseline: what is worse there, and what was accepted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.nightly.claim import Claim, Kind, alike, changed_packages
from harness.nightly.ledger import LastResult, Ledger
from harness.nightly.memory import beyond
from harness.nightly.record import LEDGER, read
from harness.session.comparison_input import BASELINE, open_sides
from harness.store.baseline import Acceptance, current
from harness.store.records import Status
from harness.store.run_folder import RunFolder
from harness.verdict.acceptance import acceptable, with_accepted
from harness.verdict.comparison import Change, Difference, Results, differences
from harness.verdict.figures import human_bytes
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult
from harness.verdict.statistics import Shift


@dataclass(frozen=True)
class BaselineComparison:
    """The baseline's looks (None: none is set), what was accepted, and the differences of a run in words.

    ``note`` says why there are no looks though a baseline is set.

    ``epoch`` is since when the machine measured as it did in the baseline; empty where nobody knows, as of a run that
    was no night.
    """

    run: str = ""
    results: Mapping[ResultKey, ScenarioResult] | None = None
    epoch: str = ""
    accepted: Sequence[Acceptance] = ()
    said: tuple[str, ...] = ()
    note: str = ""

    def measured(self, epoch: str) -> Mapping[ResultKey, ScenarioResult]:
        """Return the baseline's looks, without their figures where the machine moved since."""
        results = self.results or {}
        if self.epoch in {"", epoch}:
            return results
        return {key: replace(one, values={}) for key, one in results.items()}


def accepted_answers(baseline: BaselineComparison, results: Results) -> dict[ResultKey, str]:
    """Return why each result was accepted, for those of which a person accepted all that differs."""
    found = {key: [one for one in mine if acceptable(one)] for key, mine in _differences(baseline, results).items()}
    return {key: mine[0].accepted for key, mine in found.items() if mine and all(one.accepted for one in mine)}


def accepted_memory(baseline: BaselineComparison, base: ScenarioResult, now: ScenarioResult) -> str:
    """Return why memory beyond the baseline's was accepted; empty where it was not."""
    grown = tuple(one for one in beyond(base, now) if one.up)
    difference = Difference(Change.MEMORY_UP, now.key, base, now, "", shifts=grown)
    return with_accepted([difference], baseline.accepted)[0].accepted if grown else ""


def worse(
    baseline: BaselineComparison, current: Mapping[ResultKey, LastResult], epoch: str, details: Mapping[ResultKey, str]
) -> list[Claim]:
    """Return what is worse than the baseline and was not accepted: one quiet claim a key.

    ================================= ============================================
    in the baseline      current      claim
    ================================= ============================================
    pass or flaky        fail         still differs from the baseline
    fails in another way fail         fails otherwise than the baseline
    pass                 pass, more   still differs from the baseline
                         memory
    any other                         –
    ================================= ============================================

    Memory is compared where the machine did not drift since the baseline.

    Args:
        baseline: the baseline and what was accepted.
        current: what the nights have confirmed, cached results included.
        epoch: since when the machine measures as it does.
        details: what failures said tonight.
    """
    bases, found = baseline.measured(epoch), dict[ResultKey, Claim]()
    differences = _differences(baseline, {key: one.result for key, one in current.items()})
    for key, last in current.items():
        if last.status is Status.FAIL:
            open_ = [one for one in differences.get(key, ()) if not one.accepted and one.before is not None]
            claimed = [(kind, base) for one in open_ for base in [_base(bases, one)] if (kind := _kind(base, last))]
            if claimed:
                kind, base = min(claimed, key=lambda one: one[0] is not Kind.DIFFERS)
                found[key] = _claim(baseline, last, base, kind, details.get(key, ""))
        elif last.status is Status.PASS and key in bases and not accepted_memory(baseline, bases[key], last.result):
            grown = [one for one in beyond(bases[key], last.result) if one.up]
            if grown:
                most = max(grown, key=lambda one: one.after.median - one.before.median)
                found[key] = _claim(baseline, last, bases[key], Kind.DIFFERS, shift=most)
    return list(found.values())


def _base(bases: Results, difference: Difference) -> ScenarioResult | None:
    return bases.get(difference.before.key) if difference.before else None


def _kind(base: ScenarioResult | None, last: LastResult) -> Kind | None:
    if base is None:
        return None
    if base.status in {Status.PASS, Status.FLAKY}:
        return Kind.DIFFERS
    return Kind.OTHERWISE if base.status is Status.FAIL and not alike(base, last.result) else None


def _claim(
    baseline: BaselineComparison,
    last: LastResult,
    base: ScenarioResult | None,
    kind: Kind,
    detail: str = "",
    shift: Shift | None = None,
) -> Claim:
    if base is None:
        raise ValueError("a claim against the baseline needs the baseline's result")
    text = detail or (last.signatures[0] if last.signatures else last.result.text)
    detail = f"{' '.join(text.split())}; {base.status} in the baseline {baseline.run}"
    if shift is not None:
        sizes = human_bytes(shift.before.median), human_bytes(shift.after.median)
        detail = f"{shift.name} {sizes[0]} in {baseline.run}, {sizes[1]} now"
    versions = base.exact_versions, last.result.exact_versions
    return Claim(
        kind=kind,
        line=last.line,
        scenario=last.scenario,
        cell=last.cell,
        detail=detail,
        fresh=False,
        since=last.since if shift is None else last.level,
        was=baseline.run,
        was_cell=base.cell,
        changed=changed_packages(*versions) if all(versions) else {},
        signature=last.signatures[0] if last.signatures else "",
        figure=shift.name if shift else "",
        bounds=(shift.before.median, shift.after.median) if shift else None,
    )


def _differences(baseline: BaselineComparison, results: Results) -> dict[ResultKey, list[Difference]]:
    """Return how some results differ from the baseline's but for memory; a failed cell has a difference a scenario."""
    before, after = (
        {key: replace(one, values={}) for key, one in side.items()} for side in (baseline.results or {}, results)
    )
    found: dict[ResultKey, list[Difference]] = {}
    for difference in with_accepted(differences(before, after), baseline.accepted):
        if difference.after is not None:
            found.setdefault(difference.after.key, []).append(difference)
    return found


UNSAID = {Change.DISAPPEARED, Change.MISSING}  # the night's own claims say what is gone or missing


def load_baseline(folder: RunFolder, reports: Path, matrix: str, issues: Sequence[KnownIssue]) -> BaselineComparison:
    """Compare a run with the baseline of its matrix, by the rules of ``harness compare``.

    What either of them carried stands as the night shows it that ran it.

    Raises:
        ConfigError: the file of the baselines cannot be read.
    """
    baseline = current(reports, matrix)
    if baseline is None:
        return BaselineComparison()
    try:
        old, new, accepted = open_sides(BASELINE, str(folder.path), reports)
        ledger = read(old.folder.path / LEDGER, Ledger)
    except HarnessError as error:
        return BaselineComparison(run=baseline.run, note=f"the baseline {baseline.run} cannot be read: {error}")
    entries = with_accepted(differences(old.results, new.results, issues), accepted)
    told = [entry for entry in entries if entry.change not in UNSAID]
    return BaselineComparison(
        run=baseline.run,
        results={key: one for key, one in old.results.items() if one.outcomes},
        epoch=ledger.epoch if ledger else "",
        accepted=accepted,
        said=tuple(map(_said, told)),
    )


def _said(entry: Difference) -> str:
    accepted = f" (accepted: {entry.accepted})" if entry.accepted else ""
    return f"{entry.change}: {entry.key.series} · {entry.key.scenario}: {entry.detail}{accepted}"
