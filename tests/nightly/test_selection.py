"""Which cells are run and why, and which results are reused."""

from dataclasses import replace

import pytest

from harness.nightly.conclude import conclude
from harness.nightly.ledger import MAX_FAILURES_FLAKY
from harness.nightly.selection import NO_RESULT_SO_FAR, PlannedSeries, select_cells
from harness.verdict.result import ResultKey
from tests.evidence import evidence, ledger, reread, result

PLANNED = PlannedSeries(cell="c", series="a=latest", lock="l1", sources={"s::t": "s1", "s::u": "s1"})
ONE = PLANNED.model_copy(update={"sources": {"s::t": "s1"}})
PASSED = (result(), result(scenario="s::u[x]"))


def planned(one=PLANNED, **fields):
    return one.model_copy(update=fields)


def reasons(before, series=ONE):
    return dict(select_cells([series], before).reasons)


@pytest.mark.parametrize(
    ("series", "before", "reason"),
    [
        (PLANNED, ledger(*PASSED), None),
        (PLANNED, None, "new series"),
        (planned(control=True), ledger(*PASSED), "control cell"),
        (planned(series="b=latest"), ledger(*PASSED), "new series"),
        (planned(lock="l2"), ledger(*PASSED), "lock changed"),
        (planned(lock=""), ledger(*PASSED), "no lock"),
        (planned(sources={"s::t": "s2", "s::u": "s1"}), ledger(*PASSED), "source changed"),
        (planned(sources={"s::t": "", "s::u": "s1"}), ledger(*PASSED), "source changed"),
        (PLANNED, ledger(PASSED[0]), "new scenario"),
        (PLANNED, ledger(PASSED[0], result("F", scenario="s::u[x]")), "fail in the last run"),
        (PLANNED, ledger(PASSED[0], result("PF", scenario="s::u[x]")), "flaky in the last run"),
        (PLANNED, ledger(*PASSED, machine_era="n9"), "machine drift since"),
        (PLANNED, ledger(*PASSED, drifted_control=ledger(*PASSED).results), "machine drift in the last run"),
    ],
)
def test_a_cell_is_run_for_a_reason_or_reused_as_a_whole(series, before, reason):
    selection = select_cells([series], before)
    assert dict(selection.reasons) == ({"c": reason} if reason else {})
    assert len(selection.reused) == (0 if reason else 2)
    assert {name for names in selection.run.values() for name in names} == (set(series.sources) if reason else set())


def test_everything_can_be_run():
    assert select_cells([PLANNED], ledger(*PASSED), run_all=True).reasons == {"c": "--all"}


def after(before, run, *results):
    return reread(conclude(evidence(before, *results, run=run)).ledger)


def test_a_missing_result_is_run_again():
    left = after(ledger(*PASSED), "n1", PASSED[0], replace(PASSED[1], outcomes=(), reason="killed"))
    assert reasons(left, PLANNED) == {"c": "no confirmed result in the last run"}


def test_a_flaky_scenario_is_run_until_it_passed_as_often_in_a_row_as_its_failures_need():
    left = ledger(result("PF"))
    assert reasons(left) == {"c": "flaky in the last run"}
    runs = 0
    while reasons(left):
        runs += 1
        left = after(left, f"n{runs}", result())
        if runs == 1:
            assert reasons(left) == {"c": f"flaky: {MAX_FAILURES_FLAKY - 1} more passes in a row needed"}
    assert runs == MAX_FAILURES_FLAKY
    assert set(select_cells([ONE], left).reused) == {("a=latest", "s::t")}


def test_a_failure_in_between_starts_the_count_again():
    left = ledger(result("PF"))
    for number in range(MAX_FAILURES_FLAKY - 1):
        left = after(left, f"n{number}", result())
    left = after(left, "failed", result("FP"))
    assert reasons(after(left, "passed", result()))


def test_a_scenario_that_a_release_broke_and_fixed_is_reused_after_one_pass():
    assert reasons(after(ledger(result("F" * 6, lock="l0")), "n1", result())) == {}


@pytest.mark.parametrize(
    "without", [result("B", lock="l2"), result("", lock="l2", reason="killed")], ids=["busy", "killed"]
)
def test_a_result_that_stays_missing_under_a_new_lock_is_no_new_lock_again(without):
    changed = planned(ONE, lock="l2")
    assert reasons(ledger(result()), changed) == {"c": "lock changed"}
    left = after(ledger(result()), "n1", without)
    assert reasons(left, changed) == {"c": "no confirmed result in the last run"}
    assert reasons(left, planned(ONE, lock="l3")) == {"c": "lock changed"}


def test_a_result_that_came_back_under_the_new_lock_is_reused_under_it():
    left = after(ledger(result()), "n1", result("B", lock="l2"))
    left = after(left, "n2", result(lock="l2"))
    assert reasons(left, planned(ONE, lock="l2")) == {}
    assert reasons(left, ONE) == {"c": "lock changed"}


@pytest.mark.parametrize("recorded_as", ["s::t", "s", "*"])
def test_what_never_had_a_result_is_not_called_new(recorded_as):
    """Its file or its whole cell may stand for it; once it had a result it is reused."""
    without = replace(result("B"), key=ResultKey("a=latest", recorded_as), recorded_as=recorded_as)
    empty = ledger()
    assert reasons(empty) == {"c": "new series"}
    left = after(empty, "n1", without)
    assert reasons(left) == {"c": NO_RESULT_SO_FAR}
    assert reasons(left, planned(ONE, series="a=2")) == {"c": "new series"}
    left = after(left, "n2", without)
    assert reasons(left) == {"c": NO_RESULT_SO_FAR}
    left = after(left, "n3", result())
    assert (reasons(left), left.without_result) == ({}, ())


def test_a_scenario_without_a_result_is_distinguished_from_a_new_one():
    """It is without a result while its whole cell has none, and forgotten once it left the matrix."""
    left = after(None, "n1", result(), result("", scenario="s::u[x]"))
    assert reasons(left, PLANNED) == {"c": NO_RESULT_SO_FAR}
    assert reasons(left, planned(sources={"s::t": "s1", "s::v": "s1"})) == {"c": "new scenario"}
    masked = after(left, "n1", result("B", scenario="*"))
    assert reasons(masked, PLANNED) == {"c": f"no confirmed result in the last run; {NO_RESULT_SO_FAR}"}
    assert reasons(after(masked, "n1", result()), PLANNED) == {"c": "new scenario"}
