"""What .ci/run says when a step fails."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
PROGRAMS = ("apt-get", "chromium", "fish", "npm", "python3", "zsh")


@pytest.fixture
def run(tmp_path):
    """Return what runs the script with programs that do nothing, but for those given: name -> shell script."""

    def run(**programs):
        for name in PROGRAMS:
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{programs.get(name.replace('-', '_'), '')}\n")
            program.chmod(0o755)
        variables = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run(["bash", SCRIPT], env=variables, capture_output=True, text=True, check=False)

    return run


def test_every_step_is_named_when_all_pass(run):
    done = run()
    assert done.returncode == 0
    assert done.stdout.splitlines()[-5:] == [
        "== npm ci in tests/browser",
        "== npm ci in tests/workflows",
        "== pip install nox",
        "== nox session tests",
        "== nox session oldest",
    ]


def test_a_failing_step_prints_the_end_of_its_output_and_its_name(run):
    done = run(npm='seq 100; echo "npm ERR! no network" >&2; exit 7')
    assert done.returncode == 7
    assert done.stdout.splitlines()[-3:] == [
        "100",
        "npm ERR! no network",
        ".ci/run: npm ci in tests/browser failed with exit code 7: npm ci --no-audit --no-fund --prefix tests/browser",
    ]
    assert "\n40\n" not in done.stdout


def test_a_failing_session_is_named_and_ends_the_run(run):
    done = run(python3='case "$*" in *"-s tests") echo "1 failed"; exit 1;; esac')
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2:] == [
        "1 failed",
        ".ci/run: nox session tests failed with exit code 1: python3 -m nox -s tests",
    ]
