"""Runs of misbehaving scenarios; this interpreter is the environment, so that nothing is installed."""

import sys
from pathlib import Path

import pytest

from harness.envs.build import Environment
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, Unsolvable
from harness.matrix.cell import Cell, Pin
from harness.matrix.schema import load_matrix
from harness.report.write import write_views
from harness.session import run as session_run
from harness.session.begin import begin
from harness.session.conclude import conclude
from harness.session.context import Options
from harness.session.plan import Plan, PlannedCell, read_scenarios
from harness.session.run import gpu_slots, run_plan

SCENARIOS = Path(__file__).parents[1] / "scenarios"
KEYWORD = (
    "passes or segfaults or assertion or script_is_wrong or import_fails or plain_skip or many_gpus or green_without"
)
EXPECTED = {
    "hostile::test_passes": "pass:check",
    "hostile::test_segfaults": "fail:run:crash",
    "hostile::test_assertion": "fail:check:assertion",
    "hostile::test_script_is_wrong": "error:run:exception",
    "hostile::test_import_fails": "error:import:import_error",
    "hostile::test_plain_skip": "skip:run:not_applicable",
    "hostile::test_needs_many_gpus": "skip:run:no_gpu",
    "hostile::test_exits_green_without_a_report": "miss:run:interrupted",
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a plan of a good and an unsolvable cell, and returns the run folder."""

    def build(lock, root, log):
        return Environment(Path(sys.executable), root, reused=True, seconds=0.0)

    monkeypatch.setattr(session_run, "build", build)
    matrix_file = tmp_path / "m.toml"
    files = ", ".join(f'"{SCENARIOS / name}"' for name in ("hostile.py", "broken_import.py"))
    matrix_file.write_text(
        f'name = "m"\nscenarios = [{files}]\ntimeout = 30\n[axes]\nsix = ["1", "2"]\n[preload]\nmodules = ["pytest"]\n'
    )
    matrix = load_matrix(matrix_file)
    scenario_files, infos = read_scenarios(matrix)
    cells = [Cell(python="3.11", pins=(Pin("six", label, f"six=={label}"),), axes=("six",)) for label in ("1", "2")]
    locks = (Lock("aaaa", "six==1\n", {"six": "1"}, "3.11"), Unsolvable("there is no version of six==2"))
    plan = Plan(matrix, tuple(map(PlannedCell, cells, locks)), scenario_files, infos)
    folder = begin(plan, tmp_path / "reports", keyword=KEYWORD)

    def run_with(**options):
        assert run_plan(plan, folder, CacheDir(tmp_path / "cache"), Options(**{"keyword": KEYWORD, **options}))
        return folder

    return run_with


def outcomes(folder, cell=0):
    wanted = folder.read_record().cells[cell].id
    return {record.scenario: str(record.outcome) for record in folder.attempts() if record.cell == wanted}


def test_every_end_of_an_attempt_has_its_outcome(run):
    folder = run()
    found = outcomes(folder)
    assert found.pop("broken_import") == "error:import:import_error"
    assert found == EXPECTED


def test_an_unsolvable_cell_is_one_attempt_record(run):
    folder = run()
    assert outcomes(folder, 1) == {"*": "unavailable:resolve:unsolvable"}
    views = write_views(folder)
    assert "there is no version of six==2" in views.html.read_text()
    done = conclude(folder.read_record(), folder.journal())
    assert {scenario for _, scenario in done.missing} == {"hostile::test_exits_green_without_a_report"}


def test_a_second_run_of_a_folder_runs_missing_attempts_only(run):
    folder = run()
    run()
    again = [record.scenario for record in folder.attempts() if record.attempt == 2]
    assert again == ["hostile::test_exits_green_without_a_report"]


def test_failed_scenarios_are_run_again_with_retry_failed(run):
    folder = run(keyword="passes or assertion")
    run(keyword="passes or assertion", retry_failed=True)
    numbers = [(record.scenario, record.attempt) for record in folder.attempts() if record.attempt]
    assert numbers == [("hostile::test_passes", 1), ("hostile::test_assertion", 1), ("hostile::test_assertion", 2)]


def test_slots_share_the_visible_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    assert gpu_slots(1) == [{}]
    assert gpu_slots(2) == [{"CUDA_VISIBLE_DEVICES": "4,6"}, {"CUDA_VISIBLE_DEVICES": "5"}]
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in gpu_slots(4)] == ["4", "5", "6", "4"]
