"""Nights over real releases of a small package against a baseline: open until somebody accepts what differs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
OLDER = "case::test_is_older_than_3_9"
MATRIX = """
name = "idna"
scenarios = "./case.py"
reference = { idna = "3.6" }

[axes]
idna = ["3.6", "3.4", "latest"]

[preload]
modules = ["pytest"]
without_gpu = []
"""
CASE = """
from importlib.metadata import version

def test_is_older_than_3_9(probe):
    assert tuple(map(int, version("idna").split("."))) < (3, 9)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("nights")
    (made / "idna.toml").write_text(MATRIX)
    (made / "case.py").write_text(CASE)
    return made


def harness(folder: Path, *arguments: str, code: int = 0) -> dict[str, object]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness.cli.main", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout)


def night(folder: Path, day: str, code: int) -> dict[str, object]:
    return harness(folder, "nightly", "idna.toml", "--as-of", day, "--bisect-budget", "0", code=code)


def told(night: dict[str, object]) -> list[tuple[str, str, bool]]:
    return sorted((one["kind"], one["line"], one["fresh"]) for one in night["claims"])


def test_a_new_release_that_breaks_keeps_the_nights_from_being_green_until_it_is_accepted(folder):
    """idna 3.7 is the newest of the first days, 3.11 that of the later ones; the baseline carried its answer."""
    night(folder, "2024-05-01", code=0)
    carrying = night(folder, "2024-05-02", code=0)
    assert {line for one in carrying["carried"] for line, _ in one["places"]} == {"idna=3.4", "idna=latest"}
    harness(folder, "baseline", "set", "latest", "--reason", "before the upgrade")
    broken = night(folder, "2025-11-01", code=1)
    assert told(broken) == [("new regression", "idna=latest", True)]
    after = night(folder, "2025-11-02", code=1)
    differs = ("still differs from the baseline", "idna=latest", False)
    assert told(after) == [differs]
    assert (after["verdict"], after["searches"], after["drafts"]) == (differs[0], [], [])
    assert (after["baseline"], after["against_baseline"]) == (carrying["night"], broken["against_baseline"])
    page = (folder / "reports" / after["night"] / "nightly.md").read_text()
    assert page.startswith("# idna: still differs from the baseline\n")
    assert "## Still differs from the baseline (1)" in page
    harness(folder, "baseline", "accept", "latest", OLDER, "--line", "idna=latest", "--reason", "3.9 is wanted")
    accepted = night(folder, "2025-11-03", code=0)
    assert accepted["verdict"] == "quiet"
    assert any(text.endswith("(accepted: 3.9 is wanted)") for text in accepted["against_baseline"])
