"""What is to be done, what is missing, what it amounts to: values in, values out."""

from datetime import UTC, datetime

import pytest

from harness.errors import ExitCode, NothingSelectedError
from harness.matrix.cell import Cell, Pin
from harness.runner.gpus import Gpu
from harness.runner.isolation import Isolation
from harness.session.cell import plan_attempts, visible_gpus
from harness.session.conclude import Conclusion, isolation_differences
from harness.session.conclude import conclude as conclude_run
from harness.session.context import Options
from harness.session.plan import select_cells
from harness.store.journal import JournalContent
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord, ScenarioInfo

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


def todo(done, **options):
    isolation = options.pop("isolation_now", Isolation.FORK)
    planned = plan_attempts("good", [ScenarioInfo(id="a::t", nodeid="a.py::t")], Options(**options), done, isolation)
    return [one.number for one in planned]


@pytest.mark.parametrize(
    ("done", "options", "numbers"),
    [
        ([], {}, [1]),
        ([], {"repeat": 3}, [1, 2, 3]),
        ([row("pass:check")], {}, []),
        ([row("pass:check")], {"repeat": 3}, [2, 3]),
        ([row("miss:run:interrupted")], {}, [2]),
        ([row("fail:run:oom")], {}, []),
        ([row("fail:run:oom")], {"retry_failed": True}, [2]),
        ([row("fail:run:oom"), row("pass:check", number=2)], {"retry_failed": True}, []),
        ([row("fail:run:oom")], {"retry_failed": True, "retries": 3}, [2, 3, 4]),
        ([row("pass:check")], {"retry_failed": True, "retries": 3}, []),
        ([row("pass:check")], {"retry_failed": True, "repeat": 2}, [2]),
        ([row("pass:check", cell="bad")], {}, [1]),
        ([row("pass:check", isolation="fork")], {"check_isolation": True, "isolation_now": Isolation.SPAWN}, [2]),
        ([row("pass:check", isolation="fork")], {"check_isolation": True}, []),
    ],
)
def test_only_what_is_missing_or_asked_for_again_is_run(done, options, numbers):
    assert todo(done, **options) == numbers


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
            ExitCode.COMPLETE,  # every result is there
        ),
        ([], {"good": []}, None, ExitCode.NOTHING_SELECTED),
    ],
)
def test_the_exit_code_says_how_the_run_ended(attempts, collected, fail_on, code):
    assert conclude([GOOD], collected, attempts).exit_code(fail_on, complete=True) is code


def test_an_interrupted_run_says_so_whatever_it_has():
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
def test_what_is_missing_is_counted_with_the_cells_that_never_listed_theirs(missing, unlisted, text):
    done = Conclusion(tuple(missing), (), (), (), (), (), passed=0, attempts=1, unlisted=tuple(unlisted))
    assert done.missing_text() == text


def test_a_regression_is_red_where_the_reference_is_green():
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


def test_a_scenario_that_ran_in_one_isolation_alone_is_named():
    pair = [row("pass:check", isolation="fork"), row("pass:check", isolation="spawn", number=2)]
    (lone,) = isolation_differences([*pair, row("pass:check", scenario="a::u", isolation="spawn")])
    assert lone == "good a::u: ran only with spawn, nothing was compared"


@pytest.mark.parametrize(
    ("forked", "fresh", "differs"),
    [
        ([2**33, 2**33], [2**33, 2**33], False),
        ([2**33, 2**33], [2**33 + 512, 2**33 + 512], True),  # each repeats itself: to the byte
        ([2**33, 2**33 + 512], [2**33 + 2**20, 2**33], False),  # threads: within the noise
        ([2**33], [2**33 + 512], False),  # nobody knows whether it repeats
        ([2**33, 2**33], [2**34, 2**34 + 512], True),
    ],
)
def test_the_allocators_figures_are_equal_to_the_byte_where_they_repeat(forked, fresh, differs):
    name = "cuda_reserved.load"
    attempts = [
        row("pass:check", isolation=way, number=number, figures={name: value, "x.load_seconds": number})
        for way, values in (("fork", forked), ("spawn", fresh))
        for number, value in enumerate(values, start=1 if way == "fork" else 9)
    ]
    assert bool(isolation_differences(attempts)) is differs


def gpu(index):
    return Gpu(index=index, uuid=f"GPU-{index}aaa", name="GPU", total=10, used=0, driver="1")


@pytest.mark.parametrize(
    ("chosen", "indexes"), [(None, [0, 1]), ("1", [1]), ("GPU-0a", [0]), ("1,0", [0, 1]), ("", [])]
)
def test_only_the_slots_own_cards_can_be_busy(chosen, indexes, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    slot = {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}
    assert [card.index for card in visible_gpus([gpu(0), gpu(1)], slot)] == indexes


def cells():
    return [
        Cell(python="3.11", pins=(Pin("six", version, f"six=={version}"),), axes=("six",), reference=version == "2")
        for version in ("1", "2", "3")
    ]


def test_cells_are_selected_by_id_and_pattern_reference_first():
    everything = cells()
    assert [cell.label("six") for cell in select_cells(everything, [])] == ["2", "1", "3"]
    assert [cell.label("six") for cell in select_cells(everything, ["six-3-*", everything[0].id])] == ["1", "3"]
    with pytest.raises(NothingSelectedError, match="no cell matches six-9; "):
        select_cells(everything, ["six-9"])
