"""Bisects over real releases, on tiny models without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIO = "scenarios/load_4bit.py::test_weights_are_quantized_as_they_come"


def bisect(folder: Path, *arguments: str, code: int = 0) -> dict[str, object]:
    """Run the command as a user does, insist on its exit code, and return its JSON."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness.cli.main", "bisect", *arguments, "--json"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout) | {"screen": done.stderr}


def attempts_of(run: str) -> list[dict[str, object]]:
    """Return the records of a run's attempts."""
    events = map(json.loads, (Path(run) / "journal.jsonl").read_text().splitlines())
    return [event["record"] for event in events if event["event"] == "attempt"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Search for the release from which weights are quantized one by one again, over 13 releases."""
    folder = tmp_path_factory.mktemp("bisect")
    ends = ("--bad", "5.0.0", "--good", "5.6.2", "--find-fix")
    return folder, bisect(folder, "transformers", *ends, "--scenario", SCENARIO, "--matrix", "catalogue")


def test_the_release_that_fixed_it_is_found(found):
    _, result = found
    assert result["answer"] == "transformers 5.4.0 is the first good release, 5.3.0 the last bad one"
    assert "narrowed from 5.0.0 … 5.6.2 to 5.3.0 … 5.4.0, nothing left to probe" in result["screen"]


def test_it_takes_no_more_probes_than_halving_and_the_two_ends(found):
    _, result = found
    answers = {release: judged["bad"] for release, judged in result["releases"].items()}
    assert answers == {"5.0.0": True, "5.3.0": True, "5.4.0": False, "5.5.1": False, "5.6.2": False}


def test_the_report_has_the_releases_in_their_order_and_tells_one_change(found):
    _, result = found
    run = Path(result["run"])
    cells = [cell["id"].rpartition("-")[0] for cell in json.loads((run / "run.json").read_text())["cells"]]
    assert cells == [f"transformers-{release}" for release in result["releases"]]
    page = (run / "matrix.md").read_text()
    assert "passes from 5.4.0 on" in page
    assert "| new failure |" not in page


def test_a_search_that_was_interrupted_goes_on_and_probes_nothing_twice(found):
    """Take away the end of the journal, as an interrupt would: only that release is probed again."""
    folder, result = found
    journal = Path(result["run"]) / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(number for number, line in enumerate(lines) if "transformers-5.4.0" in line)
    journal.write_text("".join(lines[:cut]))
    again = bisect(folder, "--resume", result["run"])
    assert again["answer"] == result["answer"]
    added = [json.loads(line) for line in journal.read_text().splitlines()[cut:]]
    attempts = {event["record"]["cell"].rpartition("-")[0] for event in added if event["event"] == "attempt"}
    assert attempts == {"transformers-5.4.0"}


def test_a_bad_end_that_is_not_bad_is_said(found):
    folder, _ = found
    ends = ("--good", "5.5.1", "--bad", "5.6.2")
    result = bisect(folder, "transformers", *ends, "--scenario", SCENARIO, "--matrix", "catalogue", code=1)
    assert result["answer"].startswith("not reproduced: transformers 5.6.2 is not bad here")


def test_by_figure_the_first_bad_release_is_found(found):
    """The share of the checkpoint that lies unquantized: 4.57.6 is the good end, and no other release is between."""
    folder, _ = found
    how = ("--metric", "x.share_at_most", "--above", "1.5x", "--scenario", SCENARIO, "--matrix", "catalogue")
    result = bisect(folder, "transformers", "--good", "4.57.6", "--bad", "5.0.0", *how)
    assert result["answer"] == "transformers 5.0.0 is the first bad release, 4.57.6 the last good one"


def test_by_signature_the_fix_of_a_gemma4_failure_is_found(found):
    """Of 31 releases at most five are probed beside the ends; the yanked 5.10.0 is left out."""
    folder, _ = found
    asked = ("--bad", "5.6.2", "--good", "5.23.0", "--find-fix", "--signature", "finfo-integer-weight")
    scenario = ("--scenario", "scenarios/towers.py::test_gemma4_audio_tower_runs", "--matrix", "catalogue")
    result = bisect(folder, "transformers", *asked, *scenario)
    assert result["answer"] == "transformers 5.11.0 is the first good release, 5.10.4 the last bad one"
    assert len(result["releases"]) == 2 + 5
    assert "yanked, left out: transformers 5.10.0" in result["screen"]


def test_a_bad_end_that_fails_in_another_way_is_said(found):
    folder, _ = found
    asked = ("--good", "4.57.6", "--bad", "5.0.0", "--signature", "finfo-integer-weight", "--scenario", SCENARIO)
    result = bisect(folder, "transformers", *asked, "--matrix", "catalogue", code=1)
    assert result["answer"].startswith("not reproduced: transformers 5.0.0 fails here for another reason than finfo-")
    assert "less than half of the checkpoint lies unquantized" in result["answer"]


def test_by_day_and_without_a_bad_end_the_search_goes_back_and_probes_nothing_that_an_earlier_run_answered(found):
    """Back from 5.5.0, two strides lead to a bad release; the two at the border are known already."""
    folder, _ = found
    asked = ("--good", "2026-04-05", "--find-fix", "--scenario", SCENARIO, "--matrix", "catalogue")
    result = bisect(folder, "transformers", *asked)
    assert result["answer"] == "transformers 5.4.0 is the first good release, 5.3.0 the last bad one"
    assert "note: 2026-04-05 is transformers 5.5.0, of 2026-04-02" in result["screen"]
    assert list(result["releases"]) == ["5.2.0", "5.3.0", "5.4.0", "5.5.0"]
    records = attempts_of(result["run"])
    origins = {record["cell"].rpartition("-")[0]: record["part"] for record in records}
    assert {cell for cell, part in origins.items() if part} >= {"transformers-5.3.0", "transformers-5.4.0"}
    run = Path(result["run"])
    assert all((run / record["folder"] / "report.json").exists() for record in records)


def test_a_scan_names_every_change_and_draws_it(found):
    """Four releases, of which an earlier run has answered all but one."""
    folder, _ = found
    asked = ("--bad", "5.3.0", "--good", "5.5.1", "--find-fix", "--scan", "--metric", "x.share_at_most")
    result = bisect(folder, "transformers", *asked, "--scenario", SCENARIO, "--matrix", "catalogue")
    assert list(result["releases"]) == ["5.3.0", "5.4.0", "5.5.0", "5.5.1"]
    (change,) = result["changes"]
    assert change.startswith("x.share_at_most changes at 5.4.0, 5.3.0 is the last before: ")
    assert {record["cell"].rpartition("-")[0] for record in attempts_of(result["run"]) if not record["part"]} <= {
        "transformers-5.5.0"
    }
    page = Path(result["chart"]).read_text()
    assert "<title>5.4.0: " in page


MINE = """
import huggingface_hub

def test_the_client_is_old():
    assert tuple(map(int, huggingface_hub.__version__.split(".")[:2])) < (1, 5)
"""
MATRIX = """
name = "mine"
title = "A package that no pin names"
scenarios = ["mine.py"]
[pins]
tokenizers = "0.22.2"
"""


def test_a_transitive_package_is_searched_with_a_scenario_of_the_user_s_own(tmp_path):
    """tokenizers needs huggingface-hub; nothing of the harness is in the test, and nobody names a good release."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "mine.toml").write_text(MATRIX)
    asked = ("--bad", "1.8.0", "--scenario", "mine.py::test_the_client_is_old", "--matrix", "mine.toml")
    result = bisect(tmp_path, "huggingface_hub", *asked)
    assert result["answer"] == "huggingface-hub 1.5.0 is the first bad release, 1.4.1 the last good one"
