"""A killed harness leaves no processes, except those that a scenario detached."""

import os
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import psutil
import pytest

from harness.envs import build as build_module
from harness.envs.build import InstallFailed, build
from harness.envs.lock import read_lock
from harness.session import checkpoint_builder

SECONDS = 10.0
HANGS = """
import os, pathlib, subprocess, sys, time
SLEEP = [sys.executable, "-c", "import time; time.sleep(120)"]

def test_hangs():
    child, daemon = subprocess.Popen(SLEEP), subprocess.Popen(SLEEP, start_new_session=True)
    pathlib.Path({mark!r}).write_text(f"{{os.getpid()}} {{child.pid}} {{daemon.pid}}\\n")
    time.sleep(120)
"""
IMPORTS = "import os, pathlib, time\npathlib.Path({mark!r}).write_text(f'{{os.getpid()}}\\n')\ntime.sleep(120)\n"
STARTS = """
import os, pathlib, sys, threading
from harness.runner.fork_server import ForkLauncher
server = ForkLauncher(pathlib.Path(sys.executable), dict(os.environ), pathlib.Path(sys.argv[1], "server"))
server.prepare(["slow_import"], [], threading.Event())
"""
INSTALLS = """
import pathlib, sys, sysconfig
from harness.envs.build import build
from harness.envs.lock import read_lock
folder, version = pathlib.Path(sys.argv[1]), ".".join(map(str, sys.version_info[:2]))
build(read_lock(sys.argv[2], version, None, sysconfig.get_platform()), folder / "envs", folder / "install.log")
"""
BUILDS = """
import pathlib, sys
from harness.session.checkpoint_builder import run_builder
folder = pathlib.Path(sys.argv[1])
run_builder([sys.executable, str(folder / "build.py")], [], folder / "build.log", print)
"""
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes end differently on Windows, which is untested")


def alive(pid):
    """Return whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ended(pids):
    deadline = time.monotonic() + SECONDS
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [pid for pid in pids if alive(pid)]


def descendants(process):
    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
def test_only_detached_processes_are_left(project, isolation):
    project.write_scenarios(HANGS.format(mark=str(project.folder / "pids")))
    process = project.start("run", "m.toml", "--jobs", "1", "--isolation", isolation)
    attempt, child, daemon = map(int, project.wait_for("pids").split())
    family = descendants(process)
    assert {attempt, child, daemon} <= set(family)
    try:
        project.kill(process)
        assert ended([pid for pid in family if pid != daemon]) == []
        assert alive(daemon)
    finally:
        psutil.Process(daemon).kill()


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
def test_an_attempt_ends_with_its_parent_and_that_with_the_harness(project, isolation):
    project.write_scenarios(HANGS.format(mark=str(project.folder / "pids")))
    process = project.start("run", "m.toml", "--jobs", "1", "--isolation", isolation)
    attempt, child, daemon = map(int, project.wait_for("pids").split())
    server = psutil.Process(attempt).parent()
    assert server.pid != process.pid
    try:
        process.kill()
        server.kill()
        project.kill(process)
        left = ended([attempt]) if sys.platform == "linux" else []
        assert left == []
    finally:
        for pid in (child, daemon):
            psutil.Process(pid).kill()


def test_a_server_that_still_imports_ends_too(project):
    (project.folder / "slow_import.py").write_text(IMPORTS.format(mark=str(project.folder / "pids")))
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(project.folder)])}
    process = subprocess.Popen([sys.executable, "-c", STARTS, str(project.folder)], env=variables)
    (server,) = map(int, project.wait_for("pids").split())
    process.kill()
    process.wait()
    assert ended([server]) == []


def test_an_installer_that_waits_for_the_index_ends_too(project):
    with socket.create_server(("127.0.0.1", 0)) as index:
        wheel = f"six @ http://127.0.0.1:{index.getsockname()[1]}/six-1.17.0-py2.py3-none-any.whl"
        process = subprocess.Popen([sys.executable, "-c", INSTALLS, str(project.folder), wheel], env=ENVIRONMENT)
        index.settimeout(SECONDS * 3)
        with index.accept()[0]:  # the index never answers
            family = descendants(process)
            assert any("uv" in psutil.Process(pid).name() for pid in family)
            process.kill()
            process.wait()
            assert ended(family) == []


def test_a_builder_of_checkpoints_ends_too(project):
    (project.folder / "build.py").write_text(IMPORTS.format(mark=str(project.folder / "pids")))
    process = subprocess.Popen([sys.executable, "-c", BUILDS, str(project.folder)], env=ENVIRONMENT)
    (builder,) = map(int, project.wait_for("pids").split())
    process.kill()
    process.wait()
    assert ended([builder]) == []


ASKS = """
import sys
def build_wheel(*_, **__):
    raise SystemExit(f"the answer was {sys.stdin.read()!r}")
"""
BACKEND = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def test_an_installer_that_reads_standard_input_gets_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "BUILD_SECONDS", SECONDS * 3)
    package = tmp_path / "own"
    package.mkdir()
    (package / "pyproject.toml").write_text(BACKEND)
    (package / "backend.py").write_text(ASKS)
    version = ".".join(map(str, sys.version_info[:2]))
    lock = read_lock(f"own @ {package.as_uri()}", version, None, sysconfig.get_platform())
    with pytest.raises(InstallFailed, match="the answer was ''"):
        build(lock, tmp_path / "envs", tmp_path / "install.log")


def test_a_builder_of_checkpoints_that_reads_standard_input_gets_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_builder, "BUILD_SECONDS", SECONDS)
    (tmp_path / "build.py").write_text("import sys\nprint(f'x: {sys.stdin.read()!r}')\n")
    lines = []
    checkpoint_builder.run_builder(
        [sys.executable, str(tmp_path / "build.py")], ["x"], tmp_path / "build.log", lines.append
    )
    assert lines == ["x: ''"]
