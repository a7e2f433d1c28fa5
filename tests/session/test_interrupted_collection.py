"""A run that is interrupted while a cell collects; this interpreter plays the environment."""

import sys
import time
from pathlib import Path

from harness.envs.build import Environment
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.matrix.cell import Cell, Pin
from harness.matrix.schema import load_matrix
from harness.session import run as session_run
from harness.session.begin import begin
from harness.session.conclude import conclude
from harness.session.context import Options
from harness.session.plan import Plan, PlannedCell, read_scenarios
from harness.session.run import run_plan

SLOW = "import os, pathlib, time\npathlib.Path({mark!r}).touch()\ntime.sleep(60)\ndef test_x(): pass\n"


def test_nothing_was_listed_so_that_the_whole_cell_is_missing(tmp_path, monkeypatch):
    mark = tmp_path / "begun"
    (tmp_path / "slow.py").write_text(SLOW.format(mark=str(mark)))
    (tmp_path / "m.toml").write_text(
        'name = "m"\nscenarios = ["slow.py"]\ntimeout = 90\n[pins]\nsix = "1"\n[preload]\nmodules = ["pytest"]\n'
    )

    def build(lock, root, log):
        return Environment(Path(sys.executable), root, lock.hash, reused=True, seconds=0.0)

    def interrupted(futures, **how):
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
