"""The parts of a night one by one: rates, what to run, the control cell, causes, words."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.nightly.baseline import BaselineResults
from harness.nightly.claim import Claim, Kind
from harness.nightly.conclude import conclude, to_confirm
from harness.nightly.control import State, compare_control
from harness.nightly.evidence import STEADY, NightEvidence
from harness.nightly.flakiness import MOST, MOST_FLAKY, needed, rate, streak
from harness.nightly.ledger import AnswerLog, Ledger, remember
from harness.nightly.machine import Card, MachineSnapshot, changes
from harness.nightly.memory import moves, watched
from harness.nightly.night import exit_code
from harness.nightly.searches import Budget, suspects
from harness.nightly.selection import Wanted, select_cells
from harness.store.baseline import Acceptance
from harness.store.records import Outcome, Status
from harness.verdict.result import ResultKey, ScenarioResult

GREEN, RED = Outcome.parse("pass:check"), Outcome.parse("fail:run:exception")
GIB = 1024**3
ANSWERS = st.lists(st.tuples(st.sampled_from("abc"), st.text("GR", min_size=1, max_size=4)), max_size=12)


def tallies(*answers):
    return tuple(AnswerLog(night=str(number), key=key, answers=text) for number, (key, text) in enumerate(answers))


def look(scenario="s::t", *attempts, line="a=latest", lock="l1", memory=(), **more):
    figures = {"cuda_reserved.load": tuple(memory)} if memory else {}
    versions = more.pop("versions", {"a": "1"})
    return ScenarioResult(
        ResultKey(line, scenario),
        line,
        scenario,
        outcomes=attempts or (GREEN,),
        lock=lock,
        source="s1",
        values=figures,
        versions=versions,
        **more,
    )


def after(*looks, control=()):
    """Return the ledger of a night that saw these."""
    kept = tuple(remember(one, "n0", "n0", same=True, level=True) for one in looks)
    shown = tuple(remember(one, "n0", "n0", same=True, level=True) for one in control)
    return Ledger(night="n0", epoch="n0", seen=kept, control=shown)


def tonight(ledger, *looks, **more):
    lines = frozenset(one.key.series for one in (*looks, *(ledger.seen if ledger else ())))
    return NightEvidence(
        night="n1",
        today=dt.date(2026, 5, 1),
        results={one.key: one for one in looks},
        ledger=ledger,
        lines=lines,
        **more,
    )


def test_reds_count_as_a_flakes_only_where_the_same_lock_showed_green_too():
    assert (rate(tallies(("a", "G"), ("b", "RRR"), ("c", "G"))).red, rate(tallies(("a", "GRG"))).red) == (0, 1)
    assert str(rate(tallies(("a", "GR"), ("b", "G")))) == "red in 1 of 3 attempts"


@given(ANSWERS)
def test_a_red_needs_at_least_two_and_the_fewer_the_longer_it_was_green(answers):
    history = tallies(*answers)
    assert 2 <= needed(history) <= (MOST_FLAKY if rate(history).flaky else MOST)
    assert needed((*history, *tallies(*[("z", "G" * 30)]))) <= max(needed(history), MOST_FLAKY)
    if not rate(history).flaky:
        assert needed((*history, *tallies(("z", "G")))) <= needed(history)


@given(ANSWERS)
def test_a_streak_and_what_is_before_it_are_the_whole_history(answers):
    history = tallies(*answers)
    count, before = streak(history)
    whole = "".join(one.answers for one in history)
    assert "".join(one.answers for one in before) + "R" * count == whole
    assert not before or before[-1].answers.endswith("G")


def test_memory_moves_only_beyond_the_bounds_its_own_spread_and_every_earlier_value():
    quiet, name = {"cuda_reserved.load": (6 * GIB,)}, "cuda_reserved.load"
    assert not moves(quiet, {name: (6.2 * GIB,)})
    assert [one.up for one in moves(quiet, {name: (6.6 * GIB,)})] == [True]
    noisy = {name: (6 * GIB, 6.5 * GIB, 6.1 * GIB)}
    assert not moves(noisy, {name: (6.6 * GIB,)})
    assert moves(noisy, {name: (7.5 * GIB,)})
    assert [watched(one) for one in ("cuda_device_used.before", "host_anon.load", "x.cache_bytes", "seconds")] == [
        *(False, False, True, False)
    ]


WANTED = Wanted("c", "a=latest", "l1", {"s::t": "s1", "s::u": "s1"})
SEEN = (look("s::t"), look("s::u[x]"))
MOVED = after(*SEEN).model_copy(update={"moved_control": after(*SEEN).seen})
SKIP = Outcome.parse("skip:run:not_applicable")


@pytest.mark.parametrize(
    ("wanted", "ledger", "why"),
    [
        (WANTED, after(*SEEN), None),
        (WANTED, None, "new"),
        (replace(WANTED, control=True), after(*SEEN), "the control cell"),
        (replace(WANTED, line="b=latest"), after(*SEEN), "new"),
        (replace(WANTED, lock="l2"), after(*SEEN), "its lock changed"),
        (replace(WANTED, lock=""), after(*SEEN), "no resolution"),
        (replace(WANTED, sources={"s::t": "s2", "s::u": "s1"}), after(*SEEN), "its source changed"),
        (replace(WANTED, sources={"s::t": "", "s::u": "s1"}), after(*SEEN), "its source changed"),
        (WANTED, after(SEEN[0]), "a new scenario"),
        (WANTED, after(SEEN[0], look("s::u[x]", RED)), "fail last night"),
        (WANTED, after(SEEN[0], look("s::u[x]", GREEN, RED)), "flaky last night"),
        (WANTED, after(*SEEN).model_copy(update={"epoch": "n9"}), "the machine moved since"),
        (
            WANTED,
            after(*SEEN).model_copy(update={"moved_control": after(*SEEN).seen}),
            "the machine moved in the last night",
        ),
    ],
)
def test_a_cell_is_run_for_a_reason_or_carried_whole(wanted, ledger, why):
    choice = select_cells([wanted], ledger)
    assert dict(choice.why) == ({"c": why} if why else {})
    assert len(choice.carried) == (0 if why else 2)
    assert {name for names in choice.run.values() for name in names} == (set(wanted.sources) if why else set())


def test_an_answer_that_could_not_be_had_is_asked_for_again():
    missing = tonight(after(*SEEN), look("s::t"), replace(look("s::u[x]"), outcomes=(), reason="killed"))
    night = conclude(missing)
    assert [(one.kind, one.detail) for one in night.claims] == [(Kind.MISSING, "killed; last result pass in n0")]
    assert select_cells([WANTED], night.ledger).why == {"c": "without an answer last night"}
    assert exit_code(night.claims, STEADY) == 4


def cards(driver="1", used=0, processes=()):
    return MachineSnapshot(
        kernel="6", cards=(Card(mark="a", name="G", driver=driver, total=9, used=used, processes=processes),)
    )


def test_the_facts_that_changed_are_named():
    assert changes(cards(), cards()) == ()
    said = changes(cards(), cards("2", used=3 * GIB, processes=("python",)))
    assert said == (
        "GPU 0: driver 1 → 2",
        "GPU 0: 0.0 GiB → 3.0 GiB in use before",
        "GPU 0: other processes: none → python",
    )


@pytest.mark.parametrize(
    ("first", "last", "before", "state"),
    [
        (look(), look(), None, State.STEADY),
        (look(), look(), look(), State.STEADY),
        (look(), look("s::t", RED), look(), State.MOVED),
        (look(memory=[GIB]), look(memory=[2 * GIB]), None, State.MOVED),
        (look("s::t", RED), look("s::t", RED), look(), State.MOVED),
        (look("s::t", RED), look("s::t", RED), look(lock="l0"), State.STEADY),  # another lock: not the machine
        (look(memory=[GIB]), look(memory=[GIB]), look(memory=[2 * GIB], gpu="H100"), State.STEADY),  # another model
        (look(), replace(look(), outcomes=(), reason="no space left"), look(), State.SILENT),
        (
            look("s::t", SKIP),
            look("s::t", SKIP),
            None,
            State.SILENT,
        ),
    ],
)
def test_the_control_cell_is_held_against_itself_and_its_history(first, last, before, state):
    ledger = after(control=[before]) if before else None
    assert compare_control({"s::t": first}, {"s::t": last}, ledger, (cards(), cards())).state is state


def test_a_control_scenario_that_disagrees_with_itself_is_passed_over_from_the_next_night_on():
    wobbly = look("s::t", GREEN, RED)
    control = compare_control(
        {"s::t": look()}, {"s::t": look("s::t", RED)}, after(control=[look()]), (cards(), cards())
    )
    now = tonight(after(look(), control=[look()]), wobbly, control=control, control_results={"s::t": look("s::t", RED)})
    left = conclude(now).ledger
    again = compare_control({"s::t": look()}, {"s::t": look("s::t", RED)}, left, (cards(), cards()))
    assert (control.state, again.state) == (State.MOVED, State.STEADY)


def test_without_a_control_cell_nothing_is_trusted():
    assert compare_control({}, {}, None, (cards(), cards())).moved == ("there is no control cell, or it never ran",)


def red(scenario="s::t", *, lock="l2", reds=6):
    return replace(look(scenario, *([RED] * reds), lock=lock, versions={"a": "2"}), signatures=("E: x",))


@pytest.mark.parametrize(
    ("now", "kind", "code"),
    [
        (red(reds=1), Kind.UNCONFIRMED, 4),
        (red(), Kind.NEW, 1),
        (red(lock="l1"), Kind.UNEXPLAINED, 4),
        (look("s::t", RED, GREEN, lock="l2"), Kind.FLAKY, 0),
        (replace(look(lock="l2"), outcomes=(Outcome.parse("error:run:gpu_busy"),)), Kind.UNKNOWN, 4),
        (look("s::t", Outcome.parse("skip:run:not_applicable"), lock="l2"), Kind.DISAPPEARED, 0),
        (look("s::t", Outcome.parse("skip:run:no_gpu"), lock="l2"), Kind.MISSING, 4),
    ],
)
def test_what_was_green_claims_what_it_shows_now(now, kind, code):
    night = conclude(tonight(after(look()), now))
    assert [one.kind for one in night.claims] == [kind]
    assert exit_code(night.claims, STEADY) == code


def test_a_baseline_stands_in_place_of_the_last_answer_and_what_is_accepted_is_quiet():
    held = BaselineResults("n0", {red().key: red()})
    still = conclude(tonight(after(look()), red(), baseline=held))
    assert [one.kind for one in still.claims] == [Kind.STILL_RED]
    agreed = Acceptance(
        line="a=latest",
        scenario="s::t",
        kind="new failure",
        reason="on purpose",
        run="n0",
        date=dt.datetime(2026, 4, 1, tzinfo=dt.UTC),
        outcomes=("fail:run:exception",),
        signatures=("E: x",),
    )
    accepted = conclude(
        tonight(after(look()), red(), baseline=BaselineResults("n0", {look().key: look()}, accepted=(agreed,)))
    )
    assert [(one.kind, one.detail) for one in accepted.claims] == [(Kind.ACCEPTED, "on purpose")]
    assert exit_code((*still.claims, *accepted.claims), STEADY) == 0


def test_only_what_is_new_is_seen_again():
    now = tonight(after(look(), look("s::u", RED)), red(reds=1), look("s::u", RED), look("s::v", RED))
    assert to_confirm(now) == {("a=latest", "s::t"): 5, ("a=latest", "s::v"): 1}


def test_a_line_or_a_scenario_that_is_gone_is_said_once():
    night = conclude(replace(tonight(after(look(), look(line="b=1")), look("s::new")), lines=frozenset({"a=latest"})))
    gone = {(one.line, one.scenario) for one in night.claims if one.kind is Kind.DISAPPEARED}
    assert gone == {("a=latest", "s::t"), ("b=1", "*")}
    assert set(night.ledger.last_results()) == {("a=latest", "s::new")}


def claim(scenario="s::t", signature="E: x", **changed):
    return Claim(kind=Kind.NEW, line="a=latest", scenario=scenario, signature=signature, changed=changed)


def test_what_looks_alike_is_searched_once():
    found = suspects([claim(a=("1", "2")), claim("s::u", a=("1", "2")), claim("s::v", "E: y", a=("1", "2"))], ["a"])
    assert [(one.package, one.versions, len(one.claims)) for one in found] == [
        ("a", ("1", "2"), 2),
        ("a", ("1", "2"), 1),
    ]


@pytest.mark.parametrize(
    ("changed", "package", "why_not"),
    [
        ({"a": ("1+cpu", "2+cpu")}, "a", ""),
        ({"a": ("1", "2"), "hub": ("3", "4")}, "a", ""),  # what nobody pinned changed beside it
        ({"hub": ("3", "4")}, "hub", ""),
        ({"a": ("1", "2"), "b": ("3", "4")}, "", ""),  # a blame
        ({}, "", "no package changed since it was green"),
        ({"a": ("1", "file:///x/a")}, "", "a moved from 1 to path:a, neither two releases nor two commits"),
        ({"a": ("", "2")}, "", "a was added"),
    ],
)
def test_what_is_searched_follows_from_what_changed(changed, package, why_not):
    (found,) = suspects([claim(**changed)], ["a", "b"])
    assert found.package == package
    assert found.why_not.startswith(why_not)
    assert bool(found.why_not) == bool(why_not)


def test_a_budget_is_spent_when_its_deadline_has_passed():
    now = [0.0]
    budget = Budget(60, clock=lambda: now[0])
    assert not budget.spent
    now[0] = 61.0
    assert budget.spent
    assert budget.deadline.passed


def test_word_of_a_night_is_kept_through_its_ledger():
    ledger = after(look(memory=[GIB]), look("s::u", RED))
    again = Ledger.model_validate_json(ledger.model_dump_json())
    assert again == ledger
    assert [one.status for one in again.seen] == [Status.PASS, Status.FAIL]


def test_memory_on_another_model_of_gpu_is_not_compared():
    before, now = look(memory=[GIB]), look(lock="l2", memory=[2 * GIB] * 3)
    now = replace(now, outcomes=(GREEN,) * 3)
    assert [one.kind for one in conclude(tonight(after(before), now)).claims] == [Kind.MEMORY_UP]
    assert conclude(tonight(after(before), replace(now, gpu="H200"))).claims == ()
