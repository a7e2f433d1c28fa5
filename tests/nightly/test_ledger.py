"""The history of results: failure rates, what confirms a failure, and memory that moved."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.nightly.ledger import (
    MAX_FAILURES,
    MAX_FAILURES_FLAKY,
    AnswerLog,
    failure_rate,
    failures_needed,
    is_watched,
    shifts_from_baseline,
    shifts_since,
    trailing_failures,
)
from harness.store.records import Status
from tests.evidence import GIB, RESERVED, ledger, reread, result

ANSWERS = st.lists(st.tuples(st.sampled_from("abc"), st.text("GR", min_size=1, max_size=4)), max_size=12)


def history(*answers):
    return tuple(AnswerLog(run=str(number), key=key, answers=text) for number, (key, text) in enumerate(answers))


def test_failures_are_flaky_only_if_the_same_lock_passed_too():
    assert failure_rate(history(("a", "G"), ("b", "RRR"), ("c", "G"))).failures == 0
    assert failure_rate(history(("a", "GRG"))).failures == 1
    assert str(failure_rate(history(("a", "GR"), ("b", "G")))) == "fails in 1 of 3 attempts"


@given(ANSWERS)
def test_a_failure_needs_two_attempts_at_least_and_fewer_the_longer_it_passed(answers):
    earlier = history(*answers)
    flaky = failure_rate(earlier).flaky
    assert 2 <= failures_needed(earlier) <= (MAX_FAILURES_FLAKY if flaky else MAX_FAILURES)
    longer = (*earlier, *history(("z", "G" * 30)))
    assert failures_needed(longer) <= max(failures_needed(earlier), MAX_FAILURES_FLAKY)
    if not flaky:
        assert failures_needed((*earlier, *history(("z", "G")))) <= failures_needed(earlier)


@given(ANSWERS)
def test_trailing_failures_and_what_is_before_them_are_the_whole_history(answers):
    whole = history(*answers)
    count, before = trailing_failures(whole)
    text = "".join(one.answers for one in whole)
    assert "".join(one.answers for one in before) + "R" * count == text
    assert not before or before[-1].answers.endswith("G")


def test_memory_moves_only_beyond_the_bounds_its_own_spread_and_every_earlier_value():
    steady = {RESERVED: (6 * GIB,)}
    assert not shifts_since(steady, {RESERVED: (6.2 * GIB,)})
    assert [one.up for one in shifts_since(steady, {RESERVED: (6.6 * GIB,)})] == [True]
    noisy = {RESERVED: (6 * GIB, 6.5 * GIB, 6.1 * GIB)}
    assert not shifts_since(noisy, {RESERVED: (6.6 * GIB,)})
    assert shifts_since(noisy, {RESERVED: (7.5 * GIB,)})


@pytest.mark.parametrize(
    ("name", "watched"),
    [("cuda_device_used.before", False), ("host_anon.load", False), ("x.cache_bytes", True), ("seconds", False)],
)
def test_only_memory_that_belongs_to_the_scenario_is_watched(name, watched):
    assert is_watched(name) is watched


def test_memory_that_overlaps_with_the_baseline_has_not_moved():
    base = result("PPP", values={RESERVED: (5.9 * GIB, 6.0 * GIB, 6.9 * GIB)})
    assert shifts_from_baseline(base, result("PPP", values={RESERVED: (6.8 * GIB, 7.1 * GIB, 7.1 * GIB)})) == ()
    assert shifts_from_baseline(base, result("PPP", values={RESERVED: (7.0 * GIB, 7.1 * GIB, 7.1 * GIB)}))


def test_a_ledger_is_read_back_as_it_was_written():
    written = ledger(result(memory=1), result("F", scenario="s::u"))
    assert reread(written) == written
    assert [one.status for one in reread(written).results] == [Status.PASS, Status.FAIL]


def test_a_ledger_has_the_keys_of_earlier_versions():
    raw = ledger(result(memory=1)).model_dump(mode="json")
    assert raw.keys() == {"night", "epoch", "facts", "seen", "control", "moved_control", "announced", "unanswered"}
    (seen,) = raw["seen"]
    assert seen.keys() == {
        *("line", "scenario", "cell", "night", "since", "epoch", "attempts", "signatures", "figures", "versions"),
        *("built", "lock", "source", "gpu", "level", "unsure", "tried", "tallies"),
    }
    assert seen["tallies"] == [{"night": "n0", "key": "l1/s1", "answers": "G"}]


def test_a_failed_attempt_of_a_baseline_is_no_level_of_memory():
    assert shifts_from_baseline(result("FF", memory=6), result("PPP", 2, 9)) == ()
    assert shifts_from_baseline(result("PPP", memory=6), replace(result("PPP", 2, 9), gpu="H200")) == ()
