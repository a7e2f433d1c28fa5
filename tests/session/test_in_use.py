"""What a running harness uses is not removed by ``gc`` in another process; real processes of both."""

import json
import os
import sys
import threading

import pytest

from harness.cli import checkpoint
from harness.cli.main import main
from harness.envs.cache_dir import CacheDir
from harness.envs.disk_usage import CacheEntry, remove
from harness.envs.usage_locks import UsageLocks, exclusive, in_use
from harness.errors import InfrastructureError
from harness.session.bundle import copy_checkpoints
from harness.session.checkpoints import CheckpointStore, read_definition

HANGS = (
    "import pathlib, time\ndef test_hangs():\n    pathlib.Path({mark!r}).write_text('here\\n')\n    time.sleep(120)\n"
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
            raise SystemExit("nobody holds it")
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="nothing is held on Windows, which is untested")


@pytest.fixture
def running(desk):
    """Run both cells at once until their attempts have begun; an environment of nobody lies beside theirs."""
    desk.plant(HANGS.format(mark=str(desk.folder / "begun")))
    process = desk.start("run", "m.toml", "--jobs", "1")
    desk.wait_for("begun")
    other = desk.folder / "cache" / "envs" / "nobody"
    other.mkdir()
    (other / "stamp.json").write_text("{}")
    return process


def names(rows, fate):
    return {row["path"].rpartition("/")[2] for row in rows if "/envs/" in row["path"] and row[fate]}


def test_what_attempts_run_in_stays_and_goes_once_the_run_is_over(desk, running):
    locks = {cell.lock for cell in desk.run.read_record().cells}
    assert len(locks) == 2
    rows = json.loads(desk.harness("gc", "--keep", "0", "--json"))
    assert names(rows, "in_use") == locks
    assert names(rows, "removed") == {"nobody"}
    assert all((desk.folder / "cache" / "envs" / lock / "stamp.json").exists() for lock in locks)
    said = desk.harness("gc", "--older-than", "0h")
    assert said.count("in use") == 2
    desk.kill(running)
    rows = json.loads(desk.harness("gc", "--keep", "0", "--json"))
    assert names(rows, "in_use") == set()
    assert names(rows, "removed") == locks
    assert not any((desk.folder / "cache" / "envs" / lock).exists() for lock in locks)


def test_a_run_that_has_ended_holds_nothing(desk):
    desk.plant("def test_passes(): pass\n")
    desk.harness("run", "m.toml")
    assert names(json.loads(desk.harness("gc", "--keep", "0", "--json")), "removed")


def test_many_may_hold_and_the_last_one_frees(tmp_path):
    folder = tmp_path / "thing"
    folder.mkdir()
    assert not in_use(folder)
    with UsageLocks() as one:
        one.acquire(folder)
        with UsageLocks() as other:
            other.acquire(folder)
            assert in_use(folder)
        assert in_use(folder)
        with pytest.raises(InfrastructureError, match="thing is in use by another process and was not removed"):
            remove(CacheEntry(folder, 0, 0.0))
        assert folder.is_dir()
    assert not in_use(folder)
    remove(CacheEntry(folder, 0, 0.0))
    assert not folder.exists()


def test_threads_that_take_one_thing_at_once_hold_it_once(tmp_path):
    start = threading.Barrier(16)
    for number in range(20):
        with UsageLocks() as usage_locks:
            folder = tmp_path / str(number)
            folder.mkdir()

            def take(usage_locks=usage_locks, folder=folder):
                start.wait()
                usage_locks.acquire(folder)

            threads = [threading.Thread(target=take) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert in_use(folder)
        assert not in_use(folder)


def test_what_another_user_has_held_before_can_be_held_too(tmp_path, monkeypatch):
    with UsageLocks() as one:
        one.acquire(tmp_path / "thing")
    opened = os.open

    def refused(path, flags, *mode):
        if flags & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(path)
        return opened(path, flags, *mode)

    with UsageLocks() as other:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refused)
            other.acquire(tmp_path / "thing")
        assert in_use(tmp_path / "thing")


def test_who_removes_is_alone(tmp_path):
    with exclusive(tmp_path / "thing") as first, exclusive(tmp_path / "thing") as second:
        assert (first, second) == (True, False)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return a store of one model, whose builder insists that the model's folder is held."""
    monkeypatch.setenv("HARNESS_BUILDER_PYTHON", sys.executable)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    own = tmp_path / "builder"
    own.mkdir()
    (own / "build.py").write_text(BUILDER)
    (own / "builder.txt").write_text("pytest==8\n")
    (own / "model.toml").write_text("")
    return CheckpointStore(tmp_path / "checkpoints", own, {"model": read_definition(own / "model.toml")}, "tiny")


def test_what_is_packed_into_a_bundle_is_held(store, tmp_path):
    (tmp_path / "cache").mkdir()
    copy_checkpoints(store, ["model"], CacheDir(tmp_path / "cache"), tmp_path / "bundle", print)
    assert [path.name for path in (tmp_path / "bundle" / "checkpoints").iterdir()] == [store.folder("model").name]
    assert not in_use(store.folder("model"))


def test_what_is_built_by_name_is_held(store, monkeypatch):
    monkeypatch.setattr(checkpoint, "open_store", lambda *_: store)
    assert main(["checkpoint", "build", "model"]) == 0
    assert not in_use(store.folder("model"))
