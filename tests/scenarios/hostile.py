"""Scenarios that misbehave in every way the runner must survive."""

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from harness.probe import scenario


def test_passes(probe):
    with probe.phase("load"):
        block = bytearray(64 * 1024 * 1024)
    probe.record("bytes", len(block))
    probe.record("note", "text")
    assert probe.expect("the block is there", len(block) > 0)


def test_hangs(probe):
    with probe.phase("load"):
        time.sleep(600)


def test_hangs_with_children(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (tmp_path / "unused").write_text("")
    print(f"grandchild {child.pid}", flush=True)
    time.sleep(600)


def test_leaves_a_child_behind():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"grandchild {child.pid}", flush=True)


def test_segfaults():
    ctypes.string_at(0)


def test_aborts():
    os.abort()


def test_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_exits_without_a_report():
    os._exit(3)


def test_exits_green_without_a_report():
    os._exit(0)


def test_out_of_memory():
    raise MemoryError


def test_prints_megabytes():
    line = "x" * 1023 + "\n"
    print("the beginning")
    for _ in range(12 * 1024):
        sys.stdout.write(line)
    print("the end")


def test_script_is_wrong():
    undefined_name  # noqa: B018, F821


def test_import_fails():
    import a_package_that_is_not_there  # noqa: F401


def test_assertion():
    assert 1 + 1 == 3


def test_expectations_go_on(probe):
    probe.expect("first holds", True)
    probe.expect("second breaks", False, "because")
    probe.expect("third breaks", False)


def test_ignores_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


@scenario(row="A1", tracker="example/example#1", needs=["cuda:99"])
def test_needs_many_gpus():
    """Needs more GPUs than anybody has."""
    raise AssertionError("never reached")


@scenario(needs=["pytest>=9999"])
def test_needs_a_newer_package():
    raise AssertionError("never reached")


@scenario(checkpoints=["declared"])
def test_asks_for_an_undeclared_checkpoint(checkpoint):
    checkpoint("something-else")


def test_plain_skip():
    pytest.skip("not today")


@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(number):
    assert number
