"""Real locks and real environments of small packages: built once, reused by their stamp, never half-built."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.envs.build import STAMP, InstallFailed, build
from harness.envs.cache_dir import CacheDir
from harness.envs.disk_usage import env_size, list_cache, remove
from harness.envs.lock import Lock, Unsolvable, resolve_cells
from harness.matrix.cell import Cell, Pin

pytestmark = pytest.mark.integration

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ROOT = Path(__file__).parents[2]


def cell(*requirements, **facts):
    pins = tuple(
        Pin(name, version, f"{name}=={version}") for name, version in (one.split("==") for one in requirements)
    )
    return Cell(python=PYTHON, pins=pins, axes=tuple(pin.package for pin in pins), **facts)


@pytest.fixture(scope="module")
def lock(tmp_path_factory):
    wanted = cell("six==1.16.0")
    found = resolve_cells([wanted], cache=tmp_path_factory.mktemp("locks"), jobs=1)[wanted.id]
    assert isinstance(found, Lock), found
    return found


def six_of(environment):
    command = [str(environment.python), "-c", "import six, sys; print(six.__version__, sys.prefix != sys.base_prefix)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_lock_has_hashes_and_everything_that_the_probe_needs(lock):
    assert "--hash=sha256:" in lock.text
    assert {"six", "pytest", "pytest-json-report", "pluggy"} <= lock.packages.keys()
    assert lock.packages["six"] == "1.16.0"


def test_the_same_cell_has_the_same_lock_from_the_cache(tmp_path):
    wanted = cell("six==1.16.0")
    first, second = (resolve_cells([wanted], cache=tmp_path, jobs=1)[wanted.id] for _ in range(2))
    assert first == second
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_what_is_not_pinned_is_resolved_as_of_a_day_and_pins_stay(tmp_path):
    then = cell("packaging==25.0", as_of="2024-06-01")
    found = resolve_cells([then], cache=tmp_path, jobs=1)[then.id]
    assert found.packages["packaging"] == "25.0", "released in 2025, and pinned"
    assert found.packages["pytest"].startswith("8.2"), "the newest of that day"


def test_an_unsolvable_cell_spoils_no_other(tmp_path):
    good, bad = cell("six==1.16.0"), cell("transformers==5.2.0", "huggingface-hub==0.36.2")
    found = resolve_cells([good, bad], cache=tmp_path, jobs=2)
    assert isinstance(found[good.id], Lock)
    assert isinstance(found[bad.id], Unsolvable)
    assert "huggingface-hub" in found[bad.id].sentence
    assert not found[bad.id].network


def test_an_environment_is_built_then_reused_then_built_again_when_its_stamp_is_gone(lock, tmp_path):
    first = build(lock, tmp_path / "envs", tmp_path / "log")
    assert six_of(first) == ["1.16.0", "True"]
    again = build(lock, tmp_path / "envs", tmp_path / "log")
    assert (first.reused, again.reused) == (False, True)
    (first.folder / STAMP).unlink()
    (first.folder / "leftover").write_text("of a build that was killed")
    third = build(lock, tmp_path / "envs", tmp_path / "log")
    assert not third.reused
    assert not (third.folder / "leftover").exists()


def test_a_stamp_of_another_builder_does_not_count(lock, tmp_path):
    built = build(lock, tmp_path / "envs", tmp_path / "log")
    stamp = json.loads((built.folder / STAMP).read_text())
    (built.folder / STAMP).write_text(json.dumps({**stamp, "builder": -1}))
    assert not build(lock, tmp_path / "envs", tmp_path / "log").reused


def test_six_that_start_at_once_build_once(lock, tmp_path):
    with ThreadPoolExecutor(6) as pool:
        built = list(pool.map(lambda n: build(lock, tmp_path / "envs", tmp_path / f"log{n}"), range(6)))
    assert sorted(environment.reused for environment in built) == [False] + [True] * 5
    assert len({environment.python for environment in built}) == 1


def test_without_uv_virtualenv_builds_the_same(lock, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_VENV_BACKEND", "virtualenv")
    built = build(lock, tmp_path / "envs", tmp_path / "log")
    assert six_of(built) == ["1.16.0", "True"]


def test_a_wrong_hash_is_a_failed_install_with_its_log(lock, tmp_path):
    text = re.sub(r"sha256:([0-9a-f]{64})", lambda match: f"sha256:{match[1][::-1]}", lock.text)
    spoiled = Lock("spoiled", text, lock.packages, lock.python, lock.base)
    with pytest.raises(InstallFailed, match="log: "):
        build(spoiled, tmp_path / "envs", tmp_path / "log")
    assert "hash" in (tmp_path / "log").read_text().lower()
    assert not (tmp_path / "envs" / "spoiled" / STAMP).exists()


def test_environments_are_listed_with_their_size_and_removed(lock, tmp_path):
    built = build(lock, tmp_path / "envs", tmp_path / "log")
    (listed,) = list_cache(CacheDir(tmp_path))
    assert listed.whole
    assert listed.size == env_size(built.folder) > 0
    remove(listed)
    assert list_cache(CacheDir(tmp_path)) == []


def test_a_base_interpreters_package_is_used_and_not_installed_again(tmp_path):
    base = tmp_path / "base"
    subprocess.run([sys.executable, "-m", "venv", str(base)], check=True)
    python = base / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "six==1.15.0"], check=True, env=os.environ)
    pin = Pin("six", "installed@1.15.0", "six==1.15.0", installed=True)
    child = Cell(python=PYTHON, pins=(pin,), base_python=str(python))
    found = resolve_cells([child], cache=tmp_path / "locks", jobs=1)[child.id]
    assert isinstance(found, Lock), found
    built = build(found, tmp_path / "envs", tmp_path / "log")
    assert six_of(built)[0] == "1.15.0"
    where = "import six; print(six.__file__)"
    place = subprocess.run([str(built.python), "-c", where], capture_output=True, text=True, check=True).stdout
    assert place.startswith(str(base))
