"""From releases to commits, and git's own bisect: a small package with planted regressions, built from its history.

The package is made here, with its tags and with wheels of its releases in a folder that pip is told to look in. Nothing
else is needed from an index than setuptools, which builds it, and pytest.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NAME = "planted-bisect-gadget"
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "{version}"
[tool.setuptools]
py-modules = ["planted_bisect_gadget"]
"""
MODULE = """
def answer():
    return {answer}

def colour():
    return {colour!r}
"""
SCENARIOS = """
import planted_bisect_gadget as gadget

def test_answer():
    assert gadget.answer() == 42

def test_colour():
    assert gadget.colour() == "blue"
"""
MATRIX = f"""
name = "gadget"
scenarios = ["gadget_case.py"]
[pins]
{NAME} = "1.0.0"
[preload]
modules = ["pytest"]
without_gpu = []
"""
SETUP = "from setuptools import setup\nsetup()\n"
BROKEN = "raise SystemExit('this commit cannot be built')\n"  # as setup.py


class Gadget:
    """The package's repository, the wheels of its releases, and a user's folder beside them."""

    def __init__(self, folder: Path) -> None:
        self.work, self.links, self.repository = folder / "work", folder / "links", folder / "gadget"
        self.state = {"version": "1.0.0", "answer": 42, "colour": "blue"}
        self.commits: dict[str, str] = {}
        self.days = 0
        for each in (self.work, self.links, self.repository):
            each.mkdir()
        (self.work / "gadget.toml").write_text(MATRIX)
        (self.work / "gadget_case.py").write_text(SCENARIOS)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        who = {f"GIT_{role}_{what}": "a@b.invalid" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        when = {f"GIT_{role}_DATE": f"2026-03-{self.days + 1:02}T12:00:00Z" for role in ("AUTHOR", "COMMITTER")}
        environment = {**self.environment, **who, **when, "GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.repository,
            env=environment,
            check=check,
            capture_output=True,
            text=True,
            timeout=600,
        )

    @property
    def environment(self) -> dict[str, str]:
        links = " ".join((str(self.links), os.environ.get("PIP_FIND_LINKS", ""))).strip()
        return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "PIP_FIND_LINKS": links}

    def commit(self, subject: str, **changes: object) -> None:
        """Commit a state of the package; ``setup`` is the text of its setup.py in this commit alone."""
        setup = changes.pop("setup", SETUP)
        self.state |= changes
        (self.repository / "pyproject.toml").write_text(PROJECT.format(name=NAME, **self.state))
        (self.repository / "planted_bisect_gadget.py").write_text(MODULE.format(**self.state))
        (self.repository / "setup.py").write_text(str(setup))
        (self.repository / "CHANGES").write_text(f"{self.days} {subject}\n")
        self.days += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", subject)
        self.commits[subject] = self.git("rev-parse", "HEAD").stdout.strip()

    def release(self, version: str) -> None:
        """Commit, tag and build a release."""
        self.commit(f"Release {version}", version=version)
        self.git("tag", f"v{version}")
        source = self.work.parent / f"source-{version}"
        self.git("worktree", "add", "--quiet", "--detach", str(source), f"v{version}")
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(self.links),
            str(source),
        ]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=600)
        self.git("worktree", "remove", "--force", str(source))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command as a user does."""
        command = [sys.executable, "-m", "harness.cli.main", *arguments]
        return subprocess.run(
            command, cwd=self.work, env=self.environment, capture_output=True, text=True, check=False, timeout=900
        )

    def harness(self, *arguments: str, code: int) -> dict[str, object]:
        """Run the command, insist on its exit code, and return its JSON with what was on screen."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return json.loads(done.stdout) | {"screen": done.stderr}

    def bisect(self, test: str, *arguments: str, code: int = 0) -> dict[str, object]:
        asked = ("--scenario", f"gadget_case.py::{test}", "--matrix", "gadget.toml")
        return self.harness("bisect", NAME, *asked, "--into", f"git:{self.repository}", *arguments, code=code)


@pytest.fixture(scope="module")
def gadget(tmp_path_factory):
    made = Gadget(tmp_path_factory.mktemp("commits"))
    made.release("1.0.0")
    made.commit("Say hello")
    made.release("1.0.1")
    made.commit("Tidy (#1)")
    made.commit("Tidy more (#2)")
    made.commit("Break the build", setup=BROKEN)
    made.commit("Mend the build (#4)")
    made.commit("Count from zero (#5)", answer=41)
    made.commit("Tidy again (#6)")
    made.release("1.1.0")
    made.commit("Break the build again", setup=BROKEN)
    made.commit("Paint it (#8)", colour="red", setup=BROKEN)
    made.commit("Mend the build again (#9)")
    made.release("1.2.0")
    return made


@pytest.fixture(scope="module")
def found(gadget):
    return gadget.bisect("test_answer", "--good", "1.0.0", "--bad", "1.2.0")


def test_first_the_releases_and_then_the_commits_are_searched(gadget, found):
    assert (found["before"], found["suspects"]) == ("1.0.1", ["1.1.0"])
    culprit, before = (gadget.commits[name] for name in ("Count from zero (#5)", "Mend the build (#4)"))
    assert (found["commits"]["ending"], found["commits"]["before"], found["commits"]["suspects"]) == (
        "found",
        before,
        [culprit],
    )
    commit = f'{culprit[:10]} (2026-03-09 PR #5 "Count from zero (#5)")'
    said = f"{commit} is the first bad commit, {before[:10]} the last good one"
    assert found["answer"] == said


def test_it_takes_no_more_probes_than_halving_and_the_ends(gadget, found):
    """Of four releases the ends and two; of seven commits both tags, three, and two more for the broken one."""
    assert list(found["releases"]) == ["1.0.0", "1.0.1", "1.1.0", "1.2.0"]
    subjects = {sha: subject for subject, sha in gadget.commits.items()}
    judged = {subjects[sha]: one["bad"] for sha, one in found["commits"]["judged"].items()}
    assert judged == {
        "Release 1.0.1": False,
        "Tidy (#1)": False,
        "Tidy more (#2)": False,
        "Break the build": None,
        "Mend the build (#4)": False,
        "Count from zero (#5)": True,
        "Release 1.1.0": True,
    }


def test_the_report_has_releases_and_commits_in_one_order(gadget, found):
    cells = [one["id"] for one in json.loads((Path(found["run"]) / "run.json").read_text())["cells"]]
    shas = list(gadget.commits.values())
    commits = [one.split("-git-")[1][:8] for one in cells if "-git-" in one]
    assert commits == [sha[:8] for sha in shas if sha[:8] in commits]
    first, last = (next(place for place, one in enumerate(cells) if version in one) for version in ("1.0.1", "1.1.0"))
    assert last - first == len(commits) + 1


def test_the_repository_is_left_as_it_was(gadget, found):
    assert gadget.git("status", "--porcelain", "--ignored").stdout == ""
    assert gadget.git("worktree", "list").stdout.count("\n") == 1


def test_a_search_that_was_interrupted_goes_on_among_the_commits_and_probes_nothing_twice(gadget, found):
    """Take away the end of the journal, as an interrupt would: only what was probed after it is probed again."""
    journal = Path(found["run"]) / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    attempts = [number for number, line in enumerate(lines) if json.loads(line)["event"] == "attempt"]
    last = json.loads(lines[attempts[-1]])["record"]["cell"]
    cut = next(number for number, line in enumerate(lines) if last in line)
    journal.write_text("".join(lines[:cut]))
    again = gadget.harness("bisect", "--resume", str(found["run"]), code=0)
    assert again["answer"] == found["answer"]
    added = [json.loads(line) for line in journal.read_text().splitlines()[cut:]]
    assert {event["record"]["cell"] for event in added if event["event"] == "attempt"} == {last}


def test_commits_that_cannot_be_built_are_named_where_they_hide_the_answer(gadget):
    result = gadget.bisect("test_colour", "--good", "1.1.0", "--bad", "1.2.0", code=4)
    names = ("Break the build again", "Paint it (#8)", "Mend the build again (#9)")
    assert result["commits"]["suspects"] == [gadget.commits[name] for name in names]
    shorts = ", ".join(gadget.commits[name][:10] for name in names)
    assert result["answer"].startswith(f"inconclusive: the first bad commit of {NAME} is one of {shorts}; ")
    reasons = [one["reason"] for one in result["commits"]["judged"].values() if one["bad"] is None]
    assert len(reasons) == 2
    assert all("install_failed" in one or "unsolvable" in one for one in reasons)


def test_a_tag_that_is_not_there_is_one_sentence_and_can_be_named_afterwards(gadget, found):
    asked = ("--scenario", "gadget_case.py::test_answer", "--matrix", "gadget.toml", "--tags", "rel-{}")
    reports = ("--reports", "tagged")
    done = gadget.run(
        "bisect", NAME, "--good", "1.0.1", "--bad", "1.1.0", *asked, "--into", f"git:{gadget.repository}", *reports
    )
    assert done.returncode == 2
    assert f"has no tag for {NAME} 1.0.1 (looked for rel-1.0.1)" in done.stderr
    run = next((gadget.work / "tagged").iterdir())
    again = gadget.harness("bisect", "--resume", str(run), "--tags", "v{}", code=0)
    assert again["answer"] == found["answer"]
    events = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    cells = [event["record"]["cell"] for event in events if event["event"] == "attempt"]
    assert len(cells) == len(set(cells)) == 2 + len(found["commits"]["judged"])
    command = json.loads((run / "run.json").read_text())["command"]
    assert command[-4:] == ["--into", f"git:{gadget.repository}", "--tags", "v{}"]


def test_git_bisect_run_finds_it_with_probe_as_its_program(gadget):
    """In a working copy of its own, as a user would; the broken commit is skipped by git."""
    copy = gadget.work.parent / "working-copy"
    gadget.git("clone", "--quiet", str(gadget.repository), str(copy))
    gadget.git("bisect", "start", "v1.1.0", "v1.0.1", cwd=copy)
    probe = [sys.executable, "-m", "harness.cli.main", "probe", "--matrix", str(gadget.work / "gadget.toml")]
    probe += ["--scenario", str(gadget.work / "gadget_case.py::test_answer"), "--with", f"{NAME}=path:."]
    done = gadget.git("bisect", "run", *probe, "--reports", str(gadget.work / "probes"), cwd=copy, check=False)
    assert f"{gadget.commits['Count from zero (#5)']} is the first bad commit" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert gadget.git("status", "--porcelain", "--ignored", cwd=copy).stdout == ""


def test_probe_says_why_a_commit_cannot_be_told(gadget):
    gadget.git("branch", "--force", "broken", gadget.commits["Break the build"])
    copy = gadget.work.parent / "broken-copy"
    gadget.git("clone", "--quiet", "--branch=broken", str(gadget.repository), str(copy))
    asked = ("--matrix", "gadget.toml", "--scenario", "gadget_case.py::test_answer", "--with", f"{NAME}=path:{copy}")
    result = gadget.harness("probe", *asked, code=125)
    assert result["bad"] is None
    assert "install_failed: Failed to build" in str(result["reason"])


def test_between_two_commits_no_release_is_probed(gadget, found):
    ends = (gadget.commits["Tidy (#1)"], "main")
    result = gadget.bisect("test_answer", "--good", ends[0][:12], "--bad", ends[1], "--commits")
    assert "releases" not in result
    assert result["commits"]["suspects"] == [gadget.commits["Count from zero (#5)"]]
    assert result["answer"] == found["answer"]
    kept = json.loads((Path(result["run"]) / "run.json").read_text())
    assert all("-git-" in cell["id"] for cell in kept["cells"])
    again = gadget.harness(*kept["command"][1:], code=0)
    assert (again["answer"], again["run"] == result["run"]) == (result["answer"], False)
    resumed = gadget.harness("bisect", "--resume", str(result["run"]), code=0)
    assert (resumed["answer"], resumed["run"]) == (result["answer"], result["run"])


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--good", "v1.0.0", "--bad", "nowhere"), "has no commit nowhere"),
        (("--good", "v1.0.0"), "--commits needs both ends: --good and --bad"),
        (("--good", "main", "--bad", "v1.0.0"), "the order is wrong"),
        (("--good", "v1.0.0", "--bad", "main", "--metric", "allocated", "--above", "2x"), "give --above 6GiB"),
    ],
)
def test_ends_that_are_no_commits_are_one_sentence(gadget, more, sentence):
    asked = ("--scenario", "gadget_case.py::test_answer", "--matrix", "gadget.toml", "--commits")
    done = gadget.run("bisect", NAME, *asked, "--into", f"git:{gadget.repository}", *more)
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


NIGHTS = f"""
name = "moving"
scenarios = ["gadget_case.py::test_answer"]
reference = {{ {NAME} = "1.0.0" }}
[axes]
{NAME} = ["1.0.0", "dev"]
[repositories]
{NAME} = "../gadget"
[preload]
modules = ["pytest"]
without_gpu = []
"""


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Two nights over a branch that moved between them; every commit calls itself version 1.0.0."""
    made = Gadget(tmp_path_factory.mktemp("nights"))
    made.release("1.0.0")
    made.commit("Tidy (#1)")
    (made.work / "moving.toml").write_text(NIGHTS)
    made.harness("nightly", "moving.toml", code=0)
    made.commit("Tidy more (#2)")
    made.commit("Count from zero (#3)", answer=41)
    made.commit("Tidy again (#4)")
    return made, made.harness("nightly", "moving.toml", code=1)


def test_a_night_searches_the_commits_by_which_a_branch_moved(moved):
    made, night = moved
    (claim,) = [one for one in night["claims"] if one["kind"] == "new regression"]
    older, newer = claim["changed"][NAME]
    assert (older[-40:], newer[-40:]) == (made.commits["Tidy (#1)"], made.commits["Tidy again (#4)"])
    (search,) = night["searches"]
    culprit, before = made.commits["Count from zero (#3)"], made.commits["Tidy more (#2)"]
    assert (search["ending"], search["versions"]) == ("found", [before, culprit])
    said = f'{culprit[:10]} (2026-03-05 PR #3 "Count from zero (#3)") is the first bad commit, {before[:10]} '
    assert search["answer"].startswith(said)


def test_a_night_names_the_commit_that_dev_meant_and_hides_where_it_lies(moved):
    made, night = moved
    (address,) = [pins[NAME] for line, pins in night["resolved"].items() if line.endswith("=dev")]
    assert address.endswith(f"@{made.commits['Tidy again (#4)']}")
    assert str(made.repository) not in json.dumps(night["resolved"])
    shown = (made.work / "reports" / str(night["night"]) / "nightly.md").read_text()
    assert f"{NAME} git@{made.commits['Tidy (#1)'][:8]} → git@{made.commits['Tidy again (#4)'][:8]}" in shown


def test_a_draft_of_that_night_names_the_commit(moved):
    made, night = moved
    (name,) = night["drafts"]
    draft = (made.work / "reports" / str(night["night"]) / name).read_text()
    culprit = made.commits["Count from zero (#3)"][:10]
    assert rf'{culprit} (2026-03-05 PR \#3 "Count from zero (\#3)") is the first bad commit, ' in draft
    assert str(made.repository) not in draft


def test_a_night_that_was_cut_off_after_its_search_goes_on_with_that_search(moved):
    made, night = moved
    folder = made.work / "reports" / str(night["night"])
    (folder / "nightly.json").unlink()
    again = made.harness("nightly", "moving.toml", "--resume", code=1)
    assert again["night"] == night["night"]
    assert again["searches"] == night["searches"]
    runs = {one.name for one in (made.work / "reports").iterdir() if one.is_dir()}
    assert len(runs) == 3  # two nights and one search
