"""A nightly run fails while a result is worse than in the baseline and nobody accepted it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

import pytest

from harness.nightly.baseline import BaselineResults, describe_differences
from harness.nightly.claim import Claim, Kind, exit_code
from harness.nightly.conclude import STEADY, Conclusion, conclude, reruns_needed
from harness.nightly.control import Control, ControlState
from harness.nightly.ledger import Ledger
from harness.nightly.summary import verdict
from harness.store.baseline import Acceptance
from harness.store.records import Outcome
from harness.verdict.acceptance import acceptance
from harness.verdict.comparison import differences
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult
from tests.evidence import GIB, RESERVED, evidence, ledger, reread, result

KEY = ResultKey("a=latest", "s::t")
PASSES, BROKEN = result("PPP"), result("F" * 6, 2)


def based_on(*results: ScenarioResult, era: str = "n0", accepted: tuple[Acceptance, ...] = ()) -> BaselineResults:
    """Return the baseline as it is read from its run."""
    return BaselineResults("base", {one.key: one for one in results}, era, accepted)


def accept(base: ScenarioResult, now: ScenarioResult) -> tuple[Acceptance, ...]:
    """Return what ``harness baseline accept`` records of all differences between two results."""
    found = differences({base.key: base}, {now.key: now})
    assert found
    date = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    return tuple(acceptance(one, reason="on purpose", run="n1", date=date) for one in found)


@dataclass
class Runs:
    """Nightly runs one after the other; the first has the results of the baseline."""

    baseline: BaselineResults
    ledger: Ledger | None = None
    number: int = 0
    issues: tuple[KnownIssue, ...] = ()
    last: Conclusion = field(default_factory=lambda: Conclusion((), None))
    reruns: dict[ResultKey, int] = field(default_factory=dict)

    def spend(
        self, *results: ScenarioResult, reuse: bool = False, control: Control = STEADY, strict: bool = False
    ) -> int:
        """Make a nightly run and return its exit code; with ``reuse`` it reuses all other results."""
        before = self.ledger.last_results() if self.ledger else {}
        mine = {one.key for one in results}
        now = evidence(
            self.ledger,
            *results,
            run=f"n{self.number}",
            series=frozenset({"a=latest"}),
            reused={key: one for key, one in before.items() if key not in mine and reuse},
            baseline=self.baseline,
            issues=self.issues,
            control=control,
            control_results={one.key.scenario: one for one in results[:1]},
        )
        self.reruns = reruns_needed(now)
        self.last = conclude(now)
        self.ledger = reread(self.last.ledger)
        self.number += 1
        return exit_code(self.last.claims, control, strict=strict)

    @property
    def kinds(self) -> list[Kind]:
        return [one.kind for one in self.last.claims]

    @property
    def only(self) -> Claim:
        (claim,) = self.last.claims
        return claim


def begun(*results: ScenarioResult, **more: object) -> Runs:
    runs = Runs(based_on(*results, **more))  # type: ignore[arg-type]
    runs.spend(*results)
    return runs


def test_a_failure_fails_every_run_until_it_is_fixed():
    runs = begun(PASSES)
    assert (runs.spend(BROKEN), runs.kinds) == (1, [Kind.NEW_REGRESSION])
    for _ in range(3):
        assert (runs.spend(result("F", 2)), runs.reruns) == (1, {})
        claim = runs.only
        assert (claim.kind, claim.fresh, claim.regression, claim.since) == (Kind.STILL_DIFFERS, False, False, "n1")
        assert (claim.was, claim.changed) == ("base", {"a": ("1", "2")})
        assert claim.detail == "E: x; pass in the baseline base"
        assert verdict(1, "steady", runs.last.claims) == "still differs from the baseline"
    assert (runs.spend(result("PP", 3)), runs.kinds) == (0, [Kind.FIXED])
    assert (runs.spend(result("P", 3)), runs.kinds) == (0, [])


def test_a_difference_from_the_baseline_has_the_message_of_the_current_failure():
    """A signature has no numbers in it; the message of a failure has."""
    runs = begun(PASSES)
    runs.spend(BROKEN)
    runs.spend(result("F", 2, reason="the answer is 39\nand not 42"))
    assert runs.only.detail == "the answer is 39 and not 42; pass in the baseline base"


def test_without_a_baseline_only_the_first_run_fails():
    runs = Runs(BaselineResults())
    assert [runs.spend(one) for one in (PASSES, BROKEN, result("F", 2))] == [0, 1, 0]
    assert runs.kinds == [Kind.STILL_FAILING]


def test_an_accepted_failure_does_not_count_and_another_failure_in_its_place_does():
    runs = begun(PASSES)
    runs.spend(BROKEN)
    runs.baseline = based_on(PASSES, accepted=accept(PASSES, BROKEN))
    assert (runs.spend(result("F", 2)), runs.kinds) == (0, [Kind.STILL_FAILING])
    other = result("FF", 3, signature="E: y")
    assert (runs.spend(other), runs.kinds) == (1, [Kind.SIGNATURE_CHANGED, Kind.STILL_DIFFERS])
    assert (runs.spend(other), runs.kinds) == (1, [Kind.STILL_DIFFERS])


def test_an_acceptance_is_given_as_the_reason_in_the_first_run_with_it():
    agreed = accept(result(), result("F" * 6, 2))
    now = evidence(ledger(result()), result("F" * 6, 2), baseline=based_on(result(), accepted=agreed))
    assert [(one.kind, one.detail) for one in conclude(now).claims] == [(Kind.ACCEPTED, "on purpose")]


def test_a_failure_that_the_baseline_has_is_still_failing_though_the_last_result_passed():
    now = evidence(ledger(result()), result("F" * 6, 2), baseline=based_on(result("F" * 6, 2)))
    (claim,) = conclude(now).claims
    assert (claim.kind, exit_code([claim], STEADY)) == (Kind.STILL_FAILING, 0)


def test_more_memory_counts_until_it_is_accepted_also_in_reused_results():
    base, grown = result("PPP", memory=6), result("PPP", 2, 7)
    runs = begun(base)
    assert (runs.spend(grown), runs.kinds) == (1, [Kind.MEMORY_UP])
    assert (runs.spend(reuse=True), runs.only.kind) == (1, Kind.STILL_DIFFERS)
    assert runs.only.detail == "cuda_reserved.load 6.00 GiB in base, 7.00 GiB now"
    assert (runs.only.since, runs.only.bounds, runs.only.regression) == ("n1", (6 * GIB, 7 * GIB), False)
    assert (runs.spend(result("P", 2, 7)), runs.reruns, runs.only.kind) == (1, {}, Kind.STILL_DIFFERS)
    assert runs.only.since == "n1"
    runs.baseline = based_on(base, accepted=accept(base, grown))
    assert (runs.spend(result("P", 2, 7)), runs.kinds) == (0, [])
    assert (runs.spend(reuse=True), runs.kinds) == (0, [])
    assert (runs.spend(result("PPP", 3, 9)), runs.kinds) == (1, [Kind.MEMORY_UP])
    assert (runs.spend(reuse=True), runs.kinds) == (1, [Kind.STILL_DIFFERS])
    assert (runs.spend(result("PPP", 4, 4)), runs.kinds) == (0, [Kind.MEMORY_DOWN])
    assert (runs.spend(reuse=True), runs.kinds) == (0, [])


def test_memory_that_was_accepted_before_it_grew_is_the_level_of_later_runs():
    base, grown = result("PPP", memory=6), result("PPP", 2, 7)
    runs = begun(base, accepted=accept(base, grown))
    assert (runs.spend(result("P", 2, 7)), runs.kinds) == (0, [Kind.ACCEPTED])
    assert runs.ledger is not None
    assert runs.ledger.last_results()[KEY].values == {RESERVED: (7 * GIB,)}


def test_memory_that_grows_slowly_counts_from_the_run_that_passes_the_bound():
    runs = begun(result("PPP", memory=6))
    assert [runs.spend(result("PPP", 2, memory)) for memory in (6.15, 6.25, 6.5, 6.5)] == [0, 0, 1, 1]
    assert runs.kinds == [Kind.STILL_DIFFERS]


def test_memory_that_grew_slowly_is_confirmed_before_it_is_reported():
    runs = begun(result("PPP", memory=6))
    for _ in range(2):
        runs.spend(result("PPP", 2, 6.25))
    assert (runs.spend(result("P", 3, 6.5)), runs.kinds, runs.reruns) == (4, [Kind.UNCONFIRMED], {KEY: 2})


def test_growth_is_accepted_whatever_shrank_beside_it():
    names = (RESERVED, "cuda_allocated.load")
    base = result("PPP", values=dict.fromkeys(names, (6.0 * GIB,) * 3))
    grown = result("PPP", 2, values={names[0]: (7.0 * GIB,) * 3, names[1]: (4.0 * GIB,) * 3})
    runs = begun(base, accepted=accept(base, grown))
    runs.spend(grown)
    assert (runs.spend(grown), runs.kinds) == (0, [])


def test_the_memory_of_a_failed_attempt_of_the_baseline_is_not_compared():
    runs = begun(result("FF", memory=6))
    assert (runs.spend(result("PPP", 2, 9)), runs.kinds) == (0, [Kind.FIXED])
    assert (runs.spend(reuse=True), runs.kinds) == (0, [])
    flaky = begun(result("FPP", memory=6))
    assert (flaky.spend(result("PPP", 2, 9)), flaky.kinds) == (0, [])


@pytest.mark.parametrize(
    ("fixed", "code", "kinds", "reruns"),
    [
        (result("P", 3, 9), 4, [Kind.FIXED, Kind.UNCONFIRMED], {KEY: 2}),
        (result("PPP", 3, 9), 1, [Kind.FIXED, Kind.MEMORY_UP], {}),
        (result("P", 3, 6), 0, [Kind.FIXED], {}),
    ],
)
def test_a_fix_that_takes_more_memory_than_before_the_failure_is_both(fixed, code, kinds, reruns):
    runs = begun(result("PPP", memory=6))
    runs.spend(result("F" * 6, 2, memory=1))
    assert (runs.spend(fixed), runs.kinds, runs.reruns) == (code, kinds, reruns)
    if code == 1:
        assert (runs.spend(reuse=True), runs.kinds) == (1, [Kind.STILL_DIFFERS])


@pytest.mark.parametrize(("attempts", "codes"), [("P", [0, 0]), ("PPP", [1, 1])])
def test_a_baseline_of_one_attempt_gets_the_tolerance_of_a_comparison(attempts, codes):
    """What ``harness compare`` does not call growth, nobody could accept."""
    runs = Runs(based_on(result(attempts, memory=6)))
    runs.spend(result("PPP", memory=6.28))
    assert [runs.spend(result("PPP", 2, 6.5)), runs.spend(reuse=True)] == codes


def test_memory_is_not_compared_with_a_baseline_from_before_a_machine_drift():
    rebaselined = Control(ControlState.REBASELINED)
    runs = begun(result("PPP", memory=6), result("PP", scenario="s::u"))
    runs.spend(result("P", memory=6), result("F" * 6, 2, scenario="s::u"))
    fails = [Kind.STILL_DIFFERS]  # a failure is one on any machine
    now = result("PPP", memory=9), result("F", 2, scenario="s::u")
    assert (runs.spend(*now, control=rebaselined), runs.kinds) == (1, fails)
    assert (runs.spend(*now), runs.kinds) == (1, fails)
    assert runs.last.notes == (
        "memory is not compared with the baseline base: the machine drifted since; set a newer baseline",
    )
    runs.baseline = replace(runs.baseline, machine_era="n2")
    assert (runs.spend(result("PPP", memory=9)), runs.last.notes) == (1, ())
    runs.baseline = replace(runs.baseline, machine_era="")  # a run of `harness run`: unknown
    runs.spend(result("PPP", memory=9))
    assert Kind.STILL_DIFFERS in runs.kinds


def test_memory_on_another_gpu_model_is_not_compared_with_the_baseline():
    runs = Runs(based_on(result("PPP", memory=6, gpu="H100")))
    assert [runs.spend(result("PPP", version, 9, gpu="H200")) for version in (1, 2)] == [0, 0]


def test_a_failure_that_differs_from_that_of_the_baseline_counts_with_strict():
    old = result("FF", signature="E: old")
    runs = begun(old)
    assert (runs.spend(result("FF", 2)), runs.kinds) == (0, [Kind.SIGNATURE_CHANGED, Kind.FAILS_DIFFERENTLY])
    assert (runs.spend(result("F", 2)), runs.kinds) == (0, [Kind.FAILS_DIFFERENTLY])
    assert (runs.spend(result("F", 2), strict=True), runs.only.fresh) == (1, False)
    assert verdict(1, "steady", runs.last.claims) == "fails otherwise than the baseline (--strict)"
    runs.baseline = based_on(old, accepted=accept(old, result("F")))
    assert (runs.spend(result("F", 2), strict=True), runs.kinds) == (0, [Kind.STILL_FAILING])


def test_in_a_first_run_a_failure_that_differs_from_that_of_the_baseline_has_changed():
    runs = Runs(based_on(result("FF", signature="E: old")))
    assert (runs.spend(result("FF")), runs.kinds) == (0, [Kind.SIGNATURE_CHANGED, Kind.FAILS_DIFFERENTLY])


def test_a_baseline_excuses_its_own_failure_and_no_other():
    fixed = result("PPPP", 2)
    runs = begun(result("FF", signature="E: old"))
    runs.spend(fixed)
    same = result("F" * 6, 3, signature="E: old")
    assert (runs.spend(same), runs.only.detail) == (0, "fail:run:exception; fails in the baseline, too")
    runs.spend(fixed)
    assert (runs.spend(result("F" * 6, 4)), runs.kinds) == (1, [Kind.NEW_REGRESSION])


@pytest.mark.parametrize("without", ["E", "S"])
def test_a_baseline_without_a_result_hides_no_regression(without):
    runs = Runs(based_on(result(without)))
    runs.spend(PASSES)
    assert (runs.spend(BROKEN), runs.kinds) == (1, [Kind.NEW_REGRESSION])
    assert (runs.spend(result("F", 2)), runs.kinds) == (0, [Kind.STILL_FAILING])


def test_accepted_memory_excuses_no_failure_and_an_accepted_failure_no_memory():
    base, grown = result("PPP", memory=6), result("PPP", 2, 7)
    runs = begun(base, accepted=accept(base, grown))
    runs.spend(grown)
    assert (runs.spend(result("F" * 6, 3, 7)), runs.kinds) == (1, [Kind.NEW_REGRESSION])
    assert (runs.spend(result("F", 3, 7)), runs.kinds) == (1, [Kind.STILL_DIFFERS])
    runs = begun(base, accepted=accept(base, result("FF", 2)))
    assert (runs.spend(grown), runs.kinds) == (1, [Kind.MEMORY_UP])


def test_a_known_issue_is_not_compared_with_the_baseline():
    runs = begun(PASSES)
    runs.issues = (KnownIssue(scenario="s::t", signature="E: x", versions={"a": ">=1"}, tracker="owner/name#1"),)
    assert [runs.spend(result("F", 2)), runs.spend(result("F", 2))] == [0, 0]
    assert runs.kinds == [Kind.KNOWN_ISSUE]
    runs.issues = ()
    assert (runs.spend(result("F", 2)), runs.kinds) == (1, [Kind.STILL_DIFFERS])


def test_flaky_new_and_unconfirmed_results_are_not_compared_with_the_baseline():
    flaky = begun(PASSES)
    assert [flaky.spend(result("FP", 2)), flaky.spend(result("FP", 2))] == [0, 0]
    new = begun(PASSES)
    assert [new.spend(PASSES, result("FF", scenario="s::new")) for _ in range(2)] == [0, 0]
    unconfirmed = begun(PASSES)
    assert (unconfirmed.spend(result("F", 2)), unconfirmed.kinds) == (4, [Kind.UNCONFIRMED])


def test_a_flaky_result_of_the_baseline_that_now_always_fails_is_worse():
    runs = begun(result("PFPP"))
    assert (runs.spend(result("F" * 14, 2)), runs.kinds) == (1, [Kind.NEW_REGRESSION])
    assert (runs.spend(result("F", 2)), runs.kinds) == (1, [Kind.STILL_DIFFERS])


def test_a_failure_without_a_change_is_open_first_and_then_differs():
    runs = begun(PASSES)
    assert (runs.spend(result("F" * 6)), runs.kinds) == (4, [Kind.UNEXPLAINED])
    assert (runs.spend(result("F")), runs.kinds) == (1, [Kind.STILL_DIFFERS])


def test_an_edit_that_makes_a_scenario_fail_differs_at_once():
    """Otherwise an edit would be all that it takes to pass."""
    runs = begun(PASSES)
    edited = result("FF", source="s2")
    assert (runs.spend(edited), runs.kinds) == (1, [Kind.SCENARIO_CHANGED, Kind.STILL_DIFFERS])
    assert (runs.spend(edited), runs.kinds) == (1, [Kind.STILL_DIFFERS])


def test_a_missing_result_is_reported_beside_a_difference_and_alone_at_its_own_key():
    runs = begun(PASSES, result("PPP", scenario="s::u"))
    runs.spend(BROKEN, result("P", 2, scenario="s::u"))
    assert runs.spend(result("F", 2), result("", 2, scenario="s::u", reason="killed")) == 1
    assert set(runs.kinds) == {Kind.STILL_DIFFERS, Kind.MISSING}
    assert verdict(1, "steady", runs.last.claims) == (
        "still differs from the baseline, and results are missing or open"
    )
    assert runs.spend(result("", 2, reason="killed"), result("P", 2, scenario="s::u")) == 4
    assert runs.kinds == [Kind.MISSING]


def test_nothing_is_claimed_against_the_baseline_while_the_machine_drifts():
    runs = begun(PASSES)
    runs.spend(BROKEN)
    assert runs.spend(result("F", 2), control=Control(ControlState.DRIFTED)) == 4
    assert Kind.STILL_DIFFERS not in runs.kinds


def test_a_cell_that_cannot_be_set_up_is_unavailable_and_no_difference_of_the_software():
    outcome = Outcome.parse("unavailable:install:install_failed")
    cell = result("", 2, scenario="*", outcomes=(outcome,), signatures=("E: no wheel",))
    runs = begun(PASSES, result("PP", scenario="s::u"))
    for _ in range(2):
        assert (runs.spend(cell), runs.kinds) == (4, [Kind.UNAVAILABLE])
    assert runs.spend(PASSES, result("PP", scenario="s::u")) == 0


def test_what_left_the_matrix_is_not_compared():
    runs = begun(PASSES)
    runs.spend(BROKEN)
    assert runs.spend(result("P", 2, scenario="s::u")) == 0
    assert set(runs.kinds) == {Kind.APPEARED, Kind.DISAPPEARED}


def test_a_baseline_that_is_set_later_counts_from_its_first_run():
    runs = Runs(based_on(PASSES), ledger(BROKEN), number=1)
    assert (runs.spend(result("F", 2)), runs.only.kind, runs.only.fresh) == (1, Kind.STILL_DIFFERS, False)


def test_an_accepted_difference_is_described_with_its_reason():
    agreed = accept(PASSES, BROKEN)
    described = describe_differences(based_on(PASSES, accepted=agreed), {KEY: BROKEN})
    assert described == ("new failure: a=latest · s::t: pass:check → fail:run:exception: E: x (accepted: on purpose)",)
    assert describe_differences(BaselineResults(), {KEY: BROKEN}) == ()
