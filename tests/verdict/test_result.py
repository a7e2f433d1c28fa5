"""One status over the attempts of a scenario in a cell: by example, and over every combination of outcomes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.records import Outcome, Reason, Stage, Status
from harness.verdict.result import ResultKey, ScenarioResult, counting, letters, outcome_text, same_failure, status_of

EVERY = [Outcome(Status.PASS, Stage.CHECK)] + [
    Outcome(status, stage, reason)
    for status in Status
    if status not in {Status.PASS, Status.FLAKY}
    for stage in Stage
    for reason in Reason
]
OUTCOMES = st.lists(st.sampled_from(EVERY), max_size=5)


def parsed(*texts):
    return tuple(map(Outcome.parse, texts))


@pytest.mark.parametrize(
    ("attempts", "status"),
    [
        ([], "miss"),
        (["miss:run:interrupted"], "miss"),
        (["miss:run:interrupted", "pass:check"], "pass"),
        (["miss:run:interrupted", "fail:run:exception"], "fail"),
        (["skip:run:no_gpu"], "skip"),
        (["skip:run:no_gpu", "pass:check"], "pass"),
        (["skip:run:no_gpu", "miss:run:interrupted"], "skip"),
        (["skip:run:not_applicable"], "skip"),
        (["pass:check", "pass:check"], "pass"),
        (["fail:run:oom", "fail:run:exception"], "fail"),
        (["pass:check", "fail:run:oom"], "flaky"),
        (["pass:check", "error:run:exception"], "flaky"),
        (["pass:check", "error:run:gpu_busy"], "pass"),
        (["fail:run:oom", "error:run:network"], "fail"),
        (["error:run:gpu_busy"], "error"),
        (["error:run:gpu_busy", "skip:run:no_gpu"], "error"),
        (["error:run:exception", "fail:run:oom"], "fail"),
        (["error:run:exception", "skip:run:not_applicable"], "error"),
        (["pass:check", "skip:run:not_applicable"], "pass"),
        (["unavailable:install:install_failed"], "unavailable"),
        (["unavailable:install:install_failed", "error:install:network"], "unavailable"),
    ],
)
def test_attempts_are_reduced_to_one_status(attempts, status):
    assert status_of(parsed(*attempts)) == status


@given(OUTCOMES)
def test_nothing_is_green_that_was_not_seen_green_and_nothing_flaky_that_was_not_seen_both_ways(outcomes):
    status, statuses = status_of(outcomes), {one.status for one in outcomes}
    assert status in {*statuses, Status.MISS, Status.FLAKY}
    if status in {Status.PASS, Status.FLAKY}:
        assert Status.PASS in statuses
    if status is Status.PASS:
        assert Status.FAIL not in {outcomes[place].status for place in counting(outcomes)}
    if status is Status.FLAKY:
        assert statuses & {Status.FAIL, Status.ERROR}


@given(OUTCOMES)
def test_the_order_of_attempts_does_not_decide(outcomes):
    assert {status_of(order) for order in itertools.permutations(outcomes[:4])} == {status_of(outcomes[:4])}


@given(OUTCOMES)
def test_an_attempt_that_proves_nothing_changes_no_answer(outcomes):
    if status_of(outcomes) in {Status.PASS, Status.FAIL, Status.FLAKY}:
        for text in ("miss:run:interrupted", "skip:run:no_gpu", "error:run:gpu_busy", "error:run:network"):
            assert status_of([*outcomes, Outcome.parse(text)]) == status_of(outcomes)


@pytest.mark.parametrize(
    ("attempts", "text"),
    [
        ([], "miss"),
        (["fail:run:oom", "fail:run:oom"], "fail:run:oom"),
        (["pass:check", "fail:run:oom", "pass:check"], "flaky(pass:check, fail:run:oom)"),
        (["fail:run:oom", "fail:run:exception"], "fail(fail:run:oom, fail:run:exception)"),
        (["pass:check", "error:run:gpu_busy"], "pass:check"),
    ],
)
def test_a_result_is_written_with_each_outcome_once(attempts, text):
    assert outcome_text(parsed(*attempts)) == text


@pytest.mark.parametrize("text", ["fail:resolve:unsolvable", "fail:install:install_failed"])
def test_what_schema_1_called_a_failure_of_the_cell_is_unavailable(text):
    assert Outcome.parse(text).status is Status.UNAVAILABLE
    assert str(Outcome.parse(text)) == text.replace("fail", "unavailable", 1)


def test_one_attempt_is_never_flaky():
    with pytest.raises(ValueError, match="not flaky"):
        Outcome(Status.FLAKY, Stage.RUN, Reason.OOM)


def result(*texts, signatures=()):
    return ScenarioResult(ResultKey("a=1", "f::t"), "c", "f::t", parsed(*texts), signatures)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (result("fail:run:oom", signatures=("A",)), result("fail:run:oom", signatures=("A",)), True),
        (result("fail:run:oom", signatures=("A", "rule")), result("fail:run:oom", signatures=("B", "rule")), True),
        (result("fail:run:oom", signatures=("A",)), result("fail:run:oom", signatures=("B",)), False),
        (result("fail:run:oom"), result("fail:run:exception"), False),
        (result("fail:run:oom", "pass:check"), result("fail:run:oom"), True),
        (result("fail:run:oom"), result("fail:run:oom", "pass:check"), False),
    ],
)
def test_two_failures_are_one_by_outcome_and_name(before, after, same):
    assert same_failure(before, after) is same


def test_answers_are_written_in_their_order():
    assert letters(parsed("pass:check", "error:run:network", "fail:run:oom", "pass:check")) == "GRG"
