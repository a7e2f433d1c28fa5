"""The hook: what it is told, what it says, and how it failed."""

import time

import pytest

from harness.nightly.night import call_hook


def test_a_hook_reads_the_night_and_says_how_it_failed(tmp_path):
    assert call_hook(f"cat > {tmp_path / 'told'}", "night → next") == ""
    assert (tmp_path / "told").read_text(encoding="utf-8") == "night → next"
    assert call_hook("exit 3", "night") == "the hook ended with 3"
    assert call_hook("no-such-command-here", "night") == "the hook ended with 127"


def test_what_a_hook_prints_goes_to_standard_error_in_its_order(capfd):
    call_hook("echo one; echo two >&2; cat; exit 7", "three")
    assert capfd.readouterr() == ("", "one\ntwo\nthree")


def test_what_a_hook_leaves_running_is_not_waited_for():
    begun = time.monotonic()
    assert call_hook("sleep 20 &", "night") == ""
    assert time.monotonic() - begun < 10


def test_a_hook_that_does_not_end_is_left_with_what_it_had_said(capfd):
    assert call_hook("echo begun; exec sleep 20", "night", seconds=0.5) == "the hook did not end within 0.5 s"
    assert capfd.readouterr().err == "begun\n"


@pytest.mark.parametrize("command", ["true", "exec 0<&-; sleep 0.2"])
def test_a_hook_need_not_read(command):
    assert call_hook(command, "night" * 100_000) == ""
