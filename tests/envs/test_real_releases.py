"""Lock and build real releases: commits, working copies, base interpreters, a dead index, and the stack itself."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from harness.envs import pip_config
from harness.envs.build import build
from harness.envs.lock import Unsolvable, resolve_cells
from harness.envs.pip_config import UvSettings
from harness.matrix.cell import Cell, Pin

pytestmark = pytest.mark.integration
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
ROOT = Path(__file__).parents[2]
NOWHERE = UvSettings(env=(("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple"), ("UV_HTTP_RETRIES", "0")))


def pins(*requirements):
    return tuple(Pin(one.split("==")[0], one.split("==")[1], one) for one in requirements)


def lock_one(cell, cache, **settings):
    return resolve_cells([cell], cache=cache, jobs=1, **settings)[cell.id]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return lock_one(Cell(PYTHON, pins("six==1.17.0")), tmp_path_factory.mktemp("locks"))


def test_cells_are_solved_each_for_itself(tmp_path):
    good = Cell(PYTHON, pins("six==1.17.0"))
    twin = replace(good, variables=(("A", "1"),))
    bad = Cell(PYTHON, pins("six==99.0"))
    wrong = replace(good, as_of="yesterday")
    found = resolve_cells([good, twin, bad, wrong], cache=tmp_path, jobs=2)
    assert found[good.id] == found[twin.id]
    assert found[bad.id].sentence.startswith("Because there is no version of six==99.0")
    assert not found[bad.id].network
    assert "as_of = 'yesterday'" in found[wrong.id].sentence
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_a_dead_index_is_a_network_failure_and_an_old_resolution_helps(tmp_path):
    cell = Cell(PYTHON, pins("six==1.17.0"))
    refused = lock_one(cell, tmp_path, uv_settings=NOWHERE)
    assert refused.network
    assert "127.0.0.1" in refused.sentence
    assert list(tmp_path.iterdir()) == []
    lock = lock_one(cell, tmp_path)
    [file] = tmp_path.glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"asked": 0.0}))
    assert offline_hash(tmp_path) == lock.hash


def offline_hash(cache):
    script = f"""
        from pathlib import Path
        from harness.envs.lock import resolve_cells
        from harness.matrix.cell import Cell, Pin
        cell = Cell({PYTHON!r}, (Pin("six", "1.17.0", "six==1.17.0"),))
        print(resolve_cells([cell], cache=Path({str(cache)!r}), jobs=1)[cell.id].hash)
    """
    env = {**os.environ, "UV_OFFLINE": "1", "UV_CACHE_DIR": str(cache / "empty"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_two_processes_build_one_lock_once(small, tmp_path):
    script = f"""
        from pathlib import Path
        from harness.envs.build import build
        from harness.envs.lock import read_lock
        text = Path({str(tmp_path / "lock.txt")!r}).read_text()
        root = Path({str(tmp_path / "envs")!r})
        print(build(read_lock(text, {PYTHON!r}, None, "here"), root, root.parent / "install.log").reused)
    """
    (tmp_path / "lock.txt").write_text(small.text)
    command = [sys.executable, "-c", textwrap.dedent(script)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = sorted(process.communicate(timeout=300)[0].strip() for process in both)
    assert printed == ["False", "True"]


@pytest.fixture
def project(tmp_path):
    """A small package that needs one of the index and, in some tests, one that no index has."""
    folder = tmp_path / "project"
    (folder / "harness_mine").mkdir(parents=True)
    (folder / "harness_mine" / "__init__.py").write_text("X = 1\n")
    write_project(folder, "six")
    return folder


def write_project(folder, *needs):
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
        f"[project]\nname = 'harness-mine'\nversion = '1.2.3'\ndependencies = {list(needs)}\n"
    )


def test_a_working_copy_is_built_as_it_is_now(project, tmp_path):
    cell = Cell(PYTHON, (Pin("harness-mine", "path:project", f"harness-mine @ {project.as_uri()}"),))
    first = lock_one(cell, tmp_path / "locks")
    (project / "harness_mine" / "__init__.py").write_text("X = 2\n")
    second = lock_one(cell, tmp_path / "locks")
    assert first.hash != second.hash
    environment = build(second, tmp_path / "envs", tmp_path / "install.log")
    assert say(environment.python, "import harness_mine; print(harness_mine.X)") == "2"
    assert say(environment.python, "import six; print(six.__name__)") == "six"


def test_a_commit_is_built_together_with_packages_with_hashes(project, tmp_path):
    git = ["git", "-C", str(project), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    (project / "harness_mine" / "__init__.py").write_text("X = 'not committed'\n")
    pin = Pin("harness-mine", f"dev@{commit[:8]}", f"harness-mine @ git+{project.as_uri()}@{commit}")
    lock = lock_one(Cell(PYTHON, (pin,)), tmp_path / "locks")
    assert commit in lock.packages["harness-mine"]
    environment = build(lock, tmp_path / "envs", tmp_path / "install.log")
    assert say(environment.python, "import harness_mine; print(harness_mine.X)") == "1"


@pytest.fixture
def base(tmp_path):
    """An interpreter with six 1.16.0, and with a package of its own that no index has."""
    lock = lock_one(Cell(PYTHON, pins("six==1.16.0")), tmp_path / "locks")
    python = build(lock, tmp_path / "bases", tmp_path / "base.log").python
    site = Path(say(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    (site / "harness_nowhere.py").write_text("WHERE = 'base'\n")
    info = site / "harness_nowhere-2.11.0+cu130.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harness-nowhere\nVersion: 2.11.0+cu130\n")
    return str(python)


def say(python, code):
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def installed(package, version):
    return Pin(package, f"installed@{version}", f"{package}=={version}", installed=True)


def test_a_base_package_that_no_index_has(base, project, tmp_path):
    write_project(project, "harness-nowhere>=2")
    mine = Pin("harness-mine", "path:project", f"harness-mine @ {project.as_uri()}")
    cell = Cell(PYTHON, (installed("harness-nowhere", "2.11.0+cu130"), mine), base_python=base)
    lock = lock_one(cell, tmp_path / "locks")
    assert lock.packages["harness-nowhere"] == "2.11.0+cu130"
    environment = build(lock, tmp_path / "envs", tmp_path / "install.log")
    assert say(environment.python, "import harness_mine, harness_nowhere as n; print(n.WHERE)") == "base"


def test_a_base_package_that_is_too_old_makes_a_cell_unsolvable(base, project, tmp_path):
    write_project(project, "harness-nowhere>=3")
    mine = Pin("harness-mine", "path:project", f"harness-mine @ {project.as_uri()}")
    cell = Cell(PYTHON, (installed("harness-nowhere", "2.11.0+cu130"), mine), base_python=base)
    found = lock_one(cell, tmp_path / "locks")
    assert isinstance(found, Unsolvable)
    assert "harness-nowhere>=3 and harness-nowhere==2.11.0+cu130" in found.sentence


STACK = ("accelerate==1.13.0", "bitsandbytes==0.49.2", "peft==0.19.1")


def offers_cpu_torch():
    """Tell whether the user's find-links hold a CPU build of this torch."""
    folders = [Path(place) for place in pip_config.read_uv_settings().args if not place.startswith("--")]
    return any(list(folder.glob("torch-2.13.0+cpu-*.whl")) for folder in folders)


def test_the_stack_is_locked_with_the_users_own_torch(tmp_path):
    lock = lock_one(Cell(PYTHON, pins("transformers==4.57.6", "torch==2.13.0", *STACK)), tmp_path)
    assert lock.packages["torch"] == ("2.13.0+cpu" if offers_cpu_torch() else "2.13.0")
    assert any(name.startswith("nvidia-") for name in lock.packages) != offers_cpu_torch()
    assert lock.packages["transformers"] == "4.57.6"
    assert lock.packages["huggingface-hub"].startswith("0.")


@pytest.mark.skipif(not offers_cpu_torch(), reason="needs a CPU build of torch in find-links: the CUDA one is 3 GB")
def test_cells_share_the_torch_of_their_base(tmp_path):
    torch = lock_one(Cell(PYTHON, pins("torch==2.13.0")), tmp_path / "locks")
    base = str(build(torch, tmp_path / "bases", tmp_path / "base.log").python)
    cell = Cell(PYTHON, (installed("torch", "2.13.0+cpu"), *pins("accelerate==1.13.0")), base_python=base)
    lock = lock_one(cell, tmp_path / "locks")
    assert lock.packages["torch"] == "2.13.0+cpu"
    environment = build(lock, tmp_path / "envs", tmp_path / "install.log")
    where = say(environment.python, "import accelerate, torch; print(torch.__version__, torch.__file__)")
    assert where.startswith(f"2.13.0+cpu {tmp_path / 'bases'}")
