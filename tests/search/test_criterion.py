"""What one release's attempts amount to, and which releases lie between two ends."""

from datetime import UTC, datetime

import pytest
from packaging.version import Version

from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.index import Release
from harness.search.criterion import Cause, Criterion, column_value, evaluate, metric_value, read_factor, whole_file
from harness.search.prober import cell_at
from harness.search.question import Question
from harness.search.releases import between
from harness.store.records import AttemptRecord, Failure, Outcome, ScenarioInfo

PLAIN = Question(package="p", releases=("1", "2"), scenario="s.py::t", matrix="m")
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
        ([row("fail:resolve:unsolvable", 0, scenario="*")], Cause.UNAVAILABLE),
        ([row("fail:install:install_failed", 0, scenario="*")], Cause.UNAVAILABLE),
        ([row("fail:run:timeout")], Cause.TIMEOUT),
        ([row("error:run:gpu_busy")], Cause.GPU_BUSY),
        ([row("fail:run:exception", signature="TypeError: other, by flaky: a timeout")], Cause.OTHER_FAILURE),
        ([row("skip:run:not_applicable")], Cause.OTHER),
        ([row("pass:check")], None),
    ],
)
def test_an_undecided_release_has_a_typed_cause(attempts, cause):
    assert evaluate(SIGNED, attempts).cause is cause


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
    assert evaluate(criterion, attempts, bound).cause is cause


@pytest.mark.parametrize(
    ("question", "attempts", "bad"),
    [
        (PLAIN, [row("pass:check")], False),
        (PLAIN, [row("fail:check:assertion")], True),
        (PLAIN, [row("pass:check"), row("fail:run:oom", scenario="s::t[b]")], True),
        (PLAIN, [row("skip:run:not_applicable")], None),
        (PLAIN, [row("pass:check"), row("skip:run:not_applicable", scenario="s::t[b]")], None),
        (PLAIN, [row("error:run:gpu_busy")], None),
        (PLAIN, [row("fail:resolve:unsolvable", 0, scenario="*")], None),
        (PLAIN, [row("fail:install:install_failed", 0, scenario="*")], None),
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
    found = evaluate(question, attempts, bound=30)
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
    assert evaluate(named, [attempt]).bad is True


def test_the_reason_names_what_is_measured_when_the_metric_is_not():
    said = evaluate(METRIC, [row("pass:check", figures={"x.b": 1, "x.a": 1})], 30).reason
    assert said == "no figure x.share; there are x.a, x.b"


def test_a_figure_is_the_median_of_a_scenario_and_the_largest_of_several():
    rows = [row("pass:check", number, figures={"x.share": value}) for number, value in enumerate((1, 9, 2))]
    assert metric_value("x.share", [*rows, row("pass:check", scenario="s::u", figures={"x.share": 1})]) == 2
    assert metric_value("x.share", []) is None


def test_a_figure_without_a_phase_is_the_largest_of_all_phases():
    figures = {"cuda_reserved.load": 5, "cuda_reserved.generate": 7, "cuda_reserved_peak.load": 9, "x.share": 1}
    assert column_value("cuda.reserved", figures) == column_value("cuda_reserved", figures) == 7
    assert column_value("cuda_reserved.load", figures) == 5
    assert column_value("x.share", figures) == 1
    assert column_value("share", figures) is None


RELEASES = tuple(
    Release(Version(text), None, yanked)
    for text, yanked in {"1.0": None, "1.1": None, "1.2": "broken", "1.3rc1": None, "1.3": None, "1.4": None}.items()
)


def test_yanked_releases_and_candidates_are_left_out_with_a_note():
    found = between("p", RELEASES, "1.0", "1.4")
    assert found.releases == ("1.0", "1.1", "1.3", "1.4")
    assert found.notes == ("yanked, so left out: p 1.2",)


def test_for_a_fix_the_bad_release_is_the_older_one():
    found = between("p", RELEASES, "1.4", "1.2", find_fix=True)
    assert found.releases == ("1.2", "1.3", "1.4")


@pytest.mark.parametrize(
    ("good", "bad", "find_fix", "sentence"),
    [
        ("1.4", "1.0", False, "the bad release 1.0 is not newer than the good one 1.4; add --find-fix"),
        ("1.0", "1.0", False, "not newer than the good one 1.0$"),
        ("1.0", "1.4", True, "looks for the fix after the bad release"),
        ("1.0", "1.3.5", False, "the index lists no p 1.3.5; the nearest are 1.3, 1.4"),
        ("one", "1.4", False, '"one" is not a version of p'),
    ],
)
def test_ends_that_cannot_be_are_one_sentence(good, bad, find_fix, sentence):
    with pytest.raises(ConfigError, match=sentence):
        between("p", RELEASES, good, bad, find_fix=find_fix)


def test_a_factor_is_told_from_a_size():
    assert read_factor("1.5x") == 1.5
    assert read_factor("8GiB") is None


def test_the_command_asks_the_same_between_other_ends():
    asked = METRIC.model_copy(update={"find_fix": True})
    words = "harness bisect p --good 2 --bad 1 --scenario s.py::t --matrix m --metric x.share --above 1.5x --find-fix"
    assert " ".join(asked.command("2", "1")) == words


def test_a_cell_of_another_release_holds_every_other_pin_and_takes_a_transitive_package():
    base = Cell("3.11", (Pin("p", "1", "p==1"), Pin("q", "2", "q==2")), axes=("p",), reference=True)
    assert [pin.requirement for pin in cell_at(base, "p", "3").pins] == ["p==3", "q==2"]
    other = cell_at(base, "hub", "1.0")
    assert [pin.requirement for pin in other.pins] == ["p==1", "q==2", "hub==1.0"]
    assert other.id.startswith("hub-1.0-")


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
