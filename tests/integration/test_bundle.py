"""A bundle as a user makes, carries and runs it: real packages, a real base, no network where it runs."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from harness import load_table as load
from harness.envs import pip_config, uv
from harness.store.run_folder import RunFolder

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # came with 3.11.4; Debian 12 has 3.11.2
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SCENARIO = '''
"""A scenario of the user's own, with a neighbour."""
import iniconfig
from importlib.metadata import version
from neighbour import WORD

def test_reads(probe, tmp_path):
    (tmp_path / "x.ini").write_text("[a]\\nb = 1\\n")
    probe.record("word", WORD)
    probe.expect("the section is there", iniconfig.IniConfig(str(tmp_path / "x.ini"))["a"]["b"] == "1")

def test_packaging_is_the_base_s(probe):
    import packaging
    probe.expect("it lies in the base", "/base/" in packaging.__file__)
'''
MATRIX = f"""
name = "small"
python = "{PYTHON}"
scenarios = ["own/case.py"]
reference = {{ iniconfig = "2.0.0" }}

[axes]
iniconfig = ["2.0.0", "2.1.0"]

[pins]
packaging = "installed"

[preload]
modules = ["pytest"]
"""


def cut_off(folder: Path) -> dict[str, str]:
    """Return an environment in which no index answers and nothing is cached."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_", "HARNESS_", "XDG_")) and name != "PYTHONPATH"
    }
    dead = "http://127.0.0.1:9"
    paths = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"  # where uv is
    return {**kept, "HOME": str(folder), "PATH": paths, "http_proxy": dead, "https_proxy": dead, "UV_OFFLINE": "1"}


def harness(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HARNESS_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "harness.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def unpack(bundle: Path, folder: Path) -> None:
    """Unpack a bundle with the command that ``harness bundle`` prints, which refuses names outside the folder."""
    folder.mkdir()
    subprocess.run(["tar", "-xJf", str(bundle), "-C", str(folder)], check=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Make a matrix with a scenario of its own, and its bundle."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "own").mkdir()
    (folder / "own" / "case.py").write_text(SCENARIO)
    (folder / "own" / "neighbour.py").write_text('WORD = "here"\n')
    (folder / "small.toml").write_text(MATRIX)
    (folder / "freeze.txt").write_text("packaging==25.0\n")
    harness(folder, "bundle", "small.toml", "--base-freeze", "freeze.txt", "-o", "bundle.tar.xz")
    return folder


@pytest.fixture(scope="module")
def node(home, tmp_path_factory):
    """Unpack the bundle beside a base that is a virtual environment with packaging 25.0."""
    folder = tmp_path_factory.mktemp("node")
    unpack(home / "bundle.tar.xz", folder / "b")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "base")], check=True)
    python = folder / "base" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "packaging==25.0"], check=True)
    return folder


def run(node: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [str(node / "b" / "run"), "--base", str(node / "base" / "bin" / "python"), *arguments]
    done = subprocess.run(command, cwd=node, env=cut_off(node), capture_output=True, text=True, check=False)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def parts(node):
    """Run each cell by itself, as two machines would."""
    found = []
    for release in ("2.0.0", "2.1.0"):
        done = run(node, "--reports", release, "--cells", f"*{release}*", "--json", "--pack", f"{release}.tar.gz")
        found.append(Path(json.loads(done.stdout)["run"]))
    return found


def test_the_run_folder_is_one_like_any_other(parts, node):
    record = RunFolder(parts[0]).read_record()
    (cell,) = record.cells
    assert cell.pins == {"iniconfig": "2.0.0", "packaging": "installed@25.0"}
    assert cell.versions["iniconfig"] == "2.0.0"
    assert (parts[0] / "matrix.md").is_file()
    assert {str(attempt.outcome) for attempt in RunFolder(parts[0]).attempts()} == {"pass:check"}
    with tarfile.open(node / "2.0.0.tar.gz") as tar:
        assert f"{parts[0].name}/journal.jsonl" in tar.getnames()


def test_report_at_home_makes_the_tables_and_merge_unites_the_parts(parts, home):
    harness(home, "report", str(parts[0]))
    assert len(load(parts[0])) == 2
    harness(home, "merge", *map(str, parts), "-o", "all")
    frame = load(home / "all")
    assert sorted(zip(frame["iniconfig"], frame["outcome"], strict=True)) == [
        ("2.0.0", "pass:check"),
        ("2.0.0", "pass:check"),
        ("2.1.0", "pass:check"),
        ("2.1.0", "pass:check"),
    ]


def test_a_run_there_can_be_gone_on_with_there(parts, node):
    run(node, "--reports", "2.0.0", "--resume", "--repeat", "2")
    assert [attempt.attempt for attempt in RunFolder(parts[0]).attempts()] == [1, 1, 2, 2]


def test_without_uv_the_bundle_s_own_pip_takes_its_place(node):
    environment = cut_off(node)
    plain = node / "plain"
    plain.mkdir()
    for name in ("sh", "python3", "dirname", "env"):
        (plain / name).symlink_to(Path("/usr/bin", name) if Path("/usr/bin", name).exists() else Path("/bin", name))
    environment["PATH"] = str(plain)
    command = [str(node / "b" / "run"), "--base", str(node / "base" / "bin" / "python"), "--work", str(node / "w")]
    command += ["--reports", "plain-reports", "--cells", "*2.1.0*"]
    done = subprocess.run(command, cwd=node, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    (folder,) = (node / "plain-reports").iterdir()
    assert {str(attempt.outcome) for attempt in RunFolder(folder).attempts()} == {"pass:check"}


def test_a_base_of_another_release_is_refused_in_one_sentence(node):
    python = node / "other" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(node / "other")], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", "packaging==24.2"], check=True)
    done = run(node, "--base", str(python), code=2)
    assert "harness: the bundle was made for packaging 25.0, and" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_inputs_give_the_same_bytes(home):
    harness(home, "bundle", "small.toml", "--base-freeze", "freeze.txt", "-o", "again.tar.xz")
    assert (home / "again.tar.xz").read_bytes() == (home / "bundle.tar.xz").read_bytes()


def test_a_package_without_a_wheel_is_one_sentence(home):
    (home / "source.toml").write_text(MATRIX.replace("[preload]", 'docopt = "0.6.2"\n[preload]'))
    done = harness(home, "bundle", "source.toml", "--base-freeze", "freeze.txt", code=2)
    assert "a bundle holds wheels only" in done.stderr
    assert "docopt==0.6.2" in done.stderr


@pytest.fixture(scope="module")
def torch_base(tmp_path_factory):
    """Make a virtual environment with a torch, as an image has it; uv links what it has unpacked for other tests."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "base")], check=True)
    uv_settings = pip_config.read_uv_settings()
    install = ["pip", "install", "--python", str(folder / "base" / "bin" / "python"), *uv_settings.args]
    done = uv.run_uv([*install, "torch==2.13.0", "numpy"], uv.environment(uv_settings), folder, 600)
    assert done.code == 0, done.errors
    return folder


def test_a_release_of_transformers_runs_on_the_base_s_torch(torch_base, tmp_path):
    (tmp_path / "stack.toml").write_text(
        f"""
name = "stack"
python = "{PYTHON}"
scenarios = ["scenarios/load_4bit::test_four_counts_agree"]
[axes]
transformers = ["5.6.2"]
[pins]
torch = "2.13.0"
accelerate = "1.13.0"
bitsandbytes = "0.49.2"
peft = "0.19.1"
"""
    )
    harness(tmp_path, "bundle", "stack.toml", "--exclude", "numpy", "--cuda", "130", "-o", "b.tar.xz")
    with tarfile.open(tmp_path / "b.tar.xz") as tar:
        wheels = {name.rpartition("/")[2].partition("-")[0] for name in tar.getnames() if name.endswith(".whl")}
    unpack(tmp_path / "b.tar.xz", torch_base / "b")
    assert not {"torch", "numpy"} & wheels
    assert {name for name in wheels if name.startswith("nvidia")} == {"nvidia_ml_py"}, "the harness's own"
    done = run(torch_base, "--json")
    (attempt,) = RunFolder(Path(json.loads(done.stdout)["run"])).attempts()
    assert str(attempt.outcome) == "pass:check", attempt.detail
    assert attempt.figures["x.linear4bit"] > 0
    (cell,) = RunFolder(Path(json.loads(done.stdout)["run"])).read_record().cells
    assert cell.pins["torch"].startswith("installed@2.13.0")
