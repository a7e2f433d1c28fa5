"""Blames between real environments, on a tiny model without a GPU.

The planner of accelerate 1.13.0 cannot take the set in which transformers 5 keeps the classes that must not be split
(field report G8): it takes both to see it. transformers cannot move without huggingface-hub.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, resolve_cells
from harness.matrix.cell import Cell, Pin

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIO = "scenarios/dispatch.py::test_planner_takes_the_models_own_classes"
HELD = """\
bitsandbytes==0.49.2 certifi==2026.10.18 filelock==4.2.11 hf-xet==1.8.0 idna==3.20 jinja2==3.1.6 markupsafe==3.0.4
mpmath==1.3.0 networkx==3.6.1 packaging==26.3 psutil==7.2.2 pyyaml==6.0.3 setuptools==84.2.1 sympy==1.14.0
tokenizers==0.22.2 torch==2.13.0 typing-extensions==4.16.0
"""
GOOD = """\
accelerate==1.14.0 charset-normalizer==3.5.2 fsspec==2025.12.0 huggingface-hub==0.36.2 numpy==2.3.5 peft==0.18.1
regex==2025.11.3 requests==2.34.2 safetensors==0.6.2 tqdm==4.67.0 transformers==4.57.6 urllib3==2.8.0
"""
BAD = """\
accelerate==1.13.0 annotated-doc==0.0.7 annotated-types==0.8.0 anyio==4.16.0 click==8.5.1 fsspec==2026.9.0 h11==0.16.0
httpcore==1.0.9 httpx==0.28.1 huggingface-hub==1.33.0 markdown-it-py==4.3.0 mdurl==0.1.2 numpy==2.4.6 peft==0.19.1
pydantic==2.14.3 pydantic-core==2.50.4 regex==2026.11.15 rich==15.0.0 safetensors==0.8.0 shellingham==1.5.4
tqdm==4.70.1 transformers==5.6.2 typer==0.29.2 typing-inspection==0.4.5
"""
FREEZE = """\
# Editable install with no version control (mine==0.1)
-e /somewhere/mine
wheel_of_mine @ file:///somewhere/wheel_of_mine-1.0-py3-none-any.whl
nvidia-cublas-cu12==12.4.5.8
no-such-package-on-any-index-8a1f==1.0
"""


def blame(folder: Path, *arguments: str, code: int = 0) -> dict[str, object]:
    """Run the command as a user does, insist on its exit code, and return its JSON."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness.cli.main", "blame", *arguments, "--json"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout) | {"screen": done.stderr}


def lock_of(requirements: str) -> str:
    """Lock packages as a user's own tool would: every version exact, with hashes."""
    pins = tuple(Pin(text.partition("==")[0], text.partition("==")[2], text) for text in requirements.split())
    cell = Cell("3.11", pins)
    lock = resolve_cells([cell], cache=CacheDir.of_user().locks, jobs=1)[cell.id]
    assert isinstance(lock, Lock), lock
    assert "--hash=sha256:" in lock.text
    return lock.text


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Blame between two locks that differ in 9 packages beside those that only come and go with them."""
    folder = tmp_path_factory.mktemp("blame")
    for name, own in (("good.txt", GOOD), ("bad.txt", BAD)):
        (folder / name).write_text(lock_of(HELD + own))
    ends = ("--good", "good.txt", "--bad", "bad.txt", "--scenario", SCENARIO)
    return folder, blame(folder, *ends, "--matrix", "catalogue", "--python", "3.11")


def test_two_packages_that_are_needed_together_are_found_among_nine(found):
    _, result = found
    assert result["answer"] == (
        "transformers 4.57.6 → 5.6.2 and accelerate 1.14.0 → 1.13.0 are needed together; with either one removed it is "
        "good; huggingface-hub 0.36.2 → 1.33.0 cannot be separated from transformers"
    )
    assert len(result["changes"]) == 9
    assert result["proven"] == [["accelerate"], ["transformers", "huggingface-hub"]]
    assert "huggingface-hub>=1.5.0,<2.0" in result["apart"]["huggingface-hub"]


def test_it_takes_four_environments_beside_the_two_ends_and_each_was_seen(found):
    """Two turn on halving, two are the answer without a part of it; what has no resolution is never installed."""
    _, result = found
    ran = {frozenset(one["applied"]): one["bad"] for one in result["probes"] if one["cell"]}
    assert result["ran"] == len(ran) == 2 + 4
    together = frozenset({"transformers", "huggingface-hub"})
    assert ran[frozenset()] is False
    assert ran[frozenset(result["changes"])] is True
    assert ran[together | {"accelerate"}] is True
    assert ran[together] is False
    assert ran[frozenset({"accelerate"})] is False
    journal = Path(result["run"], "journal.jsonl").read_text()
    assert journal.count('"event": "attempt",') == 2 * 6  # two parameters


def test_every_package_of_an_environment_is_at_the_version_of_one_end(found):
    folder, result = found
    ends = [dict(line.split(" ")[0].split("==") for line in lines(folder, name)) for name in ("good.txt", "bad.txt")]
    for cell in json.loads(Path(result["run"], "run.json").read_text())["cells"]:
        for package, version in cell["versions"].items():
            assert version in {end.get(package) for end in ends}, package


def lines(folder: Path, name: str) -> list[str]:
    return [line for line in (folder / name).read_text().splitlines() if line[:1].isalnum()]


def test_taken_up_again_it_asks_nothing_twice(found):
    folder, result = found
    journal = Path(result["run"], "journal.jsonl")
    kept = [line for line in journal.read_text().splitlines() if json.loads(line)["event"] == "attempt"]
    cell = json.loads(kept[-1])["record"]["cell"]
    text = "".join(f"{line}\n" for line in journal.read_text().splitlines() if f'"{cell}"' not in line)
    journal.write_text(text)  # as if it had been interrupted before its last environment
    again = blame(folder, "--resume", str(result["run"]))
    assert again["answer"] == result["answer"]
    added = [json.loads(line) for line in journal.read_text()[len(text) :].splitlines()]
    assert {event["record"]["cell"] for event in added if event["event"] == "attempt"} == {cell}


def test_a_freeze_text_is_an_end_too_and_what_cannot_be_used_is_said(found):
    """The bad end's results are taken from the first search: two environments are new, and one inside."""
    folder, _ = found
    own = BAD.replace("accelerate==1.13.0", "accelerate==1.14.0").replace("tqdm==4.70.1", "tqdm==4.67.0")
    rest = "\n".join((HELD + own).replace("torch==2.13.0", "torch==2.13.0+cu130").split())
    (folder / "freeze.txt").write_text(FREEZE + rest)
    ends = ("--good", "freeze.txt", "--bad", "bad.txt", "--scenario", SCENARIO, "--matrix", "catalogue")
    result = blame(folder, *ends, "--python", "3.11", "--bisect")
    assert result["answer"] == "accelerate 1.14.0 → 1.13.0 alone turns good into bad"
    assert set(result["changes"]) == {"accelerate", "tqdm"}
    assert result["ran"] == 3
    (inside,) = result["inside"]
    assert inside.startswith("inside accelerate: accelerate 1.14.0 is the first good release, 1.13.0 the last bad one")
    for note in (
        "left out, installed from a working copy: -e /somewhere/mine",
        "left out, a file of another machine (`pip list --format=freeze` prints its version): wheel_of_mine @ file:///somewhere/wheel_of_mine-1.0-py3-none-any.whl",
        "left out, comes with torch: nvidia-cublas-cu12==12.4.5.8",
        "left out, on no index: no-such-package-on-any-index-8a1f==1.0",
        "the build that fits this machine is used: torch==2.13.0+cu130",
    ):
        assert f"note: freeze.txt: {note}" in result["screen"]


def test_swapped_ends_are_not_reproduced_and_called_swapped(found):
    folder, _ = found
    ends = ("--good", "bad.txt", "--bad", "good.txt", "--scenario", SCENARIO, "--matrix", "catalogue")
    result = blame(folder, *ends, "--python", "3.11", code=1)
    assert result["answer"] == "not reproduced: the ends look swapped: the bad one is good, the good one is bad"
    assert result["ran"] == 2
