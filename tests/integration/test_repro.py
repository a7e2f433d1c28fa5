"""Scripts of a real run, run by ``uv run`` in environments of their own, without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.envs import pip_config
from harness.envs.uv import environment, need_uv

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
LOADING = "load_4bit::test_weights_are_quantized_as_they_come[auto]"
ADAPTER = "adapters::test_split_gemma4_with_map_given_again"
MATRIX = """
name = "repro"
title = "two scenarios, each red in one of three releases"
python = "3.11"
scenarios = ["scenarios/load_4bit::test_weights_are_quantized_as_they_come", "scenarios/adapters::{adapter}"]
[axes]
transformers = ["5.2.0", "5.6.2", "5.23.0"]
[pins]
torch = "2.13.0"
accelerate = "1.13.0"
peft = "0.19.1"
bitsandbytes = "0.49.2"
"""


def harness(folder, *arguments):
    """Run the command as a user does and return what it printed."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode in (0, 1), f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of three releases and two scenarios: 5.2.0 is red in one, 5.6.2 in the other, 5.23.0 in none."""
    folder = tmp_path_factory.mktemp("repro")
    (folder / "repro.toml").write_text(MATRIX.format(adapter=ADAPTER.partition("::")[2]))
    harness(folder, "run", "repro.toml", "--reports", "reports")
    return folder


def made(folder, release, scenario):
    """Make a script by the command and return its file."""
    answer = json.loads(harness(folder, "repro", "latest", f"transformers-{release}-*", scenario, "--json"))
    assert scenario.split("[", 1)[0] in answer["scenario"]
    return Path(answer["script"])


def run_by_uv(script, folder):
    """Run a script as a maintainer does; uv is told where pip looks, since it reads no pip configuration."""
    uv_settings = pip_config.read_uv_settings()
    command = [need_uv(), "run", "--no-project", *uv_settings.args, str(script)]
    done = subprocess.run(
        command, cwd=folder, env=environment(uv_settings), capture_output=True, text=True, check=False, timeout=600
    )
    last = done.stdout.strip().splitlines()[-1:] or [done.stderr[-3000:]]
    return done.returncode, last[0]


def test_an_expectation_is_red_in_one_release_and_green_in_the_other(folder, tmp_path):
    sentence = "signature: expectation: less than half of the checkpoint lies unquantized at any time"
    assert run_by_uv(made(folder, "5.2.0", LOADING), tmp_path) == (1, sentence)
    assert run_by_uv(made(folder, "5.6.2", LOADING), tmp_path) == (0, "the failure is not here")


def test_an_exception_on_a_split_base_with_an_adapter_is_shown_in_fewer_than_200_lines(folder, tmp_path):
    script = made(folder, "5.6.2", ADAPTER)
    assert script.read_text().count("\n") < 200
    sentence = "signature: KeyError: N @ transformers/models/gemma4/modeling_gemma4.py:forward"
    assert run_by_uv(script, tmp_path) == (1, sentence)


def test_it_is_green_where_the_failure_is_not(folder, tmp_path):
    script = made(folder, "5.23.0", ADAPTER)
    assert "modeling_gemma4.py:forward" in script.read_text(), "it looks for the failure of the red cell"
    assert run_by_uv(script, tmp_path) == (0, "the failure is not here")


def test_a_script_leaves_nothing_behind_and_names_no_path_of_this_machine(folder):
    text = made(folder, "5.2.0", LOADING).read_text()
    assert not [path for path in (str(ROOT), str(Path.home()), str(folder)) if path in text]
    assert "shutil.rmtree(WORK" in text
