"""The one reader: every result a run was to have, with the reason where it has none."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.runner.process import ProcessExit
from harness.store.journal import Journal
from harness.store.records import (
    AttemptRecord,
    CellRecord,
    Failure,
    Frame,
    GpuBefore,
    GpuRecord,
    HostRecord,
    PartRecord,
    RunRecord,
    ScenarioInfo,
    Status,
)
from harness.store.run_folder import RunFolder
from harness.verdict.results import read_results
from harness.verdict.statistics import Spread

START = datetime(2026, 3, 1, tzinfo=UTC)
FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"
GOOD, BAD = (
    CellRecord(
        id=f"a-{version}-abc",
        labels={"a": version},
        pins={"a": version},
        python="3.11",
        series=f"a={line}",
        versions={"a": version, "b": "1.0"},
    )
    for version, line in (("4.0.0", "4.0.0"), ("5.0.0", "latest"))
)
CARDS = tuple(
    GpuRecord(uuid=uuid, name=name, memory_bytes=80 * 2**30, driver="575.1")
    for uuid, name in (("GPU-1", "NVIDIA H200"), ("GPU-2", "NVIDIA H100"))
)
HOST = HostRecord(platform="Linux", cpus=2, memory_bytes=2**33)


def attempt(cell, scenario, outcome="pass:check", number=1, **rest):
    fields = {"started": START, "seconds": 1.0, "exit": ProcessExit(code=0), **rest}
    return AttemptRecord(cell=cell.id, scenario=scenario, attempt=number, outcome=outcome, **fields)


@pytest.fixture
def make(tmp_path):
    def make(*events, scenarios=("f::t",), cells=(GOOD, BAD), host=HOST, parts=()):
        folder = RunFolder(tmp_path / "run")
        folder.path.mkdir()
        folder.write_record(
            RunRecord(
                name="tried",
                started=START,
                matrix={},
                matrix_file="tried.toml",
                scenarios=tuple(ScenarioInfo(id=name, nodeid=name) for name in scenarios),
                cells=cells,
                axes=("a",),
                host=host,
                harness_version="1",
                parts=parts,
            )
        )
        journal = Journal(folder.journal_file)
        for event in events:
            if isinstance(event, AttemptRecord):
                journal.attempt(event)
            else:
                name, fields = event
                journal.write(name, **fields)
        journal.close()
        return folder

    return make


def listed(cell, *names):
    return "collected", {"cell": cell.id, "scenarios": [{"id": name} for name in names]}


FINISHED = ("run_finished", {})


def answers(folder):
    return {place: result.status for place, result in read_results(folder).items()}


def test_results_lie_by_series_with_outcome_versions_and_signature_of_the_last_red_attempt(make):
    failure = Failure(
        when="call",
        type="TypeError",
        message="Params4bit.__new__() got an unexpected keyword argument '_is_hf_initialized'",
        frames=(Frame(path="accelerate/utils/modeling.py", function="set_x", line=1, package="accelerate"),),
    )
    red = attempt(BAD, "f::t", "fail:run:exception", failure=failure, signature="its own", detail="a sentence")
    found = read_results(make(listed(GOOD, "f::t"), attempt(GOOD, "f::t"), listed(BAD, "f::t"), red, FINISHED))
    assert {place: result.status for place, result in found.items()} == {
        ("a=4.0.0", "f::t"): Status.PASS,
        ("a=latest", "f::t"): Status.FAIL,
    }
    result = found["a=latest", "f::t"]
    assert result.signatures == ("its own", "bnb-params4bit-hf-init")
    assert (result.reason, result.cell) == ("a sentence", BAD.id)
    assert (result.versions["b"], result.versions["python"]) == ("1.0", "3.11")


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([FINISHED], "the cell never began"),
        ([("environment_started", {"cell": BAD.id})], "it got no further than its environment; the run has no end"),
        ([listed(BAD, "f::t"), ("run_interrupted", {})], "was never attempted; the run was interrupted"),
        (
            [listed(BAD, "f::t"), ("attempt_started", {"cell": BAD.id, "scenario": "f::t", "attempt": 1})],
            "began and never ended; the run has no end: it was killed",
        ),
        ([listed(BAD, "g::u"), FINISHED], "planned, but the cell did not list it"),
        ([FINISHED, ("run_started", {})], "the cell never began; the run has no end"),
    ],
)
def test_what_the_plan_expects_and_nobody_ran_is_missing_with_the_reason(make, events, why):
    result = read_results(make(listed(GOOD, "f::t"), attempt(GOOD, "f::t"), *events))["a=latest", "f::t"]
    assert result.status is Status.MISS
    assert result.reason.startswith(why)


def test_an_interrupted_attempt_is_no_result_unless_there_is_another(make):
    gone = attempt(BAD, "f::t", "miss:run:interrupted", detail="interrupted")
    folder = make(gone, attempt(GOOD, "f::t", "miss:run:interrupted"), attempt(GOOD, "f::t", number=2), FINISHED)
    assert answers(folder) == {("a=4.0.0", "f::t"): Status.PASS, ("a=latest", "f::t"): Status.MISS}


def test_a_lost_cell_misses_what_the_others_listed_parameters_too(make):
    folder = make(listed(GOOD, "f::t[x]", "f::t[y]"), attempt(GOOD, "f::t[x]"), attempt(GOOD, "f::t[y]"), FINISHED)
    assert answers(folder) == {
        ("a=4.0.0", "f::t[x]"): Status.PASS,
        ("a=4.0.0", "f::t[y]"): Status.PASS,
        ("a=latest", "f::t[x]"): Status.MISS,
        ("a=latest", "f::t[y]"): Status.MISS,
    }


def test_a_cell_that_listed_other_parameters_is_not_asked_for_those(make):
    folder = make(listed(GOOD, "f::t[x]"), attempt(GOOD, "f::t[x]"), listed(BAD, "f::t[y]"), attempt(BAD, "f::t[y]"))
    assert answers(folder) == {("a=4.0.0", "f::t[x]"): Status.PASS, ("a=latest", "f::t[y]"): Status.PASS}


def test_a_cell_of_which_nothing_is_known_is_missing_as_a_whole(make):
    assert answers(make(scenarios=(), cells=(BAD,))) == {("a=latest", "*"): Status.MISS}


def test_what_could_not_be_started_speaks_for_every_scenario_until_something_ran(make):
    refused = attempt(BAD, "*", "fail:install:install_failed", number=0, detail="no wheel")
    no_import = attempt(GOOD, "g", "fail:import:import_error", number=0)
    events = [listed(GOOD, "f::t", "g::u"), attempt(GOOD, "f::t"), no_import, refused]
    folder = make(*events, scenarios=("f::t", "g::u"))
    found = read_results(folder)
    assert found["a=4.0.0", "g::u"].text == "fail:import:import_error"
    assert {found["a=latest", name].text for name in ("f::t", "g::u")} == {"unavailable:install:install_failed"}
    with folder.journal_file.open("a") as journal:
        journal.write(json.dumps({"event": "attempt", "record": attempt(BAD, "f::t").model_dump(mode="json")}) + "\n")
    found = read_results(folder)
    assert [found["a=latest", name].status for name in ("f::t", "g::u")] == [Status.PASS, Status.MISS]


def test_attempts_that_disagree_are_flaky_and_figures_are_over_all_of_them(make):
    tries = [
        attempt(BAD, "f::t", outcome, number, figures={"cuda_reserved.load": 100 * number})
        for number, outcome in enumerate(("pass:check", "fail:run:oom", "pass:check"), 1)
    ]
    result = read_results(make(*tries))["a=latest", "f::t"]
    assert (result.status, result.text) == (Status.FLAKY, "flaky(pass:check, fail:run:oom)")
    assert (result.figures["cuda_reserved.load"].median, result.figures["cuda_reserved.load"].count) == (200, 3)
    assert result.signatures == ("fail:run:oom",)


def test_the_gpu_is_the_attempts_own_card_else_its_machines(make):
    host = HOST.model_copy(update={"gpus": CARDS})
    own = GpuBefore(uuid="GPU-2", total=1, used=0)
    folder = make(attempt(GOOD, "f::t", gpus_before=(own,)), attempt(BAD, "f::t"), host=host)
    assert [result.gpu for result in read_results(folder).values()] == ["NVIDIA H100", "NVIDIA H100, NVIDIA H200"]


def test_in_a_merged_run_the_gpu_is_the_parts(make):
    parts = tuple(
        PartRecord(run=card.name, started=START, host=HOST.model_copy(update={"gpus": (card,)}), cells=(BAD.id,))
        for card in CARDS
    )
    folder = make(attempt(BAD, "f::t", part="NVIDIA H100"), attempt(GOOD, "f::t", part="NVIDIA H200"), parts=parts)
    assert [result.gpu for result in read_results(folder).values()] == ["NVIDIA H200", "NVIDIA H100"]


def test_one_cell_alone_and_a_cell_without_axes_under_its_matrix_s_name(make):
    bare = GOOD.model_copy(update={"series": "", "labels": {}, "id": "cell-abc"})
    folder = make(attempt(bare, "f::t"), attempt(BAD, "f::t"), cells=(bare, BAD))
    assert [key for key, one in read_results(folder).items() if one.cell == "cell-abc"] == [("tried", "f::t")]


def test_a_run_of_the_first_schema_is_read():
    found = read_results(RunFolder(FROZEN))
    assert {result.text for result in found.values()} == {"pass:check", "fail:check:assertion", "skip:run:no_gpu"}
    assert len(found) == 4
    assert all("=" in line for line, _ in found)


def test_two_records_with_one_number_are_two_attempts_and_one_written_twice_is_one(make):
    twice = [attempt(BAD, "f::t", "fail:run:exception"), attempt(BAD, "f::t")]
    result = read_results(make(*twice, *twice))["a=latest", "f::t"]
    assert (result.status, len(result.attempts)) == (Status.FLAKY, 2)


def test_memory_of_an_attempt_on_a_busy_gpu_counts_only_where_there_is_no_other(make):
    busy = attempt(BAD, "f::t", "error:run:gpu_busy", 2, figures={"cuda_reserved.load": 900})
    clean = attempt(BAD, "f::t", number=1, figures={"cuda_reserved.load": 100})
    alone = attempt(GOOD, "f::t", "error:run:gpu_busy", figures={"cuda_reserved.load": 900})
    found = read_results(make(clean, busy, alone))
    assert [one.values["cuda_reserved.load"] for one in found.values()] == [(900,), (100,)]


def test_a_cell_that_listed_nothing_at_all_has_no_result(make):
    assert read_results(make(listed(BAD), FINISHED, scenarios=(), cells=(BAD,))) == {}


def test_figures_are_over_the_attempts_that_measured_them(make):
    attempts = [
        attempt(BAD, "f::t", number=1, figures={"cuda_reserved.load": 1, "x.only": 1}),
        attempt(BAD, "f::t", "fail:run:oom", number=2, figures={"cuda_reserved.load": 3}),
        attempt(BAD, "f::t", number=3, figures={"cuda_reserved.load": 8}),
        attempt(BAD, "f::t", "miss:run:interrupted", number=4, figures={"cuda_reserved.load": 99}),
    ]
    found = read_results(make(*attempts))["a=latest", "f::t"].figures
    assert found == {"cuda_reserved.load": Spread(3, 1, 8, 3), "x.only": Spread(1, 1, 1, 1)}
