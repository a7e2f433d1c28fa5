"""Reading return codes and the kernel's counters."""

import pytest

from harness.runner.output import CappedLog
from harness.runner.probe_path import probe_path
from harness.runner.process import ProcessExit, from_returncode, oom_kill_count


@pytest.mark.parametrize(
    ("returncode", "facts", "expected"),
    [
        (0, {}, ProcessExit(code=0)),
        (1, {"oom_kills": 1}, ProcessExit(code=1)),
        (-11, {"oom_kills": 1}, ProcessExit(signal=11)),
        (-9, {}, ProcessExit(signal=9)),
        (-9, {"oom_kills": 1}, ProcessExit(signal=9, host_oom=True)),
        (-9, {"oom_kills": 1, "timed_out": True}, ProcessExit(signal=9, timed_out=True)),
        (-9, {"cancelled": True}, ProcessExit(signal=9, interrupted=True)),
    ],
)
def test_a_return_code_is_read(returncode, facts, expected):
    assert from_returncode(returncode, **facts) == expected


def test_oom_kills_are_counted_from_either_counter(tmp_path):
    cgroup, kernel = tmp_path / "memory.events", tmp_path / "vmstat"
    cgroup.write_text("low 0\noom 4\noom_kill 3\n")
    kernel.write_text("nr_free_pages 12\noom_kill 2\n")
    assert oom_kill_count((cgroup, kernel)) == 3
    assert oom_kill_count((kernel, tmp_path / "missing")) == 2
    assert oom_kill_count((tmp_path / "missing",)) == 0


@pytest.mark.parametrize("chunk", [1, 7, 100, 5000])
def test_a_capped_log_keeps_head_and_tail_whatever_the_chunks(tmp_path, chunk):
    data = b"".join(f"{number:07d}\n".encode() for number in range(1000))
    log = CappedLog(tmp_path / "log", cap=800)
    for start in range(0, len(data), chunk):
        log.write(data[start : start + chunk])
    log.close()
    kept = (tmp_path / "log").read_bytes()
    assert kept.startswith(data[:400])
    assert kept.endswith(data[-400:])


def test_output_below_the_cap_is_kept_whole(tmp_path):
    log = CappedLog(tmp_path / "log", cap=800)
    log.write(b"a" * 500)
    log.write(b"b" * 300)
    log.close()
    assert (tmp_path / "log").read_bytes() == b"a" * 500 + b"b" * 300


def test_the_probe_path_has_the_probe_only(tmp_path):
    folder = probe_path(tmp_path)
    assert sorted(path.name for path in (folder / "harness").iterdir()) == ["__init__.py", "probe"]
    assert probe_path(tmp_path) == folder
