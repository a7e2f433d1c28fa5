"""When the control cell says something about the machine, and when it does not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from harness.nightly.claims import conclude
from harness.nightly.control import Control, State, compare_control
from harness.nightly.facts import Facts
from harness.nightly.ledger import Ledger, seen
from harness.nightly.look import Look, Mark
from harness.nightly.morning import exit_code
from harness.nightly.situation import Situation
from harness.nightly.summary import verdict
from harness.store.outcome import Outcome
from harness.store.voices import WHOLE_CELL

GREEN, RED = Outcome.parse("pass:check"), Outcome.parse("fail:run:exception")
FACTS = (Facts(), Facts())
LOOK = Look("a=1", "s::t", "a=1", (GREEN,), mark=Mark("l1", "s1"))


def shown(*outcomes: str, scenario: str = "s::t") -> dict[str, Look]:
    return {scenario: replace(LOOK, scenario=scenario, attempts=tuple(map(Outcome.parse, outcomes)))}


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
        night="n0", epoch="n0", control=tuple(seen(one, "n0", "n0", same=True, level=True) for one in looks.values())
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
    now = Situation(
        night=night,
        today=dt.date(2026, 5, 1),
        looks={look.place: look for look in both.values()},
        ledger=ledger,
        lines=frozenset({"a=1"}),
        control=control,
        control_looks=other,
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


def test_a_scenario_that_agreed_with_itself_still_speaks_for_the_machine():
    _, ledger = spend(None, "n0", "pass:check", "pass:check")
    control, ledger = spend(ledger, "n1", "fail:run:exception", "fail:run:exception")
    assert control.state is State.MOVED
    control, ledger = spend(ledger, "n2", "fail:run:exception", "fail:run:exception")
    assert control.state is State.SETTLED
    control, _ = spend(ledger, "n3", "pass:check", "pass:check")
    assert control.state is State.MOVED
