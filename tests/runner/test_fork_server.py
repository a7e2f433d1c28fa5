"""What the fork server promises, and what happens when it cannot."""

import sys
import threading
from pathlib import Path

import pytest

from harness.runner.fork_server import ForkLauncher, NoCleanFork
from harness.runner.isolation import Isolation, open_launcher
from harness.runner.process import environment


def opened(probe_folder, tmp_path, **options):
    settings = {"preload": ["pytest"], "never": [], "cancel": threading.Event(), "wanted": Isolation.FORK} | options
    return open_launcher(Path(sys.executable), environment(probe_folder, {}), tmp_path / "server", **settings)


def test_a_first_module_that_breaks_the_promise_gives_fresh_interpreters_and_the_reason(probe_folder, tmp_path):
    found = opened(probe_folder, tmp_path, preload=["sqlite3", "pytest"], never=["sqlite3"])
    assert found.launcher.isolation == "spawn"
    assert found.fallback == "sqlite3 is imported"


def test_a_later_module_that_breaks_the_promise_is_left_to_the_attempts(probe_folder, tmp_path, hostile):
    found = opened(probe_folder, tmp_path, preload=["pytest", "sqlite3.dbapi2", "csv"], never=["sqlite3"])
    assert found.launcher.isolation == "fork"
    assert found.fallback == "sqlite3.dbapi2 is imported by each attempt instead: with it sqlite3 is imported"
    assert list(found.ready.seconds) == ["pytest", "csv"]
    assert found.launcher.run(hostile("test_passes"), threading.Event()).exit.code == 0
    found.launcher.close()


def test_a_second_thread_breaks_the_promise(probe_folder, tmp_path):
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    settings = environment(probe_folder, {})
    settings["PYTHONPATH"] += f":{tmp_path}"
    server = ForkLauncher(Path(sys.executable), settings, tmp_path / "server")
    with pytest.raises(NoCleanFork, match="2 threads are running: python"):
        server.prepare(["threaded"], [], threading.Event())
    server.close()


def test_a_failing_preload_is_reported_and_does_not_stop_the_server(probe_folder, tmp_path):
    found = opened(probe_folder, tmp_path, preload=["pytest", "a_package_that_is_not_there"])
    assert found.launcher.isolation == "fork"
    assert found.ready.failures["a_package_that_is_not_there"]["type"] == "ModuleNotFoundError"
    found.launcher.close()


def test_a_server_that_dies_in_an_import_gives_fresh_interpreters(probe_folder, tmp_path):
    (tmp_path / "deadly.py").write_text("import os\nos.abort()\n")
    settings = environment(probe_folder, {})
    settings["PYTHONPATH"] += f":{tmp_path}"
    found = open_launcher(
        Path(sys.executable),
        settings,
        tmp_path / "server",
        wanted=Isolation.FORK,
        preload=["deadly"],
        never=[],
        cancel=threading.Event(),
    )
    assert found.launcher.isolation == "spawn"
    assert "signal 6" in found.fallback


def test_a_server_lost_between_attempts_is_an_exit_with_a_note(probe_folder, tmp_path, hostile):
    found = opened(probe_folder, tmp_path)
    found.launcher._process.kill()
    found.launcher._process.wait()
    ended = found.launcher.run(hostile("test_passes"), threading.Event()).exit
    assert "the fork server is gone (signal 9)" in ended.note
    assert not found.launcher.alive
    found.launcher.close()
