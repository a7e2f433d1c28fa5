"""A run that was cut short goes on as it was asked, and narrowed to what is named; this interpreter is every cell."""

import json

import pytest

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import Cell, Pin
from harness.matrix.paths import ScenarioFile
from harness.matrix.schema import load_matrix
from harness.session.plan import Plan, PlannedCell, is_selected, read_scenarios
from harness.session.resume import merge_options, select_part
from harness.store.records import RunOptions, ScenarioInfo

QUICK = "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n"
HANGS = (
    QUICK
    + "import pathlib, time\ndef test_d():\n    pathlib.Path({mark!r}).write_text('here\\n')\n    time.sleep(300)\n"
)


@pytest.mark.parametrize(
    ("kept", "said", "asked"),
    [
        ({}, {"repeat": None, "control_last": False}, {}),
        ({"repeat": 3, "timeout": 5.0, "jobs": 2}, {"jobs": None}, {"repeat": 3, "timeout": 5.0, "jobs": 2}),
        ({"repeat": 3, "gpu_busy": 4}, {"repeat": 1, "gpu_busy": 0}, {"repeat": 1, "gpu_busy": 0}),
        ({"check_isolation": True}, {"repeat": 2}, {"check_isolation": True, "repeat": 2}),
        ({"check_isolation": True}, {"isolation": "spawn"}, {"isolation": "spawn"}),
        ({"isolation": "spawn", "control_last": True}, {}, {"isolation": "spawn", "control_last": True}),
    ],
)
def test_what_is_said_now_stands_beside_what_was_asked_then(kept, said, asked):
    assert merge_options(RunOptions(**kept), said) == RunOptions(**asked)


def test_a_killed_run_goes_on_with_the_attempts_deadline_and_isolation_that_it_was_asked_for(desk):
    desk.plant(HANGS.format(mark=str(desk.folder / "begun")))
    arguments = ["--repeat", "2", "--timeout", "5", "--isolation", "spawn", "--cells", "six-1*", "--jobs", "1"]
    process = desk.start("run", "m.toml", "-k", "test_a or test_d", *arguments)
    desk.wait_for("begun")
    desk.kill(process)
    assert [one[1:] for one in desk.made()] == [("test_a", 1, "pass:check"), ("test_a", 2, "pass:check")]
    desk.harness("run", "--resume", "m.toml")
    again = [("1", "test_d", number, "fail:run:timeout") for number in (1, 2)]
    assert desk.made()[2:] == again
    assert {one.isolation for one in desk.run.attempts()} == {"spawn"}


@pytest.fixture
def cut_short(desk):
    """Kill a run of two cells before anything was collected in the second, with one attempt in the first."""
    desk.plant(HANGS.format(mark=str(desk.folder / "begun")))
    process = desk.start("run", "m.toml", "--jobs", "1", "-k", "not nothing")
    desk.wait_for("begun")
    desk.kill(process)
    assert {version for version, *_ in desk.made()} == {"1"}
    desk.plant(QUICK + "def test_d(): pass\n")
    return desk


def test_a_resumed_run_keeps_to_the_cells_and_scenarios_that_are_named_and_the_rest_stays_missing(cut_short):
    before = len(cut_short.made())
    name = ["planted.py::test_b", "planted::test_d"]
    said = cut_short.harness("run", "--resume", "m.toml", "--scenarios", name[0], "--scenarios", name[1], code=4)
    made = [(version, test) for version, test, *_ in cut_short.made()[before:]]
    assert made == [("1", "test_d"), ("2", "test_b"), ("2", "test_d")]
    assert "2 results missing; continue with" in said
    said = cut_short.harness("run", "--resume", "m.toml", "--cells", "six-2*", "-k", "test_c or nothing", code=4)
    assert cut_short.made()[-1][:2] == ("2", "test_c")
    assert "1 result missing" in said
    cut_short.harness("run", "--resume", "m.toml")
    assert cut_short.made()[-1][:2] == ("2", "test_a")
    assert len(cut_short.made()) == 8


def test_what_a_cell_that_never_listed_anything_lacks_is_counted_as_the_table_counts_it(desk):
    desk.plant(HANGS.format(mark=str(desk.folder / "begun")))
    process = desk.start("run", "m.toml", "--jobs", "1")
    desk.wait_for("begun")
    desk.kill(process)
    desk.plant(QUICK + "def test_d(): pass\n")
    said = desk.harness("run", "--resume", "m.toml", "--cells", "six-1*", code=4)
    assert "4 results missing, and the scenarios of 1 cell are unknown; continue with" in said
    assert (desk.run.path / "matrix.md").read_text().count("miss") >= 4


def test_what_the_run_does_not_have_is_named(cut_short):
    (cut_short.folder / "other.py").write_text("def test_a(): pass\n")
    said = cut_short.harness("run", "--resume", "m.toml", "--scenarios", "other.py", code=3)
    assert said == "harness: --scenarios other.py is not a scenario of the run; the nearest is planted::test_a\n"
    said = cut_short.harness("run", "--resume", "m.toml", "--cells", "six-3", code=3)
    assert said.startswith("harness: no cell matches six-3; the nearest is six-2-")


def test_a_run_of_before_that_kept_nothing_goes_on_as_ever(cut_short):
    file = cut_short.run.record_file
    record = json.loads(file.read_text())
    assert record.pop("asked") == RunOptions(jobs=1).model_dump()
    file.write_text(json.dumps(record))
    cut_short.harness("run", "--resume", "m.toml")
    assert len(cut_short.made()) == 8


def test_what_is_said_when_going_on_is_kept_but_not_how_often_the_red_ones_run(desk):
    desk.plant("def test_a(): raise ValueError\n")
    desk.harness("run", "m.toml", "--cells", "six-1*")
    desk.harness("run", "--retry-failed", "m.toml", "--repeat", "2")
    assert (len(desk.made()), desk.run.read_record().asked.repeat) == (3, 1)
    desk.harness("run", "--resume", "m.toml", "--repeat", "4")
    assert (len(desk.made()), desk.run.read_record().asked.repeat) == (4, 4)


def test_what_is_green_is_not_run_again_with_the_red_ones_nor_in_the_control(desk):
    desk.plant("def test_a(): raise ValueError\ndef test_b(): pass\n")
    desk.harness("run", "m.toml", "--control-last", "--jobs", "1")
    before = len(desk.made())
    assert before == 6
    desk.harness("run", "--retry-failed", "m.toml", "--repeat", "3", "--jobs", "1")
    assert [one[:2] for one in desk.made()[before:]] == [("1", "test_a")] * 3 + [("2", "test_a")] * 3


def test_an_expression_that_pytest_cannot_read_runs_nothing_and_is_said(desk):
    desk.plant(QUICK)
    said = desk.harness("run", "m.toml", "-k", "(", code=4)
    assert "error:collect:exception" in said
    assert "Wrong expression passed to '-k': (" in said
    assert {scenario for _, scenario, *_ in desk.made()} == {""}
    assert desk.run.attempts()[0].attempt == 0


def test_an_expression_that_pytest_cannot_read_narrows_to_nothing_and_is_said(cut_short):
    before = cut_short.made()
    said = cut_short.harness("run", "--resume", "m.toml", "-k", "(", code=4)
    assert "note: no scenario of six-2" in said
    assert "Wrong expression passed to '-k': (" in said
    assert cut_short.made() == before
    cut_short.harness("run", "--resume", "m.toml")
    assert len(cut_short.made()) == 8


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
def test_a_test_that_pytest_does_not_find_keeps_the_run_from_being_whole(desk, isolation):
    desk.plant(QUICK)
    named = ["--scenarios", "planted.py::test_a[none]", "--scenarios", "planted.py::test_b"]
    said = desk.harness("run", "m.toml", *named, "--cells", "six-1*", "--isolation", isolation, code=4)
    assert "not found: " in said
    assert "planted.py::test_a" in said


def info(test, path="/x/a.py"):
    return ScenarioInfo(id=f"a::{test}", nodeid=f"{path}::{test}")


@pytest.mark.parametrize(
    ("test", "only", "held"),
    [
        ("test_x", [], True),
        ("test_x[1]", [None], True),
        ("test_x[1]", ["test_x"], True),
        ("test_x[1]", ["test_x[1]"], True),
        ("test_x[2]", ["test_x[1]"], False),
        ("test_xy", ["test_x"], False),
        ("TestY::test_x", ["test_x"], False),
        ("TestY::test_x[1]", ["test_z", "TestY::test_x"], True),
    ],
)
def test_a_test_that_is_named_covers_its_parameters(tmp_path, test, only, held):
    files = tuple(ScenarioFile(tmp_path / "a.py", name) for name in only)
    assert is_selected(info(test, tmp_path / "a.py"), files) is held
    assert is_selected(info(test, tmp_path / "b.py"), files) is (not files)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.py").write_text(QUICK)
    (tmp_path / "m.toml").write_text('name = "m"\nscenarios = ["p::test_a", "p::test_b"]\n[pins]\nsix = "1"\n')
    matrix = load_matrix(tmp_path / "m.toml")
    cells = [Cell(python="3.11", pins=(Pin("six", label, f"six=={label}"),), axes=("six",)) for label in ("1", "2")]
    return Plan(matrix, tuple(PlannedCell(cell, None) for cell in cells), *read_scenarios(matrix))


def test_a_narrowed_plan_collects_the_same_files_and_runs_what_is_named(plan):
    assert select_part(plan) == plan
    less = select_part(plan, cells=["*2*"], scenarios=["p.py::test_b"])
    assert less.files == plan.files
    assert [one.cell.pins[0].label for one in less.cells] == ["2"]
    assert [one.id for one in less.scenarios] == ["p::test_b"]
    assert [one.id for one in select_part(plan, scenarios=["p"]).scenarios] == ["p::test_a", "p::test_b"]


def test_a_scenario_may_be_named_as_the_run_writes_it_from_any_folder(plan, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    less = select_part(plan, scenarios=["p::test_a[x]"])
    assert less.only == (ScenarioFile(tmp_path / "p.py", "test_a[x]"),)
    assert [one.id for one in less.scenarios] == ["p::test_a"]


def test_a_test_that_the_run_does_not_have_is_refused(plan):
    with pytest.raises(NothingSelectedError, match="p::test_c is not a scenario of the run; the nearest is p::"):
        select_part(plan, scenarios=["p::test_c"])
    with pytest.raises(ConfigError):
        select_part(plan, scenarios=["p::test_z"])
