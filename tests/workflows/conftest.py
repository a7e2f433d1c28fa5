"""A stand-in for GitHub's runner: jobs in their order, each in a fresh workspace, artifacts and caches between them."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly-gpu.yml").read_text())
NAME = re.compile(r"'[^']*'|!(?!=)|&&|\|\||[A-Za-z_][\w-]*(?:\.[\w-]+)*\(?")
WORDS = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False"}
CASE = """
from importlib.metadata import version

def test_small_numbers(probe):
    probe.expect("the major version is 1", version("iniconfig").startswith("1."))
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
IDNA = """
from importlib.metadata import version

def test_is_older_than_3_9(probe):
    assert tuple(map(int, version("idna").split("."))) < (3, 9)
"""
LATEST = """
name = "small"
scenarios = "./idna.py"
reference = {{ idna = "3.6" }}
as_of = "{day}"

[axes]
idna = ["3.6", "latest"]

[preload]
modules = ["pytest"]
without_gpu = []
"""
GH = """#!/bin/sh
[ "$2" = list ] && cat "$OPEN"
[ "$2" = list ] || { printf '%s\\n' "$@" > "$CALLED"; cp body.md "$CALLED.md"; }
"""


def evaluate(text, known):
    """Return the value of an expression; ``known`` has its dotted names, and its functions with an opening bracket."""

    def word(match):
        found = match[0]
        if found.startswith("'") or found in WORDS:
            return WORDS.get(found, found)
        value = f"known[{found!r}]" if found.endswith("(") else f"known.get({found!r}, '')"
        return f"{value}(" if found.endswith("(") else value

    python = NAME.sub(word, text.strip().removeprefix("${{").removesuffix("}}"))
    return eval(python.strip(), {"known": known})  # noqa: S307 - an expression of our own workflow


def filled(text, known):
    """Return a text with its expressions in place; one that is nothing else keeps its type."""
    if re.fullmatch(r"\$\{\{[^}]*\}\}", str(text)):
        return evaluate(text, known)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(evaluate(match[1], known)), str(text))


def install(folder):
    """Put into a folder what the installation step makes of it."""
    for name, module in (("harness", "-m harness.cli.main "), ("python", "")):
        program = folder / ".venv" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        program.chmod(0o755)


@dataclass
class Job:
    """A finished job: its result, outputs, step summary, runner labels, time limit and printed output."""

    result: str
    outputs: dict = field(default_factory=dict)
    summary: str = ""
    runs_on: object = ""
    minutes: object = None
    output: str = ""


@dataclass
class Actions:
    """Plays the workflow, once per nightly run; ``checkout`` is the repository, ``lost`` the artifacts that get lost.

    ``instead`` maps the name of a step to a replacement for its shell script.
    """

    checkout: Path
    work: Path
    variables: dict = field(default_factory=dict)
    lost: set = field(default_factory=set)
    instead: dict = field(default_factory=dict)
    open_issue: str = ""
    number: int = 0

    def __post_init__(self):
        for name in ("caches", "bin"):
            (self.work / name).mkdir(parents=True, exist_ok=True)
        (self.work / "bin" / "gh").write_text(GH)
        (self.work / "bin" / "gh").chmod(0o755)

    def run_workflow(self, event="schedule", **inputs):
        """Play every job and return them by name; the shares of a job run one after the other and count as one job."""
        self.number += 1
        self.called.unlink(missing_ok=True)
        jobs = {}
        for name, job in WORKFLOW["jobs"].items():
            known = self._known(event, inputs, jobs, job)
            usual = all(jobs[each].result == "success" for each in needs(job))
            if not (evaluate(job["if"], known) if "if" in job else usual):
                jobs[name] = Job("skipped")
                continue
            shares = filled(job["strategy"]["matrix"]["share"], known) if "strategy" in job else [None]
            parts = [self._job(name, job, known, share) for share in shares]
            jobs[name] = next((part for part in parts if part.result != "success"), parts[-1])
        return jobs

    def again(self, work):
        """Return an independent copy in another folder."""
        shutil.copytree(self.work, work / "runner")
        shutil.copytree(self.checkout, work / "checkout", dirs_exist_ok=True)
        return Actions(work / "checkout", work / "runner", number=self.number)

    @property
    def called(self):
        """The file with the arguments that gh was called with, one a line; missing if it was not called."""
        return self.work / "called"

    @property
    def artifacts(self):
        """The folder of the artifacts of the last workflow run, each in a folder of its name."""
        return self.work / f"artifacts-{self.number}"

    def _known(self, event, inputs, jobs, job):
        needed = {f"needs.{name}.result": jobs[name].result for name in needs(job)}
        outputs = {f"needs.{name}.outputs.{key}": v for name in needs(job) for key, v in jobs[name].outputs.items()}
        return {
            "github.event_name": event,
            "github.run_id": str(self.number),
            "github.run_attempt": "1",
            "github.server_url": "https://github.com",
            "github.repository": "o/r",
            "runner.os": "Linux",
            "cancelled(": lambda: False,
            "always(": lambda: True,
            "fromJSON(": json.loads,
            "hashFiles(": lambda *_: "0",
            **{f"vars.{key}": value for key, value in self.variables.items()},
            **{f"inputs.{key.replace('_', '-')}": value for key, value in inputs.items()},
            **needed,
            **outputs,
        }

    def _job(self, name, job, known, share):
        folder = self.work / f"{self.number}-{name}-{share['number'] if share else 1}"
        folder.mkdir()
        known = {**known, "github.workspace": str(folder)}
        known |= {f"matrix.share.{key}": value for key, value in (share or {}).items()}
        done = Job("success", runs_on=filled(job["runs-on"], known), minutes=filled(job["timeout-minutes"], known))
        for step in job["steps"]:
            wanted = evaluate(step["if"], known) if "if" in step else True
            in_any_case = re.search(r"(always|cancelled)\(", step.get("if", ""))  # else success() is meant
            if not wanted or (done.result == "failure" and not in_any_case):
                continue
            if "uses" in step:
                self._use(step["uses"].partition("@")[0], step.get("with", {}), known, folder)
            elif step["run"].startswith("python3 -m venv"):
                install(folder)
            else:
                self._run(step, job, known, folder, done)
        done.outputs = {key: filled(value, known) for key, value in job.get("outputs", {}).items()}
        shutil.rmtree(folder)  # the next job may run on another machine
        return done

    def _run(self, step, job, known, folder, done):
        files = {"GITHUB_OUTPUT": folder / "output", "GITHUB_STEP_SUMMARY": folder / "summary"}
        for path in files.values():
            path.write_text("")
        given = {**WORKFLOW["env"], **job.get("env", {}), **step.get("env", {})}
        given = {key: str(filled(value, known)) for key, value in given.items() if not key.endswith("CACHE_DIR")}
        given.pop("HARNESS_CACHE", None)  # the tests share one cache of environments
        own = {"PYTHONPATH": str(ROOT), "OPEN": str(self.work / "open"), "CALLED": str(self.called)}
        own["PATH"] = f"{self.work / 'bin'}{os.pathsep}{os.environ['PATH']}"
        (self.work / "open").write_text(self.open_issue)
        script = self.instead.get(step.get("name"), step["run"])
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=folder,
            env={**os.environ, **own, **given, **{key: str(path) for key, path in files.items()}},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        done.output += ended.stdout + ended.stderr
        done.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        if "id" in step:
            lines = files["GITHUB_OUTPUT"].read_text().splitlines()
            known.update(
                {f"steps.{step['id']}.outputs.{key}": v for key, _, v in (one.partition("=") for one in lines)}
            )
        if ended.returncode:
            print(f"step {step.get('name')}: exit {ended.returncode}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}")
            done.result = "failure"

    def _use(self, action, options, known, folder):
        options = {key: filled(value, known) for key, value in options.items()}
        match action:
            case "actions/checkout":
                shutil.copytree(self.checkout, folder, dirs_exist_ok=True)
            case "actions/upload-artifact":
                self._upload(folder / options["path"], options["name"])
            case "actions/upload-pages-artifact":
                self._upload(folder / options["path"], "github-pages")
            case "actions/download-artifact":
                self._download(options, folder)
            case "actions/cache/save":
                target = self.work / "caches" / options["key"]
                if (folder / options["path"]).exists():
                    shutil.copytree(folder / options["path"], target / options["path"])
            case "actions/cache/restore" if options["path"] == "reports":
                self._restore(options, folder)
            case "actions/cache" | "actions/cache/restore" | "actions/deploy-pages":
                pass
            case _:
                raise AssertionError(f"the stand-in does not know {action}")

    def _upload(self, source, name):
        """Keep a file or what a folder holds; hidden files stay behind, as GitHub has it."""
        target = self.artifacts / name
        assert not target.exists(), f"the artifact {name} is there already"
        if source.is_dir():
            shutil.copytree(source, target, ignore=lambda _, names: [one for one in names if one.startswith(".")])
        elif source.exists():
            target.mkdir(parents=True)
            shutil.copy(source, target)

    def _download(self, options, folder):
        wanted = options.get("name") or options["pattern"]
        there = sorted(self.artifacts.glob("*")) if self.artifacts.exists() else []
        found = [one for one in there if fnmatch.fnmatch(one.name, wanted) and one.name not in self.lost]
        assert found or "pattern" in options, f"no artifact {wanted}"
        flat = "name" in options or options.get("merge-multiple") == "True"
        for one in found:
            target = folder / options.get("path", ".")
            shutil.copytree(one, target if flat else target / one.name, dirs_exist_ok=True)

    def _restore(self, options, folder):
        """Bring the newest cache whose key begins so."""
        begins = (options["key"], options["restore-keys"].strip())
        found = [one for one in (self.work / "caches").iterdir() if one.name.startswith(begins)]
        if found:
            newest = max(found, key=lambda one: int(one.name.rsplit("-", 2)[1]))
            shutil.copytree(newest, folder, dirs_exist_ok=True)


def needs(job):
    """Return the names of the jobs that a job waits for."""
    wanted = job.get("needs", [])
    return [wanted] if isinstance(wanted, str) else wanted


def repository(folder):
    """Make a repository with a matrix of a small package and one scenario, so that no torch is needed."""
    folder.mkdir()
    (folder / "case.py").write_text(CASE)
    (folder / "small.toml").write_text(MATRIX)
    return folder


@pytest.fixture
def checkout(tmp_path):
    return repository(tmp_path / "checkout")


@pytest.fixture
def actions(checkout, tmp_path):
    return Actions(checkout, tmp_path / "runner")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """Make a quiet nightly run with idna 3.7 as the newest release, and four passes as after four nightly runs."""
    folder = tmp_path_factory.mktemp("quiet")
    workflow = Actions(repository(folder / "checkout"), folder / "runner")
    (workflow.checkout / "idna.py").write_text(IDNA)
    (workflow.checkout / "small.toml").write_text(LATEST.format(day="2024-06-01"))
    run = "Run the cells of this share, rerun failures, run the control first and last"
    workflow.instead[run] = '.venv/bin/harness run "$MATRIX" --reports "share-$NUMBER" --repeat 4'
    jobs = workflow.run_workflow(matrix="small.toml")
    assert jobs["report"].outputs["verdict"] == "quiet"
    return workflow


@pytest.fixture
def regressed(quiet, tmp_path):
    """Return a workflow in which idna 3.10 is the newest release, with which the scenario fails."""
    workflow = quiet.again(tmp_path)
    (workflow.checkout / "small.toml").write_text(LATEST.format(day="2025-06-01"))
    return workflow
