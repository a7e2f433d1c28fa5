"""Sizes, listings and removals in the cache."""

import os
import sys

import pytest
from filelock import FileLock

from harness.envs.build import LAST_USED, STAMP, write_stamp
from harness.envs.disk_usage import env_size, list_environments, list_locks, list_repositories, remove
from harness.envs.interpreters import Interpreter
from harness.errors import InfrastructureError
from harness.matrix.answer_cache import AnswerCache

HERE = Interpreter(path=sys.executable, version="3.11.7")


def make_environment(root, name, used=0.0):
    python = root / name / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("an interpreter")
    write_stamp(root / name, name, HERE, python)
    (root / name / LAST_USED).touch()
    os.utime(root / name / LAST_USED, (used, used))
    return root / name


def test_linked_files_cost_nothing(tmp_path):
    cache, env = tmp_path / "cache", tmp_path / "env"
    cache.mkdir()
    env.mkdir()
    (cache / "big").write_bytes(b"x" * 1000)
    os.link(cache / "big", env / "big")
    (env / "own").write_bytes(b"y" * 10)
    assert env_size(env) == 10


def test_environments_are_listed_the_longest_unused_first_and_removed(tmp_path):
    newer, older = make_environment(tmp_path, "newer", 2000), make_environment(tmp_path, "older", 1000)
    (tmp_path / "half").mkdir()
    found = {stored.path.name: stored for stored in list_environments(tmp_path)}
    assert list(found)[:2] == ["older", "newer"]
    assert found["older"].whole
    assert not found["half"].whole
    remove(found["older"])
    assert newer.exists()
    assert not older.exists()


def test_an_environment_that_is_being_built_is_not_removed(tmp_path):
    folder = make_environment(tmp_path, "abc")
    with FileLock(f"{folder}.lock"), pytest.raises(InfrastructureError, match="in use"):
        remove(list_environments(tmp_path)[0])
    assert (folder / STAMP).exists()


def test_locks_are_listed_and_removed(tmp_path):
    AnswerCache(tmp_path).ask("one", lambda: "x")
    stored = list_locks(tmp_path)[0]
    assert stored.size > 0
    remove(stored)
    assert list_locks(tmp_path) == []


def test_copies_of_repositories_are_listed_and_a_broken_off_clone_is_half_built(tmp_path):
    for name in ("0123abcd", "cloning-xyz"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "HEAD").write_text("ref: refs/heads/main\n")
    found = {one.path.name: one for one in list_repositories(tmp_path)}
    assert {name: one.whole for name, one in found.items()} == {"0123abcd": True, "cloning-xyz": False}
    remove(found["0123abcd"])
    assert [one.path.name for one in list_repositories(tmp_path)] == ["cloning-xyz"]
