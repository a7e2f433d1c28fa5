"""When the control cell shows a drift of the machine, and when it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.nightly.claim import OPEN, REGRESSIONS, Claim, Kind, exit_code
from harness.nightly.conclude import conclude
from harness.nightly.control import NOT_COMPARABLE, Control, ControlState, compare_control, first_and_last
from harness.nightly.ledger import Ledger
from harness.nightly.machine import MachineSnapshot
from harness.nightly.summary import verdict
from harness.store.records import WHOLE_CELL, Outcome
from harness.verdict.result import ScenarioResult
from tests.evidence import GIB, RESERVED, evidence, ledger, reread, result

MACHINES = (MachineSnapshot(), MachineSnapshot())
ONCE, OFTEN = ("P",), ("PPPP", "PPP")


def control_result(
    letters: str, lock: str = "l1", source: str = "s1", memory: float = 0.0, scenario: str = "s::t"
) -> ScenarioResult:
    return result(letters, memory=memory, scenario=scenario, series="a=1", lock=lock, source=source)


def recorded(outcome: str, scenario: str = "s::t") -> dict[str, ScenarioResult]:
    """Return control results with one outcome, by scenario."""
    one = replace(control_result("P", scenario=scenario), outcomes=(Outcome.parse(outcome),))
    return {scenario: one}


@pytest.mark.parametrize(
    "results",
    [
        recorded("fail:resolve:unsolvable", WHOLE_CELL),
        recorded("fail:install:install_failed", WHOLE_CELL),
        recorded("fail:collect:exception", "s"),
        recorded("error:install:network"),
        recorded("miss:run:interrupted"),
    ],
)
def test_a_control_cell_in_which_no_scenario_ran_has_no_result_however_equal_it_stays(results):
    for before in (None, ledger(control=results.values())):
        control = compare_control(results, results, before, MACHINES)
        assert (control.state, control.trusted) == (ControlState.NO_RESULT, False)
        assert control.drift[0].startswith("the control cell has no result when it ran first")
    assert (exit_code([], control), verdict(4, control.state, [])) == (4, "inconclusive: machine")


def test_without_a_control_cell_nothing_is_trusted():
    assert compare_control({}, {}, None, MACHINES).drift == ("no control cell ran",)


def test_one_scenario_that_ran_is_enough():
    results = {**recorded("fail:run:exception"), **recorded("error:install:network", "s::u")}
    assert compare_control(results, results, None, MACHINES).state is ControlState.STEADY


@pytest.mark.parametrize(
    ("first", "last", "before", "state"),
    [
        (result(), result(), None, ControlState.STEADY),
        (result(), result(), result(), ControlState.STEADY),
        (result(), result("F"), result(), ControlState.DRIFTED),
        (result(memory=1), result(memory=2), None, ControlState.DRIFTED),
        (result("F"), result("F"), result(), ControlState.DRIFTED),
        (result("F"), result("F"), result(lock="l0"), ControlState.STEADY),  # another lock: not the machine
        (result(memory=1), result(memory=1), result(memory=2, gpu="H100"), ControlState.STEADY),  # another model
        (result(), result("", reason="no space left"), result(), ControlState.NO_RESULT),
        (result("S"), result("S"), None, ControlState.NO_RESULT),
    ],
)
def test_the_control_cell_is_compared_with_itself_and_its_history(first, last, before, state):
    earlier = ledger(control=[before]) if before else None
    assert compare_control({"s::t": first}, {"s::t": last}, earlier, MACHINES).state is state


def test_only_the_status_counts_and_not_how_a_scenario_fails():
    before = ledger(control=[result("F", signature="E: x")])
    now = {"s::t": result("F", signature="E: y")}
    assert compare_control(now, now, before, MACHINES).state is ControlState.STEADY


def spend(before: Ledger | None, run: str, first: str, last: str) -> tuple[Control, Ledger]:
    """Make a nightly run of nothing but a control cell with one scenario."""
    both = replace(control_result("P"), outcomes=(Outcome.parse(first), Outcome.parse(last)))
    control = compare_control(recorded(first), recorded(last), before, MACHINES)
    now = evidence(before, both, run=run, control=control, control_results=recorded(last))
    return control, reread(conclude(now).ledger)


def test_a_flaky_control_scenario_is_named_and_ignored_from_the_next_run_on():
    passed, failed = "pass:check", "fail:run:exception"
    first, left = spend(None, "n0", passed, failed)
    assert first.state is ControlState.DRIFTED
    assert first.drift[0].endswith("the scenario is flaky in the control cell")
    for number, pair in enumerate([(failed, passed), (passed, passed), (passed, failed), (failed, failed)]):
        control, left = spend(left, f"n{number + 1}", *pair)
        assert control.state is ControlState.STEADY
        assert "s::t was flaky in the control cell: its outcome is ignored" in control.changes


def test_a_scenario_that_was_flaky_within_a_trusted_run_is_ignored_in_the_next():
    control = compare_control({"s::t": result()}, {"s::t": result("F")}, ledger(control=[result()]), MACHINES)
    now = evidence(
        ledger(result(), control=[result()]), result("PF"), control=control, control_results={"s::t": result("F")}
    )
    again = compare_control({"s::t": result()}, {"s::t": result("F")}, conclude(now).ledger, MACHINES)
    assert (control.state, again.state) == (ControlState.DRIFTED, ControlState.STEADY)


def test_a_control_scenario_that_was_never_flaky_still_counts():
    _, left = spend(None, "n0", "pass:check", "pass:check")
    control, left = spend(left, "n1", "fail:run:exception", "fail:run:exception")
    assert control.state is ControlState.DRIFTED
    control, left = spend(left, "n2", "fail:run:exception", "fail:run:exception")
    assert control.state is ControlState.REBASELINED
    control, _ = spend(left, "n3", "pass:check", "pass:check")
    assert control.state is ControlState.DRIFTED


Spent = tuple[Control, tuple[Claim, ...], Ledger]


def runs(*results: ScenarioResult | tuple[ScenarioResult, ...]) -> list[Spent]:
    """Make a nightly run of each result; the control cell runs first with its first attempt, last with its last."""
    spent, left = list[Spent](), None
    for number, given in enumerate(results):
        each = (given,) if isinstance(given, ScenarioResult) else given
        pairs = {one.key.scenario: first_and_last(one, None) for one in each if one.key.series == "a=1"}
        first, last = ({name: pair[index] for name, pair in pairs.items()} for index in (0, 1))
        control = compare_control(first, last, left, MACHINES)
        series = frozenset(one.key.series for one in each)
        found = conclude(evidence(left, *each, run=f"n{number}", series=series, control=control, control_results=last))
        left = reread(found.ledger)
        spent.append((control, found.claims, left))
    return spent


@pytest.mark.parametrize(
    ("before", "fails", "expected"),
    [
        (
            OFTEN,
            control_result("F" * 7),
            [("moved", "not claimed"), ("settled", "red without a change"), ("steady", "still red")],
        ),
        (
            ONCE,
            control_result("F" * 7),
            [("moved", "not claimed"), ("settled", "red without a change"), ("steady", "still red")],
        ),
        (
            OFTEN,
            control_result("F" * 7, "l2"),
            [("steady", "new regression"), ("steady", "still red"), ("steady", "still red")],
        ),
        (
            OFTEN,
            control_result("F" * 7, source="s2"),
            [("steady", "scenario changed"), ("steady", "still red"), ("steady", "still red")],
        ),
        (
            OFTEN,
            control_result("F" * 7, "l2", "s2"),
            [("steady", "new regression"), ("steady", "still red"), ("steady", "still red")],
        ),
        (
            ("PPPP", "PF", "PP"),
            control_result("FFF"),
            [("steady", "flaky"), ("steady", "flaky"), ("steady", "red without a change")],
        ),
    ],
)
def test_a_control_scenario_that_fails_first_and_last_is_claimed_by_what_changed(before, fails, expected):
    """The table of ``harness.nightly.control``, run after run: no failure is lost."""
    spent = runs(*map(control_result, before), fails, fails, fails)[len(before) :]
    assert [(control.state, [claim.kind for claim in claims]) for control, claims, _ in spent] == [
        (state, [kind]) for state, kind in expected
    ]
    for control, claims, _ in spent:
        drift = ("s::t: last trusted run pass:check, this run fail:run:exception",)
        assert control.drift == (drift if control.state in {"moved", "settled"} else ())
        assert exit_code(claims, control) == (
            4 if control.state == "moved" or claims[0].kind in OPEN else int(claims[0].kind in REGRESSIONS)
        )


def test_a_failure_that_goes_with_the_run_of_the_drift_is_over():
    drifted, after = runs(control_result("PPPP"), control_result("F" * 7), control_result("PP"))[1:]
    assert (drifted[0].state, after[0].state, after[1]) == (ControlState.DRIFTED, ControlState.STEADY, ())
    assert [claim.kind for claim in drifted[1]] == [Kind.WITHHELD]


def test_a_new_scenario_of_the_control_cell_shows_no_drift():
    new = control_result("FF", scenario="s::u")
    (control, claims, _) = runs(control_result("PP"), (control_result("PP"), new))[1]
    assert (control.state, [claim.kind for claim in claims]) == (ControlState.STEADY, [Kind.APPEARED])


def test_with_a_new_lock_a_failure_of_the_control_cell_hinders_no_claim_of_another_cell():
    other = control_result("PPP", memory=1).in_series("a=2")
    grown = control_result("PPP", "l2", memory=2).in_series("a=2")
    (control, claims, _) = runs((control_result("PPP"), other), (control_result("F" * 7, "l2"), grown))[1]
    assert (control.state, control.changes) == (
        ControlState.STEADY,
        (f"the control cell is compared with itself only, first and last: {NOT_COMPARABLE}",),
    )
    assert {(claim.series, claim.kind) for claim in claims} == {("a=1", Kind.NEW_REGRESSION), ("a=2", Kind.MEMORY_UP)}


def first_and_last_memory(lock: str = "l1") -> ScenarioResult:
    """Return a control result whose memory doubles within the run."""
    return replace(control_result("PP", lock), values={RESERVED: (GIB, 2.0 * GIB)})


def test_if_the_control_cell_changed_after_a_drift_the_new_state_is_the_reference():
    """Whether the machine drifted back is unknown: memory from before is not compared with memory from after."""

    def run(lock: str, memory: float) -> tuple[ScenarioResult, ScenarioResult]:
        return control_result("PP", lock, memory=memory), control_result("PPP", "x", memory=memory).in_series("a=2")

    drifted = (first_and_last_memory(), run("l1", 2)[1])
    spent = runs(run("l1", 1), drifted, run("l2", 2), run("l2", 2))
    assert [control.state for control, _, _ in spent] == ["steady", "moved", "settled", "steady"]
    assert spent[2][0].drift == (f"the machine drifted in n1, and the drift cannot be re-checked: {NOT_COMPARABLE}",)
    assert [claims for _, claims, _ in spent[2:]] == [(), ()]
    assert (spent[0][2].machine_era, spent[2][2].machine_era) == ("n0", "n2")


def test_a_machine_that_keeps_drifting_is_not_rebaselined():
    states = [control.state for control, _, _ in runs(*(control_result("PP", memory=size) for size in (1, 2, 3, 3)))]
    assert states == ["steady", "moved", "moved", "settled"]
    changed = [
        control
        for control, _, _ in runs(
            control_result("PP", memory=1),
            first_and_last_memory("l2"),
            control_result("PP", "l2", memory=3),
            control_result("PP", memory=2),
            control_result("PP", memory=1),
        )
    ]
    assert [control.state for control in changed] == ["steady", "moved", "moved", "moved", "steady"]
    assert changed[2].drift == ("s::t: cuda_reserved.load run before 2.00 GiB, this run 3.00 GiB",)
    assert not any(NOT_COMPARABLE in text for text in changed[2].changes)


@pytest.mark.parametrize(
    ("memory", "rest"),
    [(1, "only its memory is compared"), (0, "nothing is compared, for it measures no memory")],
)
def test_if_every_control_scenario_is_flaky_the_report_says_what_is_still_compared(memory, rest):
    start = "every scenario of the control cell was flaky"
    beside = control_result("PP", memory=memory, scenario="s::u")
    both = runs((control_result("PF", memory=memory), beside), (control_result("PP", memory=memory), beside))[1][0]
    assert not [text for text in both.changes if text.startswith(start)]
    spent = runs(*(control_result(letters, memory=memory) for letters in ("PF", "PP", "PF")))
    assert [control.state for control, _, _ in spent] == ["moved", "steady", "steady"]
    assert [f"{start}: {rest}" in control.changes for control, _, _ in spent] == [False, True, True]
    sizes = (("PF", 1), ("PP", 1), ("PP", 2))
    drift = runs(*(control_result(letters, memory=size) for letters, size in sizes))[2][0]
    assert (drift.state, f"{start}: only its memory is compared" in drift.changes) == (ControlState.DRIFTED, True)
