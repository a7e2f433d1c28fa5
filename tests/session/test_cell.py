"""One cell: its collection, its pending attempts, its GPUs; this interpreter is the environment."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.envs.build import Environment
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.matrix.cell import Cell, Pin
from harness.matrix.schema import load_matrix
from harness.runner.gpus import Gpu
from harness.runner.isolation import Isolation
from harness.session import run as session_run
from harness.session.begin import begin
from harness.session.cell import plan_attempts, visible_gpus
from harness.session.conclude import conclude
from harness.session.context import Options
from harness.session.plan import Plan, PlannedCell, read_scenarios
from harness.session.run import run_plan
from harness.store.records import AttemptRecord, ScenarioInfo

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SLOW = "import os, pathlib, time\npathlib.Path({mark!r}).touch()\ntime.sleep(60)\ndef test_x(): pass\n"


def row(outcome, cell="good", number=1, **facts):
    return AttemptRecord(cell=cell, scenario="a::t", attempt=number, outcome=outcome, started=NOW, seconds=1, **facts)


def pending_numbers(done, **options):
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
def test_attempts_are_pending_until_there_are_enough_and_again_with_retry_failed(done, options, numbers):
    assert pending_numbers(done, **options) == numbers


def gpu(index):
    return Gpu(index=index, uuid=f"GPU-{index}aaa", name="GPU", total=10, used=0, driver="1")


@pytest.mark.parametrize(
    ("chosen", "indexes"), [(None, [0, 1]), ("1", [1]), ("GPU-0a", [0]), ("1,0", [0, 1]), ("", [])]
)
def test_only_the_gpus_of_the_slot_are_visible(chosen, indexes, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    slot = {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}
    assert [one.index for one in visible_gpus([gpu(0), gpu(1)], slot)] == indexes


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
def test_a_module_of_the_matrix_that_is_missing_is_one_note_and_the_attempts_run(project, isolation):
    project.write_scenarios("def test_a(): pass\n")
    matrix = project.folder / "m.toml"
    matrix.write_text(matrix.read_text().replace('["pytest"]', '["pytest", "psutil", "numpyy"]'))
    output = project.harness("run", "m.toml", "--isolation", isolation, "--jobs", "1")
    assert output.count("numpyy") == 2
    first = project.run.read_record().cells[0].id
    assert (
        f'note: m.toml: [preload] modules = "numpyy" could not be imported in {first}: ModuleNotFoundError: ' in output
    )
    assert "psutil" not in output  # it is installed, though no pin names it
    assert [one[3] for one in project.attempts()] == ["pass:check", "pass:check"]
    events = project.run.events("preload_failed")
    assert [event["cell"] for event in events] == [cell.id for cell in project.run.read_record().cells]


def test_a_default_module_that_a_cell_lacks_is_no_note(project):
    project.write_scenarios("def test_a(): pass\n")
    matrix = project.folder / "m.toml"
    matrix.write_text(matrix.read_text().partition("[preload]")[0])  # torch and others, which this interpreter lacks
    output = project.harness("run", "m.toml", "--cells", "six-1*")
    assert "note" not in output
    assert project.run.events("preload_failed") == []
    assert project.run.events("launcher")[0]["import_failures"]


def test_an_interrupted_collection_lists_nothing_and_its_results_are_missing(tmp_path, monkeypatch):
    mark = tmp_path / "begun"
    (tmp_path / "slow.py").write_text(SLOW.format(mark=str(mark)))
    (tmp_path / "m.toml").write_text(
        'name = "m"\nscenarios = ["slow.py"]\ntimeout = 90\n[pins]\nsix = "1"\n[preload]\nmodules = ["pytest"]\n'
    )

    def build(lock, root, log):
        return Environment(Path(sys.executable), root, reused=True, seconds=0.0)

    def interrupted(futures, **options):
        deadline = time.monotonic() + 60
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(session_run, "build", build)
    monkeypatch.setattr(session_run, "wait", interrupted)
    matrix = load_matrix(tmp_path / "m.toml")
    files, infos = read_scenarios(matrix)
    cell = Cell(python="3.11", pins=(Pin("six", "1", "six==1"),))
    plan = Plan(matrix, (PlannedCell(cell, Lock("aaaa", "six==1\n", {"six": "1"}, "3.11")),), files, infos)
    folder = begin(plan, tmp_path / "reports")
    assert not run_plan(plan, folder, CacheDir(tmp_path / "cache"), Options())
    assert mark.exists()
    assert folder.journal().listed == {}
    assert conclude(folder.read_record(), folder.journal()).missing == ((cell.id, "slow::test_x"),)
