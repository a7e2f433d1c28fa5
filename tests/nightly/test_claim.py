"""What is claimed about one result: by its change, its history, the baseline, and an edit of its scenario."""

from dataclasses import replace

import pytest

from harness.nightly.claim import ClaimInput, Kind, exit_code, make_claim
from harness.nightly.conclude import STEADY, conclude, reruns_needed
from harness.nightly.ledger import LastResult
from tests.evidence import GIB, RESERVED, evidence, last, ledger, result

OLD, NEW = (f"git+https://github.com/o/gadget@{sha * 40}" for sha in "ab")


@pytest.mark.parametrize(
    ("now", "kind", "code"),
    [
        (result("F", 2), Kind.UNCONFIRMED, 4),
        (result("F" * 6, 2), Kind.NEW_REGRESSION, 1),
        (result("F" * 6), Kind.UNEXPLAINED, 4),
        (result("FP", 2), Kind.FLAKY, 0),
        (result("B", 2), Kind.INCONCLUSIVE, 4),
        (result("S", 2), Kind.DISAPPEARED, 0),
        (result("N", 2), Kind.MISSING, 4),
    ],
)
def test_a_result_that_passed_before_makes_one_claim(now, kind, code):
    claims = conclude(evidence(ledger(result()), now)).claims
    assert [one.kind for one in claims] == [kind]
    assert exit_code(claims, STEADY) == code


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        (result("FF", 2), Kind.STILL_FAILING),
        (result("FF", 2, signature="E: y"), Kind.SIGNATURE_CHANGED),
        (result("AA", 2), Kind.SIGNATURE_CHANGED),  # one signature, another outcome: not the same failure
        (result("P", 2), Kind.FIXED),
    ],
)
def test_a_result_that_failed_before_is_compared_by_outcome_and_signature(now, kind):
    assert [one.kind for one in conclude(evidence(ledger(result("FF")), now)).claims] == [kind]


def test_memory_on_another_gpu_model_is_not_compared():
    grown = result("PPP", 2, 2)
    assert [one.kind for one in conclude(evidence(ledger(result(memory=1)), grown)).claims] == [Kind.MEMORY_UP]
    assert conclude(evidence(ledger(result(memory=1)), replace(grown, gpu="H200"))).claims == ()


EDITED = result(source="s2")
FAILS = result("A", source="s2")


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (result(), FAILS, "passed before"),
        (result(), result("A" * 6, source="s2"), "passed before"),
        (result("A"), EDITED, "passes now, failed before"),
        (result("A", signature="E: y"), FAILS, "fail:check:assertion"),
        (result(memory=1), result(memory=3, source="s2"), f"{RESERVED} 1.00 GiB → 3.00 GiB"),
    ],
)
def test_a_change_of_the_scenario_alone_is_listed_and_neither_rerun_nor_counted(before, now, text):
    found = evidence(ledger(before), now)
    (claim,) = conclude(found).claims
    assert claim.kind is Kind.SCENARIO_CHANGED
    assert claim.detail.startswith("only the source of the scenario changed: ")
    assert text in claim.detail
    assert reruns_needed(found) == {}
    assert (exit_code([claim], STEADY), claim.regression) == (0, False)


def test_the_result_of_an_edited_scenario_is_what_the_next_run_compares_with():
    left = conclude(evidence(ledger(result()), FAILS)).ledger
    assert left is not None
    assert left.last_results()[FAILS.key].since == "n1"
    again = conclude(evidence(left, FAILS, run="n2"))
    assert [one.kind for one in again.claims] == [Kind.STILL_FAILING]


def test_if_the_lock_changed_too_the_claim_stays_and_names_the_edit():
    (claim,) = conclude(evidence(ledger(result()), result("A" * 6, 2, source="s2"))).claims
    assert claim.kind is Kind.NEW_REGRESSION
    assert claim.detail.endswith("the source of the scenario changed, too")
    (claim,) = conclude(evidence(ledger(result("A")), result("P", 2, source="s2"))).claims
    assert (claim.kind, claim.detail.endswith("changed, too")) == (Kind.FIXED, True)


def test_a_release_with_the_same_source_does_not_mention_an_edit():
    (claim,) = conclude(evidence(ledger(result()), result("A" * 6, 2))).claims
    assert (claim.kind, "source" in claim.detail) == (Kind.NEW_REGRESSION, False)


def test_two_commits_of_one_version_are_a_change():
    before = LastResult.model_validate_json(last(result(built={"a": OLD})).model_dump_json())
    claim = make_claim(ClaimInput(result("F", built={"a": NEW}), last=before), Kind.NEW_REGRESSION, "fails")
    assert claim.changed == {"a": (OLD, NEW)}


def test_a_cell_without_a_lock_has_no_changed_packages():
    unsolvable = result("F", scenario="*", versions={}, built={"a": NEW}, lock="")
    claim = make_claim(ClaimInput(unsolvable, last=last(result(built={"a": OLD}))), Kind.NEW_REGRESSION, "fails")
    assert claim.changed == {}


def test_a_claim_has_the_keys_of_earlier_versions():
    raw = make_claim(ClaimInput(result()), Kind.STILL_FAILING, "").model_dump(mode="json")
    assert raw.keys() == {
        *("kind", "line", "scenario", "cell", "detail", "fresh", "since", "was", "was_cell", "changed"),
        *("signature", "tracker", "figure", "bounds"),
    }
    assert raw["kind"] == "still red"


def test_growth_names_the_bytes_before_and_now():
    (claim,) = conclude(evidence(ledger(result(memory=1)), result("PPP", 2, 2))).claims
    assert (claim.figure, claim.bounds) == (RESERVED, (GIB, 2 * GIB))
