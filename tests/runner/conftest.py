"""Launchers in this interpreter: pytest and pytest-json-report are here, so it can play a cell."""

import sys
import threading
from pathlib import Path

import pytest

from harness.runner.isolation import Isolation, open_launcher
from harness.runner.probe_path import probe_path
from harness.runner.process import Request, environment

HOSTILE = Path(__file__).parents[1] / "scenarios" / "hostile.py"


@pytest.fixture(scope="session")
def probe_folder(tmp_path_factory):
    return probe_path(tmp_path_factory.mktemp("probe"))


@pytest.fixture(params=["fork", "spawn"])
def launcher(request, tmp_path, probe_folder):
    opened = open_launcher(
        Path(sys.executable),
        environment(probe_folder, {}),
        tmp_path / "server",
        wanted=Isolation(request.param),
        preload=["pytest"],
        never=["bitsandbytes"],
        cancel=threading.Event(),
    )
    assert opened.launcher.isolation == request.param, opened.fallback
    yield opened.launcher
    opened.launcher.close()


@pytest.fixture
def hostile(tmp_path):
    """Return a function: test name → request for it."""

    def make(name: str, timeout: float = 60.0) -> Request:
        return Request("run", tmp_path / name, str(HOSTILE.parent), timeout, nodeid=f"{HOSTILE}::{name}")

    return make
