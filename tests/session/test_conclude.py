"""The conclusion of a run: exit code, missing results, regressions, isolation differences."""

from datetime import UTC, datetime

import pytest

from harness.errors import ExitCode
from harness.session.conclude import Conclusion, isolation_differences
from harness.session.conclude import conclude as conclude_run
from harness.store.journal import JournalContent
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GOOD, BAD = (
    CellRecord(id=name, labels={}, pins={}, python="3.11", reference=name == "good") for name in ("good", "bad")
)


def conclude(cells, listed, attempts):
    host = HostRecord(platform="Linux", cpus=1, memory_bytes=1)
    fields = {"matrix": {}, "matrix_file": "m.toml", "axes": (), "harness_version": "1"}
    run = RunRecord(name="m", started=NOW, cells=tuple(cells), host=host, **fields)
    return conclude_run(run, JournalContent(attempts=tuple(attempts), listed=listed))


def row(outcome, cell="good", scenario="a::t", number=1, **facts):
    return AttemptRecord(cell=cell, scenario=scenario, attempt=number, outcome=outcome, started=NOW, seconds=1, **facts)


@pytest.mark.parametrize(
    ("attempts", "collected", "fail_on", "code"),
    [
        ([row("pass:check")], {"good": ["a::t"]}, None, ExitCode.COMPLETE),
        ([row("fail:run:oom")], {"good": ["a::t"]}, None, ExitCode.COMPLETE),
        ([row("fail:run:oom")], {"good": ["a::t"]}, "failure", ExitCode.REGRESSION),
        ([row("fail:run:oom")], {"good": ["a::t"]}, "regression", ExitCode.COMPLETE),
        ([row("pass:check"), row("fail:run:oom", number=2)], {"good": ["a::t"]}, "failure", ExitCode.REGRESSION),
        ([row("pass:check")], {"good": ["a::t", "a::u"]}, None, ExitCode.INCOMPLETE),
        ([row("pass:check")], {}, None, ExitCode.INCOMPLETE),
        ([row("skip:run:no_gpu")], {"good": ["a::t"]}, None, ExitCode.INCOMPLETE),
        ([row("miss:run:interrupted")], {"good": ["a::t"]}, None, ExitCode.INCOMPLETE),
        ([row("error:run:network")], {"good": ["a::t"]}, None, ExitCode.INCOMPLETE),
        ([row("error:resolve:network", scenario="*", number=0)], {}, None, ExitCode.INCOMPLETE),
        ([row("unavailable:resolve:unsolvable", scenario="*", number=0)], {}, None, ExitCode.INCOMPLETE),
        (
            [row("error:resolve:network", scenario="*", number=0), row("pass:check")],
            {"good": ["a::t"]},
            None,
            ExitCode.COMPLETE,
        ),
        (
            [row("pass:check"), row("error:resolve:network", scenario="*", number=0)],
            {"good": ["a::t"]},
            None,
            ExitCode.COMPLETE,  # no result is missing
        ),
        ([], {"good": []}, None, ExitCode.NOTHING_SELECTED),
    ],
)
def test_the_exit_code_of_a_run(attempts, collected, fail_on, code):
    assert conclude([GOOD], collected, attempts).exit_code(fail_on, complete=True) is code


def test_an_interrupted_run_has_its_own_exit_code():
    done = conclude([GOOD], {"good": ["a::t"]}, [row("pass:check")])
    assert done.exit_code(None, complete=False) is ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("missing", "unlisted", "text"),
    [
        (
            [("one", "a::t"), ("two", "a::t"), ("bad", "a::u")],
            ["one", "two"],
            "3 results missing, and the scenarios of 2 cells are unknown",
        ),
        ([("bad", "a::t")], [], "1 result missing"),
        ([("bad", "*")], ["bad"], "the scenarios of 1 cell are unknown"),
        ([("bad", "a::t"), ("bad", "a::u")], [], "2 results missing"),
    ],
)
def test_missing_results_and_unlisted_cells_are_counted(missing, unlisted, text):
    done = Conclusion(tuple(missing), (), (), (), (), (), passed=0, attempts=1, unlisted=tuple(unlisted))
    assert done.missing_text() == text


def test_a_regression_fails_where_the_reference_passes():
    listed = {"good": ["a::t", "a::u"], "bad": ["a::t", "a::u"]}
    attempts = [
        row("pass:check"),
        row("fail:run:oom", cell="bad"),
        row("fail:run:oom", scenario="a::u"),
        row("fail:run:oom", cell="bad", scenario="a::u"),
    ]
    done = conclude([GOOD, BAD], listed, attempts)
    assert done.regressed == (("bad", "a::t"),)
    assert done.exit_code("regression", complete=True) is ExitCode.REGRESSION


def test_isolations_must_agree_in_outcome_and_figures():
    forked = row("pass:check", isolation="fork", figures={"x.n": 3, "seconds.load": 1.0, "host_anon_added.load": 10})
    fresh = forked.model_copy(update={"isolation": "spawn", "figures": {"x.n": 3, "seconds.load": 9.0}})
    (never,) = isolation_differences([forked])
    assert never == "good: all attempts ran with fork, nothing was compared"
    assert isolation_differences([]) == ["no attempt ran, nothing was compared"]
    fresh_equal = fresh.model_copy(update={"figures": {**forked.figures, "seconds.load": 9.0}})
    assert isolation_differences([forked, fresh_equal]) == []
    (missing,) = isolation_differences([forked, fresh])
    assert "host_anon_added.load is [10] with fork, [] in a fresh interpreter" in missing
    other = fresh_equal.model_copy(update={"figures": {**fresh_equal.figures, "x.n": 4}})
    assert "x.n is [3] with fork, [4]" in isolation_differences([forked, other])[0]
    red = row("fail:run:oom", isolation="spawn")
    assert "pass:check with fork, fail:run:oom in a fresh" in isolation_differences([forked, red])[0]
    only_fresh = forked.model_copy(update={"isolation": "spawn", "figures": {**forked.figures, "x.more": 1}})
    assert "x.more is [] with fork, [1]" in isolation_differences([forked, only_fresh])[0]


def test_a_scenario_that_ran_in_one_isolation_is_named():
    pair = [row("pass:check", isolation="fork"), row("pass:check", isolation="spawn", number=2)]
    (lone,) = isolation_differences([*pair, row("pass:check", scenario="a::u", isolation="spawn")])
    assert lone == "good a::u: ran only with spawn, nothing was compared"


@pytest.mark.parametrize(
    ("forked", "fresh", "differs"),
    [
        ([2**33, 2**33], [2**33, 2**33], False),
        ([2**33, 2**33], [2**33 + 512, 2**33 + 512], True),  # repeated attempts are equal: to the byte
        ([2**33, 2**33 + 512], [2**33 + 2**20, 2**33], False),  # threads: within the noise
        ([2**33], [2**33 + 512], False),  # one attempt: noise is unknown
        ([2**33, 2**33], [2**34, 2**34 + 512], True),
    ],
)
def test_figures_of_the_allocator_are_compared_to_the_byte_if_repeated_attempts_are_equal(forked, fresh, differs):
    name = "cuda_reserved.load"
    attempts = [
        row("pass:check", isolation=way, number=number, figures={name: value, "x.load_seconds": number})
        for way, values in (("fork", forked), ("spawn", fresh))
        for number, value in enumerate(values, start=1 if way == "fork" else 9)
    ]
    assert bool(isolation_differences(attempts)) is differs
