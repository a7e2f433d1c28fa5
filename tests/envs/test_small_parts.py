import os
import sys
import time

import pytest
from filelock import FileLock
from packaging.requirements import Requirement

from harness.envs import lock
from harness.envs.build import LAST_USED, STAMP, borrow_bytecode, split, usable, write_stamp
from harness.envs.cache_dir import CacheDir
from harness.envs.disk_usage import env_size, list_environments, list_locks, list_repositories, remove
from harness.envs.interpreters import Interpreter, find_interpreter, fits, unmet
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.base import BaseInterpreter, BasePackage, InterpreterMissing

HERE = Interpreter(path=sys.executable, version="3.11.7")


def make_environment(root, name, used=0.0):
    python = root / name / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("an interpreter")
    write_stamp(root / name, name, HERE, python)
    (root / name / LAST_USED).touch()
    os.utime(root / name / LAST_USED, (used, used))
    return root / name


def test_the_cache_is_where_the_variable_says(tmp_path):
    cache_dir = CacheDir.of_user({"HARNESS_CACHE": str(tmp_path)})
    assert cache_dir.envs == tmp_path / "envs"
    assert CacheDir.of_user({}).root.name == "hf-regression-matrix"


def test_a_stamp_counts_only_for_its_lock_python_and_builder(tmp_path, monkeypatch):
    folder = make_environment(tmp_path, "abc")
    assert usable(folder, "abc", HERE) == folder / "env" / "bin" / "python"
    assert usable(folder, "other", HERE) is None
    assert usable(folder, "abc", Interpreter(HERE.path, "3.11.8")) is None
    monkeypatch.setattr("harness.envs.build.BUILDER_VERSION", 999)
    assert usable(folder, "abc", HERE) is None


def test_no_stamp_a_torn_stamp_and_a_lost_interpreter_are_no_environment(tmp_path):
    folder = make_environment(tmp_path, "abc")
    text = (folder / STAMP).read_text()
    (folder / STAMP).write_text(text[:20])
    assert usable(folder, "abc", HERE) is None
    (folder / STAMP).unlink()
    assert usable(folder, "abc", HERE) is None
    (folder / STAMP).write_text(text)
    (folder / "env" / "bin" / "python").unlink()
    assert usable(folder, "abc", HERE) is None


def test_a_cached_resolution_is_fresh_for_a_day_and_for_ever_with_as_of(tmp_path):
    path = tmp_path / "one.json"
    lock.save_answer(path, "six==1.17.0\n", None)
    entry = lock.load_answer(path)
    assert entry.text == "six==1.17.0\n"
    assert entry.fresh(forever=False)
    old = entry.model_copy(update={"created": time.time() - lock.LIFETIME - 1})
    assert not old.fresh(forever=False)
    assert old.fresh(forever=True)


def test_a_torn_resolution_is_no_resolution(tmp_path):
    (tmp_path / "one.json").write_text('{"text": "six==')
    assert lock.load_answer(tmp_path / "one.json") is None
    assert lock.load_answer(tmp_path / "two.json") is None


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
    lock.save_answer(tmp_path / "one.json", "x", None)
    stored = list_locks(tmp_path)[0]
    assert stored.size > 0
    remove(stored)
    assert list_locks(tmp_path) == []


def test_bytecode_is_borrowed_only_for_the_same_file(tmp_path):
    one, two = make_environment(tmp_path, "one"), make_environment(tmp_path, "two")
    for name in ("shared", "equal"):
        (one / f"{name}.py").write_text("x = 1\n")
        (one / "__pycache__").mkdir(exist_ok=True)
        (one / "__pycache__" / f"{name}.cpython-311.pyc").write_bytes(b"compiled")
    os.link(one / "shared.py", two / "shared.py")
    (two / "equal.py").write_text("x = 2\n")  # same size and, to the second, same time: a .pyc could not tell
    assert borrow_bytecode(two) == 1
    assert [path.name for path in (two / "__pycache__").iterdir()] == ["shared.cpython-311.pyc"]
    assert borrow_bytecode(two) == 0


def test_a_lock_is_split_where_installers_need_it():
    text = "# base: a==1\nb==1 \\\n    --hash=sha256:00\nc @ git+https://example.org/c@0123\n"
    assert split(text) == ("b==1 \\\n    --hash=sha256:00\n", "c @ git+https://example.org/c@0123\n")


def package(name, version, *requires):
    return BasePackage(name, version, tuple(Requirement(text) for text in requires))


def base_of(*packages):
    return BaseInterpreter("/base/python", "3.11.7", {one.name: one for one in packages})


def test_a_layer_is_a_package_and_all_it_needs():
    packages = [package("torch", "2.11.0+cu130", "sympy>=1"), package("sympy", "1.13", "mpmath"), package("pip", "25")]
    base = base_of(*packages)
    assert base.layer(["torch"]) == {"sympy": "1.13", "torch": "2.11.0+cu130"}
    with pytest.raises(ConfigError, match="numpy"):
        base.layer(["numpy"])


def test_a_base_that_is_too_old_is_named():
    child = base_of(package("user", "1", "torch>=2.11", "six"))
    assert unmet(child, {"torch": "2.11.0+cu130"}) == []
    assert unmet(child, {"torch": "2.10.0"}) == ["user needs torch>=2.11, the base has 2.10.0"]


def test_versions_of_python_are_compared_by_their_parts():
    assert fits("3.11.7", "3.11")
    assert fits("3.11.7", "3.11.7")
    assert not fits("3.11.7", "3.1")
    assert not fits("3.11.17", "3.11.1")


def test_a_missing_interpreter_is_an_error_with_the_way_out():
    with pytest.raises(InterpreterMissing, match=r"uv python install 3\.99"):
        find_interpreter("3.99")
    with pytest.raises(InterpreterMissing, match="does not start"):
        find_interpreter("3.11", "/no/such/python")


def test_copies_of_repositories_are_listed_and_a_broken_off_clone_is_half_built(tmp_path):
    for name in ("0123abcd", "cloning-xyz"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "HEAD").write_text("ref: refs/heads/main\n")
    found = {one.path.name: one for one in list_repositories(tmp_path)}
    assert {name: one.whole for name, one in found.items()} == {"0123abcd": True, "cloning-xyz": False}
    remove(found["0123abcd"])
    assert [one.path.name for one in list_repositories(tmp_path)] == ["cloning-xyz"]
