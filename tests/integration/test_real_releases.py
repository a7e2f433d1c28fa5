"""The main job on real releases from the package index: install, run, judge, render, go on, bring an own scenario."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from harness import load_table as load

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MATRIX = """
name = "two-releases"
scenarios = [{scenarios}]
reference = {{ transformers = "4.57.6" }}

[axes]
transformers = ["4.57.6", "5.6.2"]

[pins]
torch = "2.13.0"
accelerate = "1.13.0"
bitsandbytes = "0.49.2"
peft = "0.19.1"
"""


def harness(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, and insist on its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness.cli.main", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def write_matrix(folder: Path, *scenarios: str) -> Path:
    path = folder / "two.toml"
    path.write_text(MATRIX.format(scenarios=", ".join(json.dumps(entry) for entry in scenarios)))
    return path


def run_folder(done: subprocess.CompletedProcess[str]) -> Path:
    return Path(json.loads(done.stdout)["run"])


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """Run load_4bit, two controls and one adapter scenario over two releases."""
    folder = tmp_path_factory.mktemp("run")
    matrix = write_matrix(
        folder,
        "scenarios/load_4bit",
        "scenarios/adapters::test_decoder_on_one_device",
        "scenarios/adapters::test_split_decoder_spills_again",
        "scenarios/multimodal::test_gemma3_towers_are_skipped",
    )
    return folder / run_folder(harness(folder, "run", str(matrix), "--json"))


def outcomes(frame: pd.DataFrame, release: str) -> dict[str, str]:
    rows = frame[frame["transformers"] == release]
    return dict(zip(rows["scenario"], rows["outcome"], strict=True))


def test_differences_that_users_met_are_found(first_run):
    frame = load(first_run)
    old, new = outcomes(frame, "4.57.6"), outcomes(frame, "5.6.2")
    assert old["load_4bit::test_load_in_4bit_keyword"] == "pass:check"
    assert new["load_4bit::test_load_in_4bit_keyword"] == "fail:run:exception"
    assert old["load_4bit::test_device_map_is_kept"] == "pass:check"
    assert new["load_4bit::test_device_map_is_kept"] == "fail:check:assertion"
    assert old["multimodal::test_gemma3_towers_are_skipped[bare]"] == "pass:check"
    assert new["multimodal::test_gemma3_towers_are_skipped[bare]"] == "fail:check:assertion"


def test_controls_stay_green_in_both_releases(first_run):
    frame = load(first_run)
    controls = ["load_4bit::test_four_counts_agree", "adapters::test_decoder_on_one_device[True]"]
    green = frame[frame["scenario"].isin(controls)]
    assert list(green["outcome"]) == ["pass:check"] * 4
    assert (green["x.linear4bit"].dropna() > 0).all()


def test_the_known_spill_failure_has_its_signature(first_run):
    frame = load(first_run)
    spilled = frame[(frame["scenario"] == "adapters::test_split_decoder_spills_again[True]")]
    found = dict(zip(spilled["transformers"], spilled["signature"], strict=True))
    assert "_is_hf_initialized" in found["5.6.2"]
    assert "accelerate/utils/modeling.py:set_module_tensor_to_device" in found["5.6.2"]
    assert "Tensor.item() cannot be called on meta tensors" in found["4.57.6"]


def test_the_run_folder_is_complete_and_its_views_can_be_rebuilt(first_run):
    cells = sorted(path.name for path in (first_run / "cells").iterdir())
    assert len(cells) == 2
    for cell in cells:
        assert "--hash=sha256:" in (first_run / "cells" / cell / "lock.txt").read_text()
        assert json.loads((first_run / "cells" / cell / "env.json").read_text())["versions"]["torch"].startswith(
            "2.13.0"
        )
        attempt = first_run / "cells" / cell / "load_4bit.test_four_counts_agree" / "1"
        assert {path.name for path in attempt.iterdir()} >= {"report.json", "events.jsonl", "output.log", "memory.json"}
    views = [first_run / name for name in ("matrix.html", "matrix.md", "results.csv", "results.parquet")]
    before = load(first_run)
    for view in views:
        view.unlink()
    harness(first_run.parent.parent, "report", str(first_run))
    assert all(view.stat().st_size > 1000 for view in views)
    pd.testing.assert_frame_equal(load(first_run), before)


def test_forked_attempts_are_really_forked(first_run):
    assert set(load(first_run)["isolation"].dropna()) == {"fork"}


def test_a_cell_of_a_run_can_be_entered_with_the_lock_it_had(first_run, tmp_path):
    command = ("python", "-c", "import transformers; print(transformers.__version__)")
    done = harness(tmp_path, "env", "--run", str(first_run), "*5.6.2*", "--", *command)
    assert done.stdout.strip() == "5.6.2"
    refused = harness(tmp_path, "env", "--run", str(first_run), "*", "--", "true", code=2)
    assert "matches 2 cells" in refused.stderr
    refused = harness(tmp_path, "env", "--run", str(first_run), "*5.6.2*", "--matrix", "other.toml", code=2)
    assert "options of harness env precede the cell" in refused.stderr


def test_an_own_scenario_runs_in_reused_environments_and_fork_equals_spawn(first_run, tmp_path):
    (tmp_path / "my_case.py").write_text(
        "import transformers\n\n"
        "def test_tokens(probe):\n"
        "    with probe.phase('load'):\n"
        "        config = transformers.AutoConfig.for_model('qwen2')\n"
        "    probe.record('layers', config.num_hidden_layers)\n"
        "    probe.expect('is qwen2', config.model_type == 'qwen2')\n"
    )
    matrix = write_matrix(tmp_path, "scenarios/load_4bit")
    done = harness(tmp_path, "run", "--scenarios", "./my_case.py", str(matrix), "--check-isolation", "--json")
    frame = load(tmp_path / run_folder(done))
    assert (
        sorted(zip(frame["isolation"], frame["outcome"], strict=True))
        == [("fork", "pass:check")] * 2 + [("spawn", "pass:check")] * 2
    )
    assert set(frame["x.layers"]) == {32}
    assert json.loads(done.stdout)["isolation"] == []
    journal = (tmp_path / run_folder(done) / "journal.jsonl").read_text()
    built = [json.loads(line) for line in journal.splitlines() if '"event": "environment"' in line]
    assert [event["reused"] for event in built] == [True, True]


def test_the_control_cell_can_be_run_once_more_at_the_end(first_run, tmp_path):
    (tmp_path / "my_case.py").write_text("def test_one(probe):\n    probe.record('one', 1)\n")
    matrix = write_matrix(tmp_path, "./my_case.py")
    frame = load(tmp_path / run_folder(harness(tmp_path, "run", str(matrix), "--control-last", "--json")))
    made = sorted(zip(frame["transformers"], frame["attempt"], strict=True))
    assert made == [("4.57.6", 1), ("4.57.6", 2), ("5.6.2", 1)]


def test_a_run_goes_on_where_it_was_interrupted(first_run):
    """Take half of the journal away, as a crash would, and resume: only what is missing runs again."""
    journal = first_run / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(number for number, line in enumerate(lines) if "test_device_map_is_kept" in line and '"attempt"' in line)
    kept = [json.loads(line)["record"] for line in lines[:cut] if '"event": "attempt"' in line]
    journal.write_text("".join(lines[:cut]) + '{"event": "attem')
    harness(first_run.parent.parent, "run", "--resume", str(first_run))
    frame = load(first_run)
    assert len(frame) == sum('"event": "attempt",' in line for line in lines)
    assert not frame.duplicated(["cell", "scenario"]).any()
    for record in kept:
        again = frame[(frame["cell"] == record["cell"]) & (frame["scenario"] == record["scenario"])]
        assert list(again["seconds"]) == [record["seconds"]]


def test_an_unsolvable_cell_is_unavailable_with_the_resolvers_sentence(tmp_path):
    (tmp_path / "my_case.py").write_text("def test_nothing():\n    pass\n")
    (tmp_path / "clash.toml").write_text(
        'name = "clash"\nscenarios = ["my_case"]\n[axes]\nhuggingface-hub = ["0.36.2", "1.5.0"]\n'
        '[pins]\ntransformers = "5.6.2"\ntorch = "2.13.0"\n'
    )
    done = harness(tmp_path, "run", "clash.toml", "--json", code=4)
    frame = load(tmp_path / run_folder(done)).set_index("huggingface-hub")
    assert frame.loc["0.36.2", "outcome"] == "unavailable:resolve:unsolvable"
    assert "huggingface-hub" in frame.loc["0.36.2", "detail"]
    assert frame.loc["1.5.0", "outcome"] == "pass:check"


def test_a_regression_can_fail_the_command(first_run, tmp_path):
    matrix = write_matrix(tmp_path, "scenarios/load_4bit::test_load_in_4bit_keyword")
    harness(tmp_path, "run", str(matrix), "--fail-on", "regression", code=1)
    harness(tmp_path, "run", str(matrix), "-k", "nothing_has_this_name", code=3)
