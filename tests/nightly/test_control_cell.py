"""When the control cell says something about the machine, and when it does not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from harness.nightly.claim import OPEN, REGRESSIONS, Claim, Kind
from harness.nightly.conclude import conclude
from harness.nightly.control import ANOTHER, Control, State, compare_control
from harness.nightly.evidence import NightEvidence
from harness.nightly.ledger import Ledger, remember
from harness.nightly.machine import MachineSnapshot
from harness.nightly.night import exit_code
from harness.nightly.results import first_and_last
from harness.nightly.summary import verdict
from harness.store.records import WHOLE_CELL, Outcome
from harness.verdict.result import ResultKey, ScenarioResult

GREEN, RED = Outcome.parse("pass:check"), Outcome.parse("fail:run:exception")
FACTS = (MachineSnapshot(), MachineSnapshot())
LOOK = ScenarioResult(ResultKey("a=1", "s::t"), "a=1", "s::t", outcomes=(GREEN,), lock="l1", source="s1")


def shown(*outcomes: str, scenario: str = "s::t") -> dict[str, ScenarioResult]:
    return {
        scenario: replace(
            LOOK,
            key=ResultKey(LOOK.key.series, scenario),
            recorded_as=scenario,
            outcomes=tuple(map(Outcome.parse, outcomes)),
        )
    }


@pytest.mark.parametrize(
    "looks",
    [
        shown("fail:resolve:unsolvable", scenario=WHOLE_CELL),
        shown("fail:install:install_failed", scenario=WHOLE_CELL),
        shown("fail:collect:exception", scenario="s"),
        shown("error:install:network"),
        shown("miss:run:interrupted"),
    ],
)
def test_a_control_cell_in_which_no_scenario_ran_has_no_answer_however_equal_it_stays(looks):
    ledger = Ledger(
        night="n0",
        epoch="n0",
        control=tuple(remember(one, "n0", "n0", same=True, level=True) for one in looks.values()),
    )
    for before in (None, ledger):
        control = compare_control(looks, looks, before, FACTS)
        assert (control.state, control.trusted) == (State.SILENT, False)
        assert control.moved[0].startswith("the control cell has no answer when it ran first")
    assert (exit_code([], control), verdict(4, control.state, [])) == (4, "inconclusive: machine")


def test_one_scenario_that_ran_is_an_answer_beside_one_that_did_not():
    looks = {**shown("fail:run:exception"), **shown("error:install:network", scenario="s::u")}
    assert compare_control(looks, looks, None, FACTS).state is State.STEADY


def spend(ledger: Ledger | None, night: str, first: str, last: str) -> tuple[Control, Ledger | None]:
    """Spend a night of nothing but a control cell with one scenario."""
    one, other, both = shown(first), shown(last), shown(first, last)
    control = compare_control(one, other, ledger, FACTS)
    now = NightEvidence(
        night=night,
        today=dt.date(2026, 5, 1),
        results={look.key: look for look in both.values()},
        ledger=ledger,
        lines=frozenset({"a=1"}),
        control=control,
        control_results=other,
    )
    return control, conclude(now).ledger


def test_a_scenario_that_disagrees_with_itself_is_named_and_left_out_from_the_second_night_on():
    passed, failed = "pass:check", "fail:run:exception"
    first, ledger = spend(None, "n0", passed, failed)
    assert first.state is State.MOVED
    assert first.moved[0].endswith("this scenario disagrees with itself in the control cell")
    for number, pair in enumerate([(failed, passed), (passed, passed), (passed, failed), (failed, failed)]):
        control, ledger = spend(ledger, f"n{number + 1}", *pair)
        assert control.state is State.STEADY
        assert "s::t disagreed with itself in the control cell before: its outcome is left out" in control.facts


GIB = 1024**3
ONCE = ("G",)
OFTEN = ("GGGG", "GGG")


def look(
    answers: str, lock: str = "l1", source: str = "s1", memory: float = 0.0, scenario: str = "s::t"
) -> ScenarioResult:
    return replace(
        LOOK,
        key=ResultKey(LOOK.key.series, scenario),
        recorded_as=scenario,
        outcomes=tuple(GREEN if one == "G" else RED for one in answers),
        signatures=("E: x",) if "R" in answers else (),
        values={"cuda_reserved.load": (memory,) * len(answers)} if memory else {},
        versions={"a": lock},
        lock=lock,
        source=source,
    )


def nights(
    *looks: ScenarioResult | tuple[ScenarioResult, ...],
) -> list[tuple[Control, tuple[Claim, ...], Ledger | None]]:
    """Spend a night for each look at the control cell: its first attempt is the first look, its last one the last."""
    spent, ledger = list[tuple[Control, tuple[Claim, ...], Ledger | None]](), None
    for number, shown in enumerate(looks):
        each = (shown,) if isinstance(shown, ScenarioResult) else shown
        mine = [one for one in each if one.key.series == "a=1"]
        first, last = ({one.key.scenario: pair[end] for one in mine if (pair := ends(one))} for end in (0, 1))
        control = compare_control(first, last, ledger, FACTS)
        now = NightEvidence(
            night=f"n{number}",
            today=dt.date(2026, 5, 1),
            results={one.key: one for one in each},
            ledger=ledger,
            lines=frozenset(one.key.series for one in each),
            control=control,
            control_results=last,
        )
        night = conclude(now)
        ledger = night.ledger and Ledger.model_validate_json(night.ledger.model_dump_json())
        spent.append((control, night.claims, ledger))
    return spent


def ends(one: ScenarioResult) -> tuple[ScenarioResult, ScenarioResult]:
    return first_and_last(one, None)


@pytest.mark.parametrize(
    ("before", "red", "said"),
    [
        (
            OFTEN,
            look("R" * 7),
            [("moved", "not claimed"), ("settled", "red without a change"), ("steady", "still red")],
        ),
        (ONCE, look("R" * 7), [("moved", "not claimed"), ("settled", "red without a change"), ("steady", "still red")]),
        (OFTEN, look("R" * 7, "l2"), [("steady", "new regression"), ("steady", "still red"), ("steady", "still red")]),
        (
            OFTEN,
            look("R" * 7, source="s2"),
            [("steady", "scenario changed"), ("steady", "still red"), ("steady", "still red")],
        ),
        (
            OFTEN,
            look("R" * 7, "l2", "s2"),
            [("steady", "new regression"), ("steady", "still red"), ("steady", "still red")],
        ),
        (
            ("GGGG", "GR", "GG"),
            look("RRR"),
            [("steady", "flaky"), ("steady", "flaky"), ("steady", "red without a change")],
        ),
    ],
)
def test_a_scenario_of_the_control_cell_that_turned_red_first_and_last_is_said_by_what_changed(before, red, said):
    """The table of ``harness.nightly.control``, night after night: nothing of it is swallowed."""
    spent = nights(*map(look, before), red, red, red)[len(before) :]
    assert [(control.state, [claim.kind for claim in claims]) for control, claims, _ in spent] == [
        (state, [kind]) for state, kind in said
    ]
    for control, claims, _ in spent:
        moved = ("s::t: the last trusted night pass:check, tonight fail:run:exception",)
        assert control.moved == (moved if control.state in {"moved", "settled"} else ())
        assert exit_code(claims, control) == (
            4 if control.state == "moved" or claims[0].kind in OPEN else int(claims[0].kind in REGRESSIONS)
        )


def test_a_red_that_goes_with_the_night_in_which_the_machine_moved_is_over():
    (control, claims, _), (after, nothing, _) = nights(look("GGGG"), look("R" * 7), look("GG"))[1:]
    assert (control.state, after.state, nothing) == (State.MOVED, State.STEADY, ())
    assert [claim.kind for claim in claims] == [Kind.WITHHELD]


def test_a_scenario_that_is_new_in_the_control_cell_says_nothing_about_the_machine():
    new = look("RR", scenario="s::u")
    (control, claims, _) = nights(look("GG"), (look("GG"), new))[1]
    assert (control.state, [claim.kind for claim in claims]) == (State.STEADY, [Kind.APPEARED])


def test_under_a_new_lock_a_red_of_the_control_cell_hinders_no_claim_of_another_cell():
    other = look("GGG", memory=GIB).in_series("a=2")
    grown = look("GGG", "l2", memory=2 * GIB).in_series("a=2")
    (control, claims, _) = nights((look("GGG"), other), (look("R" * 7, "l2"), grown))[1]
    assert (control.state, control.facts) == (
        State.STEADY,
        (f"the control cell is held against itself alone, first and last: {ANOTHER}",),
    )
    assert {(claim.line, claim.kind) for claim in claims} == {("a=1", Kind.NEW), ("a=2", Kind.MEMORY_UP)}


def test_where_the_control_cell_changed_after_the_machine_moved_the_machine_has_settled_and_memory_begins_anew():
    """Whether it moved back cannot be told, so that figures of before are not held against those of after."""

    def night(lock: str, memory: float) -> tuple[ScenarioResult, ScenarioResult]:
        return look("GG", lock, memory=memory), look("GGG", "x", memory=memory).in_series("a=2")

    moved = (replace(look("GG"), values={"cuda_reserved.load": (GIB, 2.0 * GIB)}), night("l1", 2 * GIB)[1])
    spent = nights(night("l1", GIB), moved, night("l2", 2 * GIB), night("l2", 2 * GIB))
    assert [control.state for control, _, _ in spent] == ["steady", "moved", "settled", "steady"]
    assert spent[2][0].moved == (f"the machine moved in n1; whether it moved back cannot be told: {ANOTHER}",)
    assert [claims for _, claims, _ in spent[2:]] == [(), ()]
    (_, _, before), (_, _, after) = spent[0], spent[2]
    assert (before and before.epoch, after and after.epoch) == ("n0", "n2")


def test_a_machine_that_moved_has_not_settled_while_the_control_cell_shows_what_neither_night_showed():
    states = [
        control.state
        for control, _, _ in nights(
            look("GG", memory=GIB),
            look("GG", memory=2 * GIB),
            look("GG", memory=3 * GIB),
            look("GG", memory=3 * GIB),
        )
    ]
    assert states == ["steady", "moved", "moved", "settled"]
    changed = [
        control
        for control, _, _ in nights(
            look("GG", memory=GIB),
            replace(look("GG", "l2"), values={"cuda_reserved.load": (GIB, 2.0 * GIB)}),
            look("GG", "l2", memory=3 * GIB),
            look("GG", memory=2 * GIB),
            look("GG", memory=GIB),
        )
    ]
    assert [control.state for control in changed] == ["steady", "moved", "moved", "moved", "steady"]
    assert changed[2].moved == ("s::t: cuda_reserved.load the night before 2.00 GiB, tonight 3.00 GiB",)
    assert not any(ANOTHER in text for text in changed[2].facts)


@pytest.mark.parametrize(
    ("memory", "rest"),
    [(GIB, "only the memory of the control cell does"), (0, "nothing, for the control cell measures no memory does")],
)
def test_where_every_scenario_of_the_control_cell_is_flaky_the_night_says_what_is_left_to_judge_by(memory, rest):
    said = "no outcome is left that speaks for the machine"
    beside = look("GG", memory=memory, scenario="s::u")
    both = nights((look("GR", memory=memory), beside), (look("GG", memory=memory), beside))[1][0]
    assert not [text for text in both.facts if text.startswith(said)]
    spent = nights(look("GR", memory=memory), look("GG", memory=memory), look("GR", memory=memory))
    assert [control.state for control, _, _ in spent] == ["moved", "steady", "steady"]
    assert [f"{said}: {rest}" in control.facts for control, _, _ in spent] == [False, True, True]
    drift = nights(look("GR", memory=GIB), look("GG", memory=GIB), look("GG", memory=2 * GIB))[2][0]
    assert (drift.state, f"{said}: only the memory of the control cell does" in drift.facts) == (State.MOVED, True)


def test_a_scenario_that_agreed_with_itself_still_speaks_for_the_machine():
    _, ledger = spend(None, "n0", "pass:check", "pass:check")
    control, ledger = spend(ledger, "n1", "fail:run:exception", "fail:run:exception")
    assert control.state is State.MOVED
    control, ledger = spend(ledger, "n2", "fail:run:exception", "fail:run:exception")
    assert control.state is State.SETTLED
    control, _ = spend(ledger, "n3", "pass:check", "pass:check")
    assert control.state is State.MOVED
