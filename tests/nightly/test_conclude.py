"""The claims of a whole nightly run: what is new, what is repeated, what is rerun, what disappeared."""

from dataclasses import replace

import pytest

from harness.nightly.claim import Kind, exit_code
from harness.nightly.conclude import STEADY, conclude, reruns_needed
from harness.nightly.control import Control, ControlState
from harness.store.records import WHOLE_CELL
from harness.verdict.known_issues import KnownIssue
from tests.evidence import evidence, ledger, reread, result

ISSUE = KnownIssue(scenario="s::t", signature="E: known", versions={"a": ">=1"}, tracker="owner/name#1")


def spend(before, run, one, *issues):
    """Return the only claim of a nightly run, and the ledger after it."""
    found = conclude(evidence(before, one, run=run, issues=issues))
    (claim,) = found.claims
    return claim, reread(found.ledger)


def test_a_known_issue_that_changed_is_new_in_its_first_run_only():
    """The failure may have been there before the known issue."""
    fails = result("F" * 6)
    first, left = spend(ledger(fails), "n1", fails, ISSUE)
    again, left = spend(left, "n2", fails, ISSUE)
    assert [(one.kind, one.fresh) for one in (first, again)] == [
        (Kind.KNOWN_ISSUE_CHANGED, True),
        (Kind.KNOWN_ISSUE_CHANGED, False),
    ]
    gone, left = spend(left, "n3", fails)
    assert gone.kind is Kind.STILL_FAILING
    back, _ = spend(left, "n4", fails, ISSUE)
    assert (back.kind, back.fresh) == (Kind.KNOWN_ISSUE_CHANGED, True)


@pytest.mark.parametrize(
    ("without", "kind"),
    [
        (result("B", lock="l2"), Kind.INCONCLUSIVE),
        (result("", lock="l2", reason="killed"), Kind.MISSING),
        (result("U", scenario=WHOLE_CELL, lock=""), Kind.UNAVAILABLE),
    ],
)
def test_a_result_that_is_missing_again_counts_but_is_not_new(without, kind):
    first, left = spend(ledger(result()), "n1", without)
    again, _ = spend(left, "n2", without)
    assert [(one.kind, one.fresh) for one in (first, again)] == [(kind, True), (kind, False)]
    assert exit_code([again], STEADY) == 4


@pytest.mark.parametrize("kind", [Kind.MISSING, Kind.UNAVAILABLE, Kind.INCONCLUSIVE])
def test_a_result_that_is_missing_is_reported_also_if_the_machine_drifted(kind):
    without = {Kind.MISSING: result(""), Kind.UNAVAILABLE: result("U"), Kind.INCONCLUSIVE: result("B")}[kind]
    now = evidence(ledger(result()), without, control=Control(ControlState.DRIFTED, ("memory", "memory")))
    assert [(one.kind, one.key) for one in conclude(now).claims] == [(kind, without.key)]


def test_a_missing_result_names_the_last_one():
    claim, _ = spend(ledger(result()), "n1", result("", reason="killed"))
    assert (claim.kind, claim.detail) == (Kind.MISSING, "killed; last result pass in n0")
    assert exit_code([claim], STEADY) == 4


def test_only_new_failures_are_rerun():
    before = ledger(result(), result("F", scenario="s::u"))
    now = evidence(before, result("F", 2), result("F", scenario="s::u"), result("F", scenario="s::v"))
    assert reruns_needed(now) == {("a=latest", "s::t"): 5, ("a=latest", "s::v"): 1}


def test_a_series_or_a_scenario_that_is_gone_is_reported_once():
    before = ledger(result(), result(series="b=1"))
    now = evidence(before, result(scenario="s::new"))
    found = conclude(replace(now, series=frozenset({"a=latest"})))
    assert {one.key for one in found.claims if one.kind is Kind.DISAPPEARED} == {("a=latest", "s::t"), ("b=1", "*")}
    assert set(reread(found.ledger).last_results()) == {("a=latest", "s::new")}
