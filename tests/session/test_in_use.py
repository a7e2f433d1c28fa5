"""``harness gc`` keeps what another process of the harness uses."""

import json
import os
import sys

import pytest

from harness.cli import checkpoint
from harness.cli.main import main
from harness.envs.cache_dir import CacheDir
from harness.envs.usage_locks import in_use
from harness.session.bundle import copy_checkpoints
from harness.session.checkpoints import CheckpointStore, read_definition

HANGS = (
    "import pathlib, time\ndef test_hangs():\n    pathlib.Path({mark!r}).write_text('begun\\n')\n    time.sleep(120)\n"
)

BUILDER = """
import fcntl, json, pathlib, sys
for order in json.load(open(sys.argv[2])):
    with open(order["out"] + ".used") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pathlib.Path(order["out"]).mkdir()
        else:
            raise SystemExit("it is not locked")
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no usage locks on Windows, which is untested")


@pytest.fixture
def running(project):
    """Run both cells until their attempts have begun, with an unused environment in the cache."""
    project.write_scenarios(HANGS.format(mark=str(project.folder / "begun")))
    process = project.start("run", "m.toml", "--jobs", "1")
    project.wait_for("begun")
    other = project.folder / "cache" / "envs" / "unused"
    other.mkdir()
    (other / "stamp.json").write_text("{}")
    return process


def names(rows, state):
    return {row["path"].rpartition("/")[2] for row in rows if "/envs/" in row["path"] and row[state]}


def test_environments_of_running_attempts_are_kept_until_the_run_has_ended(project, running):
    locks = {cell.lock for cell in project.run.read_record().cells}
    assert len(locks) == 2
    rows = json.loads(project.harness("gc", "--keep", "0", "--json"))
    assert names(rows, "in_use") == locks
    assert names(rows, "removed") == {"unused"}
    assert all((project.folder / "cache" / "envs" / lock / "stamp.json").exists() for lock in locks)
    output = project.harness("gc", "--older-than", "0h")
    assert output.count("in use") == 2
    project.kill(running)
    rows = json.loads(project.harness("gc", "--keep", "0", "--json"))
    assert names(rows, "in_use") == set()
    assert names(rows, "removed") == locks
    assert not any((project.folder / "cache" / "envs" / lock).exists() for lock in locks)


def test_a_finished_run_uses_nothing(project):
    project.write_scenarios("def test_passes(): pass\n")
    project.harness("run", "m.toml")
    assert names(json.loads(project.harness("gc", "--keep", "0", "--json")), "removed")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of one model, whose builder fails unless the model's folder is locked."""
    monkeypatch.setenv("HARNESS_BUILDER_PYTHON", sys.executable)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    own = tmp_path / "builder"
    own.mkdir()
    (own / "build.py").write_text(BUILDER)
    (own / "builder.txt").write_text("pytest==8\n")
    (own / "model.toml").write_text("")
    return CheckpointStore(tmp_path / "checkpoints", own, {"model": read_definition(own / "model.toml")}, "tiny")


def test_checkpoints_of_a_bundle_are_in_use_while_they_are_built(store, tmp_path):
    (tmp_path / "cache").mkdir()
    copy_checkpoints(store, ["model"], CacheDir(tmp_path / "cache"), tmp_path / "bundle", print)
    assert [path.name for path in (tmp_path / "bundle" / "checkpoints").iterdir()] == [store.folder("model").name]
    assert not in_use(store.folder("model"))


def test_named_checkpoints_are_in_use_while_they_are_built(store, monkeypatch):
    monkeypatch.setattr(checkpoint, "open_store", lambda *_: store)
    assert main(["checkpoint", "build", "model"]) == 0
    assert not in_use(store.folder("model"))


def test_a_second_driver_is_refused_and_changes_nothing(project, running):
    before = project.run.record_file.read_bytes()
    with (project.folder / "m.toml").open("a") as matrix:
        matrix.write('[pins]\niniconfig = "2"\n')
    name = project.run.path.name
    for words in (("--only-missing", "m.toml"), ("--resume", name, "--repeat", "5"), ("--retry-failed", name)):
        assert "in use: another harness process runs in it" in project.harness("run", *words, code=2)
        assert project.run.record_file.read_bytes() == before
    project.kill(running)


def test_a_matrix_is_resumed_though_a_run_ends_with_its_name(project):
    project.write_scenarios("def test_passes(): pass\n")
    project.harness("run", "m.toml", "--jobs", "1")
    resumed = project.run.path.name
    (project.folder / "reports" / "run-of-m").mkdir()
    merged = json.loads(project.run.record_file.read_text()) | {"kind": "merged"}
    (project.folder / "reports" / "run-of-m" / "run.json").write_text(json.dumps(merged))
    assert resumed in project.harness("run", "--resume", "m", "--json")
