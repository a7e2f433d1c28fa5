"""A draft about a real failure: two real releases are bisected on a tiny model, and the answer is drafted."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIO = "scenarios/load_4bit.py::test_load_in_4bit_keyword"
SIGNATURE = "load-in-4bit-keyword"


def harness(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, and insist on its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness.cli.main", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    """Bisect the last 4.x against the first 5.x, and draft what was found."""
    folder = tmp_path_factory.mktemp("issue")
    ends = ("--good", "4.57.6", "--bad", "5.0.0")
    done = harness(folder, "bisect", "transformers", *ends, "--scenario", SCENARIO, "--matrix", "quickstart", "--json")
    told = json.loads(harness(folder, "issue", json.loads(done.stdout)["run"], "--json").stdout)
    return folder, told, Path(told["path"]).read_text(encoding="utf-8")


def test_the_failure_is_drafted_for_the_repository_whose_frame_raised_it(drafted):
    _, told, text = drafted
    assert Path(told["path"]).name == f"issue-{SIGNATURE}.md"
    assert told["repository"] == "huggingface/transformers"
    assert told["title"].startswith("[Changed with transformers 5.0.0] from_pretrained no longer takes load_in_4bit")
    assert told["known_trackers"] == told["left_out"] == []
    assert told["characters"] == len(text) < 65_000
    assert "raised in transformers/modeling\\_utils.py:from\\_pretrained" in text


def test_it_says_no_more_than_the_two_cells_showed(drafted):
    _, _, text = drafted
    assert "It fails this way in 1 of the 2 cells" in text
    assert "it passes in 1 (transformers 4.57.6)" in text
    assert "only one pin differs, transformers 5.0.0 instead of 4.57.6" in text
    assert "so it is not proven to be the cause" in text
    assert "transformers 5.0.0 is the first bad release, 4.57.6 the last good one" in text
    assert "https://github.com/huggingface/transformers/compare/v4.57.6...v5.0.0" in text
    assert "| torch | 2.13.0" in text


def test_it_holds_the_script_or_says_why_there_is_none(drafted):
    _, _, text = drafted
    part = text.partition("### Reproduce")[2].partition("### Expected")[0]
    assert "# /// script" in part
    assert '"transformers==5.0.0"' in part


def test_nothing_of_this_machine_stands_in_it(drafted):
    folder, _, text = drafted
    host = socket.gethostname()
    private = [str(folder), str(Path.home()), str(ROOT), *([host] if any(letter.isdigit() for letter in host) else [])]
    assert [each for each in private if len(each) > 1 and each in text.replace("\\", "")] == []


def test_another_failure_is_not_there(drafted):
    folder, told, _ = drafted
    done = harness(folder, "issue", str(Path(told["path"]).parent), "--signature", "meta-item", code=3)
    assert done.stderr == f"harness: no failure of this run matches 'meta-item'; it has: {SIGNATURE}\n"
