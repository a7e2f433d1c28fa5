"""The evaluation of one candidate by its attempts."""

from datetime import UTC, datetime

import pytest

from harness.search.criterion import (
    Cause,
    Criterion,
    Evaluation,
    column_value,
    evaluate,
    failed_otherwise,
    metric_value,
    read_factor,
    whole_file,
)
from harness.search.records import ReleaseQuestion
from harness.store.records import AttemptRecord, Failure, Outcome, ScenarioInfo
from tests.results import results_of_attempts

PLAIN = ReleaseQuestion(package="p", releases=("1", "2"), scenario="s.py::t", matrix="m")
SIGNED = PLAIN.model_copy(update={"signature": "ValueError: no"})
CHANGED = SIGNED.model_copy(update={"good_signature": "TypeError: other"})
METRIC = PLAIN.model_copy(update={"metric": "x.share", "factor": 1.5})


def row(outcome, number=1, **more):
    more.setdefault("scenario", "s::t")
    return AttemptRecord(
        cell="c", attempt=number, outcome=Outcome.parse(outcome), started=datetime.now(UTC), seconds=1.0, **more
    )


@pytest.mark.parametrize(
    ("attempts", "cause"),
    [
        ([], Cause.NO_RESULT),
        ([row("miss:run:interrupted")], Cause.NO_RESULT),
        ([row("pass:check"), row("fail:run:exception", 2, signature="ValueError: no")], Cause.FLAKY),
        ([row("unavailable:resolve:unsolvable", 0, scenario="*")], Cause.UNAVAILABLE),
        ([row("unavailable:install:install_failed", 0, scenario="*")], Cause.UNAVAILABLE),
        ([row("fail:run:timeout")], Cause.TIMEOUT),
        ([row("error:run:gpu_busy")], Cause.GPU_BUSY),
        ([row("fail:run:exception", signature="TypeError: other, by flaky: a timeout")], Cause.OTHER_FAILURE),
        ([row("skip:run:not_applicable")], Cause.OTHER),
        ([row("pass:check")], None),
    ],
)
def test_an_undecided_release_has_a_typed_cause(attempts, cause):
    assert evaluate(SIGNED, results_of_attempts(attempts)).cause is cause


@pytest.mark.parametrize(
    ("criterion", "attempts", "bound", "cause"),
    [
        (METRIC, [row("pass:check", figures={"x.other": 31})], 30, Cause.NOT_MEASURED),
        (METRIC, [row("fail:run:timeout")], 30, Cause.TIMEOUT),
        (METRIC, [row("pass:check", figures={"x.share": 31})], None, Cause.NO_BOUND),
        (Criterion(metric="x.share"), [row("pass:check", figures={"x.share": 31})], None, Cause.MEASURED),
        (
            METRIC,
            [row("pass:check", figures={"x.share": 31}), row("pass:check", 2, figures={"x.share": 29})],
            30,
            Cause.FLAKY,
        ),
    ],
)
def test_so_has_one_that_a_metric_does_not_decide(criterion, attempts, bound, cause):
    assert evaluate(criterion, results_of_attempts(attempts), bound).cause is cause


@pytest.mark.parametrize(
    ("question", "attempts", "bad"),
    [
        (PLAIN, [row("pass:check")], False),
        (PLAIN, [row("fail:check:assertion")], True),
        (PLAIN, [row("pass:check"), row("fail:run:oom", scenario="s::t[b]")], True),
        (PLAIN, [row("skip:run:not_applicable")], None),
        (PLAIN, [row("pass:check"), row("skip:run:not_applicable", scenario="s::t[b]")], None),
        (PLAIN, [row("error:run:gpu_busy")], None),
        (PLAIN, [row("error:run:gpu_busy"), row("pass:check", 2)], False),
        (PLAIN, [row("pass:check"), row("miss:run:interrupted", scenario="s::u")], None),
        (PLAIN, [row("fail:run:oom"), row("miss:run:interrupted", scenario="s::u")], True),
        (PLAIN, [row("unavailable:resolve:unsolvable", 0, scenario="*")], None),
        (PLAIN, [row("unavailable:install:install_failed", 0, scenario="*")], None),
        (PLAIN, [row("pass:check"), row("fail:run:exception", 2)], None),
        (PLAIN, [row("miss:run:interrupted"), row("pass:check", 2)], False),
        (PLAIN, [row("miss:run:interrupted")], None),
        (PLAIN, [], None),
        (SIGNED, [row("fail:run:exception", signature="ValueError: no")], True),
        (SIGNED, [row("fail:run:exception", signature="TypeError: other")], None),
        (SIGNED, [row("pass:check")], False),
        (CHANGED, [row("fail:run:exception", signature="TypeError: other")], False),
        (CHANGED, [row("fail:run:exception", signature="ValueError: no")], True),
        (CHANGED, [row("fail:run:exception", signature="a third one")], None),
        (METRIC, [row("pass:check", figures={"x.share": 31})], True),
        (METRIC, [row("fail:check:assertion", figures={"x.share": 30})], False),
        (METRIC, [row("pass:check", figures={"x.other": 31})], None),
        (METRIC, [row("pass:check", figures={"x.share": 31}), row("pass:check", 2, figures={"x.share": 29})], None),
        (METRIC, [row("error:run:gpu_busy", figures={"x.share": 31})], None),
    ],
)
def test_a_release_is_bad_good_or_cannot_be_told(question, attempts, bad):
    found = evaluate(question, results_of_attempts(attempts), bound=30)
    assert found.bad is bad
    assert found.reason


def test_a_failure_goes_by_the_name_of_its_rule_too():
    failure = Failure(
        when="call",
        type="TypeError",
        message="Params4bit.__new__() got an unexpected keyword argument '_is_hf_initialized'",
    )
    attempt = row("fail:run:exception", signature="whatever", failure=failure)
    named = PLAIN.model_copy(update={"signature": "bnb-params4bit-hf-init"})
    assert evaluate(named, results_of_attempts([attempt])).bad is True


def test_the_reason_names_what_is_measured_when_the_metric_is_not():
    said = evaluate(METRIC, results_of_attempts([row("pass:check", figures={"x.b": 1, "x.a": 1})]), 30).reason
    assert said == "no figure x.share; there are x.a, x.b"


def test_a_figure_is_the_median_of_a_scenario_and_the_largest_of_several():
    rows = [row("pass:check", number, figures={"x.share": value}) for number, value in enumerate((1, 9, 2))]
    rows.append(row("pass:check", scenario="s::u", figures={"x.share": 1}))
    assert metric_value("x.share", results_of_attempts(rows)) == 2
    assert metric_value("x.share", []) is None


def test_a_figure_without_a_phase_is_the_largest_of_all_phases():
    figures = {"cuda_reserved.load": 5, "cuda_reserved.generate": 7, "cuda_reserved_peak.load": 9, "x.share": 1}
    assert column_value("cuda.reserved", figures) == column_value("cuda_reserved", figures) == 7
    assert column_value("cuda_reserved.load", figures) == 5
    assert column_value("x.share", figures) == 1
    assert column_value("share", figures) is None


def test_a_factor_is_told_from_a_size():
    assert read_factor("1.5x") == 1.5
    assert read_factor("8GiB") is None


def several(count):
    return [ScenarioInfo(id=f"my_case::test_{number}", nodeid=f"my_case.py::test_{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Criterion(), "bad if any fails, good if all are decided and none does;"),
        (Criterion(signature="meta-item"), "bad if any fails with meta-item, good if all are decided"),
        (Criterion(metric="cuda.reserved", limit=1), "by the largest cuda.reserved of them;"),
    ],
)
def test_several_tests_are_named_with_how_they_count(asked, said):
    (note,) = whole_file("my_case.py", several(3), asked)
    assert note.startswith(f"my_case.py holds 3 tests, evaluated as one: {said}")
    assert note.endswith("to test one: my_case.py::test_0 (test_0, test_1, test_2)")


def test_a_long_list_is_cut():
    (note,) = whole_file("my_case.py", several(9), Criterion())
    assert note.endswith("test_5 …)")


def test_one_test_needs_no_word():
    assert whole_file("my_case.py", several(1), Criterion()) == ()
    assert whole_file("my_case.py::TestAll::test_0", several(1), Criterion()) == ()


@pytest.mark.parametrize(
    ("criterion", "evaluation", "outcome", "otherwise"),
    [
        (SIGNED, Evaluation(None, "fail"), "fail:run:exception", True),
        (PLAIN, Evaluation(None, "fail"), "fail:run:exception", False),
        (SIGNED, Evaluation(False, "it passes"), "fail:run:exception", False),
        (SIGNED, Evaluation(None, "fail"), "skip:run:no_gpu", False),
        (SIGNED, Evaluation(None, "fail"), "fail:run:timeout", False),
        (SIGNED, Evaluation(None, "flaky: s::t gave pass, fail", Cause.FLAKY), "fail:run:exception", False),
    ],
)
def test_failing_otherwise_needs_a_signature_and_a_failure_of_its_own(criterion, evaluation, outcome, otherwise):
    assert failed_otherwise(criterion, evaluation, results_of_attempts([row(outcome)])) is otherwise
