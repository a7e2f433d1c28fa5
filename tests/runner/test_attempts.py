"""Every way an attempt can end, in both isolations."""

import os
import re
import signal
import threading
import time

import psutil
import pytest

from harness.store.events import digest
from harness.store.journal import read

NEVER = threading.Event()


def events_of(request):
    return digest(read(request.folder / "events.jsonl"))


def test_a_pass_leaves_report_events_and_output(launcher, hostile):
    request = hostile("test_passes")
    finished = launcher.run(request, NEVER)
    events = events_of(request)
    assert (finished.exit.code, finished.exit.signal, finished.isolation) == (0, None, launcher.isolation)
    assert events.passed
    assert events.finished
    assert events.figures["x.bytes"] == 64 * 1024 * 1024
    assert events.notes == {"note": "text"}
    assert (request.folder / "report.json").exists()
    assert "1 passed" in (request.folder / "output.log").read_text()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="host figures are read from /proc")
def test_host_memory_of_a_phase_is_its_own(launcher, hostile):
    request = hostile("test_passes")
    launcher.run(request, NEVER)
    figures = events_of(request).figures
    block = 64 * 1024 * 1024
    assert block <= figures["host_anon_added.load"] <= 1.2 * block
    assert figures["host_anon_peak.load"] >= figures["host_anon.load"]


def test_a_hang_is_killed_at_its_deadline_and_leaves_its_phase(launcher, hostile):
    request = hostile("test_hangs", timeout=5.0)
    finished = launcher.run(request, NEVER)
    assert finished.exit.timed_out
    assert finished.exit.signal == signal.SIGKILL
    assert 5.0 <= finished.seconds < 20.0
    assert events_of(request).open_phase["phase"] == "load"


@pytest.mark.parametrize("name", ["test_hangs_with_children", "test_leaves_a_child_behind"])
def test_nothing_of_the_process_group_survives(launcher, hostile, name):
    request = hostile(name, timeout=5.0)
    launcher.run(request, NEVER)
    child = int(re.search(r"grandchild (\d+)", (request.folder / "output.log").read_text()).group(1))
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the grandchild is still running"
        time.sleep(0.05)


def test_sigterm_is_not_asked_for(launcher, hostile):
    assert launcher.run(hostile("test_ignores_sigterm", timeout=5.0), NEVER).exit.timed_out


@pytest.mark.parametrize(
    ("name", "number"),
    [("test_segfaults", signal.SIGSEGV), ("test_aborts", signal.SIGABRT), ("test_killed", signal.SIGKILL)],
)
def test_a_signal_is_reported_as_such(launcher, hostile, name, number):
    ended = launcher.run(hostile(name), NEVER).exit
    assert (ended.code, ended.signal, ended.timed_out, ended.host_oom) == (None, number, False, False)


@pytest.mark.parametrize(
    ("name", "code"), [("test_exits_without_a_report", 3), ("test_exits_green_without_a_report", 0)]
)
def test_an_exit_without_a_report_leaves_no_report(launcher, hostile, name, code):
    request = hostile(name)
    assert launcher.run(request, NEVER).exit.code == code
    assert not (request.folder / "report.json").exists()
    assert not events_of(request).finished


def test_output_is_capped_and_keeps_both_ends(launcher, hostile):
    request = hostile("test_prints_megabytes")
    launcher.run(request, NEVER)
    text = (request.folder / "output.log").read_text()
    assert len(text) < 3 * 1024 * 1024
    assert "the beginning" in text
    assert "the end" in text
    assert "bytes left out" in text


def test_cancel_ends_the_attempt_as_interrupted(launcher, hostile):
    cancel = threading.Event()
    threading.Timer(4.0, cancel.set).start()
    ended = launcher.run(hostile("test_hangs"), cancel).exit
    assert ended.interrupted
    assert not ended.timed_out


def test_the_launcher_goes_on_after_a_crash(launcher, hostile):
    launcher.run(hostile("test_segfaults"), NEVER)
    assert launcher.run(hostile("test_passes"), NEVER).exit.code == 0
