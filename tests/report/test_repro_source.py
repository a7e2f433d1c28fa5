"""Which text a script is made from, also for a run that came from another machine."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.schema import load_matrix
from harness.report.repro.make import scenario_file
from harness.session.plan import read_scenarios

ROOT = Path(__file__).parents[2]


@pytest.fixture
def info():
    _, infos = read_scenarios(load_matrix("quickstart"), ("scenarios/load_4bit::test_device_map_is_kept",))
    return infos[0]


RUN = SimpleNamespace(matrix={"checkpoints": {"size": "tiny"}})  # a run's record, as far as it is asked for


def test_a_file_that_is_there_is_taken(info, tmp_path):
    (tmp_path / "case.py").write_text("def test_one(): pass\n")
    mine = info.model_copy(update={"nodeid": f"{tmp_path / 'case.py'}::test_one", "source": ""})
    assert scenario_file(mine, RUN, CacheDir(tmp_path)) == tmp_path / "case.py"


def test_for_a_run_of_another_machine_the_harness_s_own_file_is_taken_where_it_is_the_same_text(info, tmp_path):
    assert info.source
    away = info.model_copy(update={"nodeid": "/node/b/app/scenarios/load_4bit.py::test_device_map_is_kept"})
    assert scenario_file(away, RUN, CacheDir(tmp_path)) == ROOT / "scenarios" / "load_4bit.py"


@pytest.mark.parametrize("change", [{"source": "0" * 16}, {"source": ""}, {"nodeid": "/node/other_case.py::test_x"}])
def test_another_text_is_refused(info, tmp_path, change):
    away = info.model_copy(update={"nodeid": "/node/scenarios/load_4bit.py::test_device_map_is_kept", **change})
    with pytest.raises(ConfigError, match="is no longer there"):
        scenario_file(away, RUN, CacheDir(tmp_path))
