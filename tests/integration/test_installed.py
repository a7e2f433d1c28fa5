"""The harness installed from a wheel, and run by uvx: in an empty folder it does what it does in a checkout."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.envs import pip_config, uv
from harness.version import harness_version

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def run_uv(folder, *arguments):
    settings = pip_config.read_uv_settings()
    done = uv.run_uv(arguments, uv.environment(settings), folder, 600)
    assert done.code == 0, done.errors
    return done.output


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel, install it in an environment of its own, and return the environment's programs."""
    folder = tmp_path_factory.mktemp("installed")
    options = pip_config.read_uv_settings().args
    run_uv(folder, "build", "--wheel", "-q", *options, "-o", str(folder), str(ROOT))
    run_uv(folder, "venv", "-q", "--python", sys.executable, "venv")
    (wheel,) = folder.glob("*.whl")
    run_uv(folder, "pip", "install", "-q", "--python", "venv", *options, str(wheel))
    return folder / "venv" / "bin"


@pytest.fixture(params=["wheel", "uvx"])
def harness(request, installed, tmp_path):
    """Return what runs the command in an empty folder and returns its standard output."""
    options = pip_config.read_uv_settings().args
    uvx = ("tool", "run", "-q", "--python", sys.executable, *options, "--from", str(ROOT), "harness")

    def harness(*arguments):
        if request.param == "uvx":
            return run_uv(tmp_path, *uvx, *arguments)
        done = subprocess.run(
            [installed / "harness", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return harness


def test_it_plans_a_matrix_that_comes_with_it(harness):
    plan = json.loads(harness("plan", "quickstart", "--cells", "transformers-4.57*", "--json"))
    assert [cell["environment"] for cell in plan["cells"]] in (["reused"], ["to be built"])
    assert {scenario["id"].partition("::")[0] for scenario in plan["scenarios"]} >= {"load_4bit", "adapters"}


def test_it_knows_its_version_and_its_help(harness):
    assert harness("--version").startswith("harness ")
    assert harness("run", "--help").startswith("usage: harness run [OPTIONS] [MATRIX]\n")
    assert "complete -" in harness("completion", "bash")


def test_it_loads_the_table_of_a_run(installed, tmp_path):
    program = "import harness; print(sorted(harness.load_table('frozen', 'reports')['scenario'].unique())[:1])"
    frozen = ROOT / "tests" / "store" / "frozen" / "first-schema"
    shutil.copytree(frozen, tmp_path / "reports" / "frozen")
    done = subprocess.run(
        [installed / "python", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "::" in done.stdout


def test_it_is_typed_licensed_and_versioned(installed):
    program = (
        "import harness; from pathlib import Path; from importlib import metadata; "
        "print(Path(harness.__file__).with_name('py.typed').exists()); "
        "about = metadata.metadata('hf-regression-matrix'); "
        "print(about['License-Expression'], about.get_all('License-File')); print(about['Version'])"
    )
    done = subprocess.run([installed / "python", "-c", program], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.splitlines() == ["True", "Apache-2.0 ['LICENSE']", harness_version()]
