"""The hook that is run at the end of a nightly run."""

import time

import pytest

from harness.nightly.night import call_hook


def test_a_hook_reads_the_report_and_its_exit_code_is_reported(tmp_path):
    assert call_hook(f"cat > {tmp_path / 'report'}", "run → next") == ""
    assert (tmp_path / "report").read_text(encoding="utf-8") == "run → next"
    assert call_hook("exit 3", "report") == "the hook exited with 3"
    assert call_hook("no-such-command-here", "report") == "the hook exited with 127"


def test_the_output_of_a_hook_goes_to_standard_error_in_its_order(capfd):
    call_hook("echo one; echo two >&2; cat; exit 7", "three")
    assert capfd.readouterr() == ("", "one\ntwo\nthree")


def test_a_background_process_of_a_hook_is_not_waited_for():
    begun = time.monotonic()
    assert call_hook("sleep 20 &", "report") == ""
    assert time.monotonic() - begun < 10


def test_a_hook_that_takes_too_long_is_stopped_after_its_output(capfd):
    assert call_hook("echo begun; exec sleep 20", "report", seconds=0.5) == "the hook did not finish within 0.5 s"
    assert capfd.readouterr().err == "begun\n"


@pytest.mark.parametrize("command", ["true", "exec 0<&-; sleep 0.2"])
def test_a_hook_need_not_read(command):
    assert call_hook(command, "report" * 100_000) == ""
