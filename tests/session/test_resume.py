"""A resumed run: its options, its selection, and its pending attempts."""

import json

import pytest

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import Cell, Pin
from harness.matrix.paths import ScenarioFile
from harness.matrix.schema import load_matrix
from harness.session.plan import Plan, PlannedCell, read_scenarios
from harness.session.resume import merge_options, select_part
from harness.store.records import RunOptions

QUICK = "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n"
HANGS = (
    QUICK
    + "import pathlib, time\ndef test_d():\n    pathlib.Path({mark!r}).write_text('begun\\n')\n    time.sleep(300)\n"
)


@pytest.mark.parametrize(
    ("stored", "given", "merged"),
    [
        ({}, {"repeat": None, "control_last": False}, {}),
        ({"repeat": 3, "timeout": 5.0, "jobs": 2}, {"jobs": None}, {"repeat": 3, "timeout": 5.0, "jobs": 2}),
        ({"repeat": 3, "gpu_busy": 4}, {"repeat": 1, "gpu_busy": 0}, {"repeat": 1, "gpu_busy": 0}),
        ({"check_isolation": True}, {"repeat": 2}, {"check_isolation": True, "repeat": 2}),
        ({"check_isolation": True}, {"isolation": "spawn"}, {"isolation": "spawn"}),
        ({"isolation": "spawn", "control_last": True}, {}, {"isolation": "spawn", "control_last": True}),
    ],
)
def test_options_of_the_command_line_take_precedence_over_stored_ones(stored, given, merged):
    assert merge_options(RunOptions(**stored), given) == RunOptions(**merged)


def test_a_killed_run_is_resumed_with_its_options(project):
    project.write_scenarios(HANGS.format(mark=str(project.folder / "begun")))
    arguments = ["--repeat", "2", "--timeout", "5", "--isolation", "spawn", "--cells", "six-1*", "--jobs", "1"]
    process = project.start("run", "m.toml", "-k", "test_a or test_d", *arguments)
    project.wait_for("begun")
    project.kill(process)
    assert [one[1:] for one in project.attempts()] == [("test_a", 1, "pass:check"), ("test_a", 2, "pass:check")]
    project.harness("run", "--resume", "m.toml")
    again = [("1", "test_d", number, "fail:run:timeout") for number in (1, 2)]
    assert project.attempts()[2:] == again
    assert {one.isolation for one in project.run.attempts()} == {"spawn"}


@pytest.fixture
def killed(project):
    """A project with a killed run: attempts in the first cell, no collection in the second."""
    project.write_scenarios(HANGS.format(mark=str(project.folder / "begun")))
    process = project.start("run", "m.toml", "--jobs", "1", "-k", "not nothing")
    project.wait_for("begun")
    project.kill(process)
    assert {version for version, *_ in project.attempts()} == {"1"}
    project.write_scenarios(QUICK + "def test_d(): pass\n")
    return project


def test_only_selected_cells_and_scenarios_are_resumed_and_the_others_stay_missing(killed):
    before = len(killed.attempts())
    name = ["own.py::test_b", "own::test_d"]
    output = killed.harness("run", "--resume", "m.toml", "--scenarios", name[0], "--scenarios", name[1], code=4)
    made = [(version, test) for version, test, *_ in killed.attempts()[before:]]
    assert made == [("1", "test_d"), ("2", "test_b"), ("2", "test_d")]
    assert "2 results missing; continue with" in output
    output = killed.harness("run", "--resume", "m.toml", "--cells", "six-2*", "-k", "test_c or nothing", code=4)
    assert killed.attempts()[-1][:2] == ("2", "test_c")
    assert "1 result missing" in output
    killed.harness("run", "--resume", "m.toml")
    assert killed.attempts()[-1][:2] == ("2", "test_a")
    assert len(killed.attempts()) == 8


def test_missing_results_of_a_cell_without_a_collection_are_counted(project):
    project.write_scenarios(HANGS.format(mark=str(project.folder / "begun")))
    process = project.start("run", "m.toml", "--jobs", "1")
    project.wait_for("begun")
    project.kill(process)
    project.write_scenarios(QUICK + "def test_d(): pass\n")
    output = project.harness("run", "--resume", "m.toml", "--cells", "six-1*", code=4)
    assert "4 results missing, and the scenarios of 1 cell are unknown; continue with" in output
    assert (project.run.path / "matrix.md").read_text().count("miss") >= 4


def test_a_cell_or_scenario_that_the_run_lacks_is_named(killed):
    (killed.folder / "other.py").write_text("def test_a(): pass\n")
    output = killed.harness("run", "--resume", "m.toml", "--scenarios", "other.py", code=3)
    assert output == "harness: --scenarios other.py is not a scenario of the run; the nearest is own::test_a\n"
    output = killed.harness("run", "--resume", "m.toml", "--cells", "six-3", code=3)
    assert output.startswith("harness: no cell matches six-3; the nearest is six-2-")


def test_a_run_without_stored_options_is_resumed(killed):
    file = killed.run.record_file
    record = json.loads(file.read_text())
    assert record.pop("asked") == RunOptions(jobs=1).model_dump()
    file.write_text(json.dumps(record))
    killed.harness("run", "--resume", "m.toml")
    assert len(killed.attempts()) == 8


def test_new_options_are_stored_except_the_repeats_of_failed_scenarios(project):
    project.write_scenarios("def test_a(): raise ValueError\n")
    project.harness("run", "m.toml", "--cells", "six-1*")
    project.harness("run", "--retry-failed", "m.toml", "--repeat", "2")
    assert (len(project.attempts()), project.run.read_record().asked.repeat) == (3, 1)
    project.harness("run", "--resume", "m.toml", "--repeat", "4")
    assert (len(project.attempts()), project.run.read_record().asked.repeat) == (4, 4)


def test_passed_scenarios_are_not_retried_nor_run_again_in_the_control(project):
    project.write_scenarios("def test_a(): raise ValueError\ndef test_b(): pass\n")
    project.harness("run", "m.toml", "--control-last", "--jobs", "1")
    before = len(project.attempts())
    assert before == 6
    project.harness("run", "--retry-failed", "m.toml", "--repeat", "3", "--jobs", "1")
    assert [one[:2] for one in project.attempts()[before:]] == [("1", "test_a")] * 3 + [("2", "test_a")] * 3


def test_an_invalid_expression_is_an_error_of_the_cell(project):
    project.write_scenarios(QUICK)
    output = project.harness("run", "m.toml", "-k", "(", code=4)
    assert "error:collect:exception" in output
    assert "Wrong expression passed to '-k': (" in output
    assert {scenario for _, scenario, *_ in project.attempts()} == {""}
    assert project.run.attempts()[0].attempt == 0


def test_an_invalid_expression_of_a_resumed_run_runs_nothing(killed):
    before = killed.attempts()
    output = killed.harness("run", "--resume", "m.toml", "-k", "(", code=4)
    assert "note: no scenario of six-2" in output
    assert "Wrong expression passed to '-k': (" in output
    assert killed.attempts() == before
    killed.harness("run", "--resume", "m.toml")
    assert len(killed.attempts()) == 8


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
def test_a_test_that_pytest_does_not_find_makes_the_run_incomplete(project, isolation):
    project.write_scenarios(QUICK)
    named = ["--scenarios", "own.py::test_a[none]", "--scenarios", "own.py::test_b"]
    output = project.harness("run", "m.toml", *named, "--cells", "six-1*", "--isolation", isolation, code=4)
    assert "not found: " in output
    assert "own.py::test_a" in output


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.py").write_text(QUICK)
    (tmp_path / "m.toml").write_text('name = "m"\nscenarios = ["p::test_a", "p::test_b"]\n[pins]\nsix = "1"\n')
    matrix = load_matrix(tmp_path / "m.toml")
    cells = [Cell(python="3.11", pins=(Pin("six", label, f"six=={label}"),), axes=("six",)) for label in ("1", "2")]
    return Plan(matrix, tuple(PlannedCell(cell, None) for cell in cells), *read_scenarios(matrix))


def test_a_part_of_a_plan_has_all_files_and_the_selected_cells_and_scenarios(plan):
    assert select_part(plan) == plan
    part = select_part(plan, cells=["*2*"], scenarios=["p.py::test_b"])
    assert part.files == plan.files
    assert [one.cell.pins[0].label for one in part.cells] == ["2"]
    assert [one.id for one in part.scenarios] == ["p::test_b"]
    assert [one.id for one in select_part(plan, scenarios=["p"]).scenarios] == ["p::test_a", "p::test_b"]


def test_a_scenario_id_is_found_from_any_folder(plan, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    part = select_part(plan, scenarios=["p::test_a[x]"])
    assert part.only == (ScenarioFile(tmp_path / "p.py", "test_a[x]"),)
    assert [one.id for one in part.scenarios] == ["p::test_a"]


def test_a_test_that_the_plan_lacks_is_refused(plan):
    with pytest.raises(NothingSelectedError, match="p::test_c is not a scenario of the run; the nearest is p::"):
        select_part(plan, scenarios=["p::test_c"])
    with pytest.raises(ConfigError):
        select_part(plan, scenarios=["p::test_z"])
