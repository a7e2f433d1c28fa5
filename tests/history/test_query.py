"""Series and their results: machines, matrices, versions, merged runs, and runs without results."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.history.index import FILE
from harness.history.query import open_history
from harness.matrix.cell import Cell, Pin
from harness.store.journal import Journal
from harness.store.merge import merge
from harness.store.records import Failure, GpuBefore
from tests.history.run_folders import CELLS, NOON, attempt, cell, host, write

FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"


def test_a_planned_scenario_without_attempts_is_a_result_without_outcome(tmp_path):
    write(tmp_path, "one", [attempt()])
    (one,) = open_history(tmp_path)[0].series("six=latest-2", "b::test_z")
    assert (one.outcomes, dict(one.figures), one.versions["six"]) == ((), {}, "1.0")


def test_the_versions_are_those_that_the_cell_reported(tmp_path):
    folder = write(tmp_path, "one", [attempt()])
    journal = Journal(folder.journal_file)
    journal.write("versions", cell=CELLS[0], versions={"six": "1.0.dev3", "unlocked": "7"})
    journal.close()
    (one,) = open_history(tmp_path)[0].series("six=latest-1", "a::test_x")
    assert one.versions == {"python": "3.11", "six": "1.0.dev3", "numpy": "2.0"}


def test_commits_of_one_version_differ_and_their_address_is_not_stored(tmp_path):
    shas = ("69c9392b" * 5, "7992ca89" * 5)
    for number, sha in enumerate(shas):
        pin = Pin("six", f"dev@{sha[:8]}", f"six @ git+https://somebody:secret@host.invalid/six@{sha}#subdirectory=x")
        planned = cell(CELLS[0]).model_copy(update={"planned": Cell("3.11", (pin,))})
        folder = write(tmp_path, f"run{number}", [attempt()], day=number, cells=())
        folder.write_record(folder.read_record().model_copy(update={"cells": (planned,)}))
    first, second = open_history(tmp_path)[0].series("six=latest-1", "a::test_x")
    assert (first.versions["six"], second.versions["six"]) == ("1.0", "1.0")
    assert (first.exact_versions["six"], second.exact_versions["six"]) == ("git@69c9392b", "git@7992ca89")
    assert b"somebody" not in (tmp_path / FILE).read_bytes()


def test_an_unsolvable_cell_has_no_built_packages(tmp_path):
    pin = Pin("six", "dev@1", "six @ git+https://host.invalid/six@" + "1" * 40)
    planned = cell(CELLS[0]).model_copy(update={"planned": Cell("3.11", (pin,)), "versions": {}})
    folder = write(tmp_path, "one", [attempt()], cells=())
    folder.write_record(folder.read_record().model_copy(update={"cells": (planned,)}))
    (one,) = open_history(tmp_path)[0].series("six=latest-1", "a::test_x")
    assert one.exact_versions == {"python": "3.11"}


def test_two_merged_machines_are_two_series_and_count_once(tmp_path):
    big = write(tmp_path, "big", [attempt(figures={"x.n": 9})], machine=host("H200"))
    small = write(tmp_path, "small", [attempt(figures={"x.n": 1}, outcome="fail:run:oom")], day=1, machine=host("T4"))
    merge([big, small], tmp_path / "both")
    history, _ = open_history(tmp_path)
    assert {key.gpu for key in history.all_keys()} == {"H200", "T4"}
    for gpu, value, outcome in (("H200", 9, "pass:check"), ("T4", 1, "fail:run:oom")):
        (one,) = history.series("six=latest-1", "a::test_x", gpu)
        assert (one.run, one.key.gpu, one.figures["x.n"].median) == ("both", gpu, value)
        assert [str(each) for each in one.outcomes] == [outcome]
    with pytest.raises(ConfigError, match="has several series: m on H200, m on T4; choose a matrix and a GPU"):
        history.series("six=latest-1", "a::test_x")


def test_a_machine_with_two_models_is_indexed_by_the_gpu_of_the_attempt(tmp_path):
    for number, model in enumerate(("H200", "T4")):
        gpu = GpuBefore(uuid=f"GPU-{model}", total=10, used=0)
        write(tmp_path, model, [attempt(gpus_before=(gpu,))], day=number, machine=host("H200", "T4"), cells=CELLS[:1])
    history, _ = open_history(tmp_path)
    assert {key.gpu for key in history.all_keys()} == {"H200", "T4"}
    assert [one.run for one in history.series("six=latest-1", "a::test_x", "T4")] == ["T4"]


def test_a_series_of_two_matrices_is_selected_by_matrix(tmp_path):
    for number, matrix in enumerate(("m", "n")):
        write(tmp_path, matrix, [attempt()], day=number, matrix=matrix)
    history, _ = open_history(tmp_path)
    with pytest.raises(ConfigError, match="has several series: m on no GPU, n on no GPU"):
        history.series("six=latest-1", "a::test_x")
    assert [one.run for one in history.series("six=latest-1", "a::test_x", matrix="n")] == ["n"]


def test_a_run_of_the_first_schema_is_in_the_history(tmp_path):
    shutil.copytree(FROZEN, tmp_path / "old")
    history, done = open_history(tmp_path)
    assert done.notes == ()
    (one,) = history.series("transformers=4.57.6", "load_4bit::test_reserved", "NVIDIA H200")
    assert one.figures["cuda_reserved.load"].median == 7194070220
    assert one.versions["tokenizers"] == "0.22.1"


@pytest.mark.parametrize("file", ["bisect.json", "blame.json"])
def test_a_search_without_a_kind_is_not_in_the_history(tmp_path, file):
    write(tmp_path, "night", [attempt()])
    write(tmp_path, "search", [attempt()], day=1).path.joinpath(file).write_text("{}")
    assert [one.run for one in open_history(tmp_path)[0].series("six=latest-1", "a::test_x")] == ["night"]


def test_results_since_a_day(tmp_path):
    for number in range(4):
        write(tmp_path, f"run{number}", [attempt()], day=number)
    results = open_history(tmp_path)[0].series("six=latest-1", "a::test_x", since=NOON + timedelta(days=2))
    assert [one.run for one in results] == ["run2", "run3"]


def test_one_failure_per_signature_is_stored_for_the_signature_rules(tmp_path):
    failure = Failure(when="call", type="TypeError", message="unexpected", text="a long traceback")
    write(tmp_path, "one", [attempt(outcome="fail:run:exception", signature="TypeError: unexpected", failure=failure)])
    (stored,) = open_history(tmp_path)[0].failures().items()
    assert stored == ("TypeError: unexpected", failure.model_copy(update={"text": ""}))
