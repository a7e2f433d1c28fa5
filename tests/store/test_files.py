"""What holds results is replaced whole or not at all, also on a full disk; two processes never run in one folder."""

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.store.files import replacing, write_text
from harness.store.records import HostRecord, RunRecord
from harness.store.run_folder import RunFolder, claimed

HOST = HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=1 << 30)
RECORD = RunRecord(
    name="m",
    started=datetime(2026, 1, 1, tzinfo=UTC),
    matrix={"name": "m", "filler": "x" * 10_000},
    matrix_file="m.toml",
    cells=(),
    axes=(),
    host=HOST,
    harness_version="1",
)


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    write_text(tmp_path / "run.json", "one")
    write_text(tmp_path / "run.json", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert (tmp_path / "run.json").read_text() == "two"


def write_half(path):
    with replacing(path) as scratch:
        scratch.write_text("new, but not wh")
        raise OSError(errno.ENOSPC, "the disk is full")


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    write_text(tmp_path / "a.json", "old")
    with pytest.raises(OSError, match="full"):
        write_half(tmp_path / "a.json")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "old"}


def test_a_link_stays_one_and_what_is_no_file_is_written_to(tmp_path):
    write_text(tmp_path / "there.json", "old")
    (tmp_path / "link.json").symlink_to("there.json")
    write_text(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "there.json").read_text() == "new"
    write_text(Path(os.devnull), "nothing")
    assert not Path(os.devnull).is_file()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from harness.store.run_folder import RunFolder

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = RunFolder(Path(sys.argv[1]))
folder.write_record(folder.read_record().model_copy(update={"title": "another"}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of the size of files is Unix's")
def test_a_run_stays_readable_when_its_record_cannot_be_written_again(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_record(RECORD)
    failed = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert failed.returncode != 0
    assert "File too large" in failed.stderr
    assert folder.read_record().title == ""
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


HOLDS = """
import sys
from pathlib import Path
from harness.store.run_folder import RunFolder, claimed

with claimed(RunFolder(Path(sys.argv[1]))):
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_has_ended_however_it_ends(tmp_path):
    folder = RunFolder(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "claimed\n"
        with pytest.raises(ConfigError, match="is in use: another harness process runs in it"), claimed(folder):
            pass
        first.kill()
    with claimed(folder), claimed(folder):  # within one process it is claimed again and again
        pass
