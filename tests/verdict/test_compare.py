"""Compare is tested over the full product of outcomes; results and figures by example."""

import itertools

import pytest

from harness.store.records import Outcome, Reason, Stage, Status
from harness.verdict.compare import Change, compare, figure_changed, result_of

EVERY = [Outcome(Status.PASS, Stage.CHECK)] + [
    Outcome(status, stage, reason)
    for status in Status
    if status is not Status.PASS
    for stage in Stage
    for reason in Reason
]
PASS = Outcome.parse("pass:check")
OOM = Outcome.parse("fail:run:oom")
CRASH = Outcome.parse("fail:run:crash")
MISS = Outcome.parse("miss:run:interrupted")
TABLE = {
    ("pass", "fail"): Change.REGRESSION,
    ("fail", "pass"): Change.FIXED,
    ("fail", "fail"): Change.CHANGED_FAILURE,
    ("none", "none"): Change.SAME,
    ("none", "pass"): Change.APPEARED,
    ("none", "fail"): Change.APPEARED,
    ("pass", "none"): Change.DISAPPEARED,
    ("fail", "none"): Change.DISAPPEARED,
}


def answer(outcome):
    return "none" if outcome.status in {"skip", "miss"} else outcome.status.value


def test_the_full_product():
    seen = set()
    for before, after in itertools.product(EVERY, EVERY):
        change = compare(before, after)
        expected = Change.SAME if before == after else TABLE.get((answer(before), answer(after)), Change.UNKNOWN)
        assert change is expected, (str(before), str(after))
        seen.add(change)
    assert seen == set(Change)


def test_nothing_is_a_regression_or_fixed_without_a_pass():
    for before, after in itertools.product(EVERY, EVERY):
        change = compare(before, after)
        assert (change is Change.REGRESSION) == (before.status == "pass" and after.status == "fail")
        assert (change is Change.FIXED) == (before.status == "fail" and after.status == "pass")


def test_equal_attempts_give_their_outcome():
    result = result_of([OOM, OOM])
    assert (result.outcome, result.flaky, str(result)) == (OOM, False, "fail:run:oom")


def test_disagreeing_attempts_are_flaky():
    result = result_of([PASS, OOM, PASS])
    assert result.flaky
    assert result.outcome is None
    assert str(result) == "flaky(pass:check, fail:run:oom)"


def test_an_interrupted_attempt_counts_only_when_it_is_alone():
    assert result_of([MISS, PASS]).outcome == PASS
    assert result_of([MISS]).outcome == MISS


def test_a_skip_for_want_of_a_gpu_counts_only_when_no_machine_had_one():
    no_gpu = Outcome.parse("skip:run:no_gpu")
    assert result_of([no_gpu, OOM]).outcome == OOM
    assert result_of([no_gpu, MISS]).outcome == no_gpu


def test_no_attempt_is_a_miss_and_never_green():
    result = result_of([])
    assert result.missing
    assert (result.outcome, str(result)) == (None, "miss")


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [(100, 100, False), (100, 109, False), (100, 112, True), (1, 3, False), (1000, 1050, False), (100, 80, True)],
)
def test_a_figure_changes_beyond_both_bounds(before, after, changed):
    assert figure_changed(before, after, absolute=5, relative=0.1) is changed
