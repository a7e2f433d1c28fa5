"""What is searched for a regression, and the drafts with the conclusions."""

import shutil
from pathlib import Path

import pytest

from harness.envs.cache_dir import CacheDir
from harness.envs.requirements import exact_pin
from harness.matrix.cell import Cell, Pin, display_version
from harness.matrix.git import Commit
from harness.nightly.claim import Claim, Kind
from harness.nightly.record import SearchSummary
from harness.nightly.searches import Budget, plan_searches, write_drafts
from harness.search.criterion import Evaluation
from harness.search.pins import CommitAddress, commit_pin, parse_commit_address
from harness.search.records import (
    BlameQuestion,
    BlameResult,
    CommitQuestion,
    CommitResult,
    CommitSource,
    Ending,
    PackageChange,
    SearchRecord,
    read_search,
)
from harness.store.run_folder import RunFolder
from harness.verdict.result import ResultKey

OLD, NEW = (f"git+https://github.com/o/gadget@{sha * 40}" for sha in "ab")


def claim(scenario="s::t", signature="E: x", series="a=latest", **changed):
    return Claim(kind=Kind.NEW_REGRESSION, series=series, scenario=scenario, signature=signature, changed=changed)


def test_regressions_with_one_signature_and_change_are_searched_once():
    claims = [claim(a=("1", "2")), claim("s::u", a=("1", "2")), claim("s::v", "E: y", a=("1", "2"))]
    assert [(one.package, one.versions, len(one.claims)) for one in plan_searches(claims, ["a"])] == [
        ("a", ("1", "2"), 2),
        ("a", ("1", "2"), 1),
    ]


def test_one_change_in_two_series_is_searched_once():
    claims = [claim(gadget=(OLD, NEW)), claim(series="gadget=dev torch=latest", gadget=(OLD, NEW))]
    assert [len(one.claims) for one in plan_searches(claims, ["gadget"])] == [2]


@pytest.mark.parametrize(
    ("changed", "package", "why_not"),
    [
        ({"a": ("1+cpu", "2+cpu")}, "a", ""),
        ({"a": ("1", "2"), "hub": ("3", "4")}, "a", ""),  # another package changed, which the matrix does not name
        ({"hub": ("3", "4")}, "hub", ""),
        ({"a": ("1", "2"), "b": ("3", "4")}, "", ""),  # a blame
        ({}, "", "no package changed since it passed"),
        (
            {"a": ("1", "file:///x/a")},
            "",
            "a changed from 1 to path:a, which are neither two releases nor two commits",
        ),
        ({"a": ("", "2")}, "", "a was added: there is no range to bisect"),
        (
            {"a": ("1.0", NEW)},
            "",
            "a changed from 1.0 to git@bbbbbbbb, which are neither two releases nor two commits",
        ),
        (
            {"a": (OLD, "file:///somewhere/gadget")},
            "",
            "a changed from git@aaaaaaaa to path:gadget, which are neither two releases nor two commits",
        ),
        (
            {"a": (OLD, NEW.replace("/o/", "/p/"))},
            "",
            "a changed its repository: https://github.com/o/gadget → https://github.com/p/gadget",
        ),
        (
            {"a": (OLD, f"{NEW}#subdirectory=inner")},
            "",
            "a changed its repository: https://github.com/o/gadget → https://github.com/o/gadget",
        ),
    ],
)
def test_what_is_searched_follows_from_what_changed(changed, package, why_not):
    (found,) = plan_searches([claim(**changed)], ["a", "b"])
    assert (found.package, found.why_not) == (package, why_not)


def test_commits_are_bisected_also_if_an_unpinned_package_changed():
    (found,) = plan_searches([claim(gadget=(OLD, NEW), hub=("1", "2"))], ["gadget", "torch"])
    assert found.commits == (
        CommitAddress("https://github.com/o/gadget", "a" * 40),
        CommitAddress("https://github.com/o/gadget", "b" * 40),
    )
    assert (found.package, found.why_not) == ("gadget", "")
    assert found.change == "gadget git@aaaaaaaa → git@bbbbbbbb"


def test_releases_are_no_commits():
    (found,) = plan_searches([claim(gadget=("1.0", "2.0+cpu"))], ["gadget"])
    assert (found.commits, found.versions) == (None, ("1.0", "2.0"))


@pytest.mark.parametrize("subfolder", ["", "bindings/python"])
@pytest.mark.parametrize("address", ["https://github.com/o/gadget", "ssh://git@host.example/o/gadget", "file:///a@b/c"])
def test_the_address_of_a_commit_is_read_back(address, subfolder):
    pin = commit_pin("gadget", address, "c" * 40, subfolder)
    assert parse_commit_address(pin.address) == CommitAddress(address, "c" * 40, subfolder)
    assert display_version(pin.address) == "git@cccccccc"


@pytest.mark.parametrize("text", ["", "1.0", "file:///some/where", "git+https://x/y@main", f"https://x/y@{'c' * 40}"])
def test_anything_else_is_no_commit(text):
    assert parse_commit_address(text) is None


def test_a_release_has_no_address():
    assert (Pin("a", "1", "a==1").address, display_version("2.13.0+cpu")) == ("", "2.13.0+cpu")


def test_a_budget_is_spent_when_its_deadline_has_passed():
    now = [0.0]
    budget = Budget(60, clock=lambda: now[0])
    assert not budget.deadline.passed
    now[0] = 61.0
    assert budget.deadline.passed
    assert budget.deadline.passed


FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"
KEY = ResultKey("transformers=latest", "load_4bit::test_reserved")


@pytest.fixture
def run(tmp_path):
    """Return a nightly run with one failure, beside the blame that was made for it."""
    for name in ("the-run", "the-blame"):
        shutil.copytree(FROZEN, tmp_path / name)
    pins = (exact_pin("transformers", "4.57.6"), exact_pin("transformers", "5.6.2"))
    change = PackageChange(package="transformers", old=pins[0], new=pins[1])
    asked = {"good": "a:b", "bad": "c:d", "scenario": "load_4bit.py::test_reserved", "matrix": "m"}
    question = BlameQuestion(**asked, shared=Cell("3.11", ()), changes=(change,))
    result = BlameResult(
        ending=Ending.FOUND,
        changes={"transformers": change.words()},
        members=("transformers",),
        proven=(("transformers",),),
    )
    SearchRecord(question=question, result=result).write(RunFolder(tmp_path / "the-blame"))
    return RunFolder(tmp_path / "the-run")


def drafted(run, tmp_path, ending, search="the-blame"):
    """Return the text of the draft after a search with this ending."""
    (attempt,) = (one for one in run.attempts() if one.signature)
    regression = claim(KEY.scenario, attempt.signature, KEY.series)
    searched = SearchSummary(keys=(KEY,), change="2 packages", answer="…", ending=ending, run=search)
    names, problems = write_drafts(run, [regression], [searched], CacheDir(tmp_path / "cache"), tmp_path)
    assert problems == ()
    (text,) = ((run.path / name).read_text(encoding="utf-8") for name in names)
    return text


@pytest.mark.parametrize(("ending", "quoted"), [(Ending.FOUND, True), (Ending.INTERRUPTED, False), ("", False)])
def test_a_draft_quotes_the_conclusion_of_a_blame_that_finished(run, tmp_path, ending, quoted):
    text = drafted(run, tmp_path, str(ending))
    assert ("transformers 4.57.6 → 5.6.2 alone turns good into bad" in text) == quoted


@pytest.mark.parametrize("ending", [Ending.INCONCLUSIVE, Ending.NOT_REPRODUCED])
def test_a_draft_says_that_a_blame_had_no_conclusion(run, tmp_path, ending):
    folder = RunFolder(tmp_path / "the-blame")
    result = BlameResult(ending=ending, changes={}, members=(), reason="the bad end passes")
    read_search(folder).model_copy(update={"result": result}).write(folder)
    text = drafted(run, tmp_path, ending.value)
    assert "A blame over 1 change between two environments gave no answer: " in text
    assert "the bad end passes" in text


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        (Ending.NOT_REPRODUCED, "A bisect of transformers gave no answer: not reproduced: it passes (bisected over"),
        (Ending.INCONCLUSIVE, "is one of bbbbbbbbbb, cccccccccc; aaaaaaaaaa is good (it passes) (bisected over"),
    ],
)
def test_a_draft_says_that_a_bisect_of_commits_had_no_conclusion(run, tmp_path, ending, sentence):
    shutil.copytree(FROZEN, tmp_path / "the-commits")
    folder, shas = RunFolder(tmp_path / "the-commits"), ("a" * 40, "b" * 40, "c" * 40)
    where = {"scenario": "load_4bit.py::test_reserved", "matrix": "m"}
    source = CommitSource(repository="git:x")
    question = CommitQuestion(package="transformers", older=shas[0], newer=shas[2], source=source, **where)
    result = CommitResult(
        ending=ending,
        package="transformers",
        address="https://github.com/huggingface/transformers",
        older=shas[0],
        newer=shas[2],
        before=shas[0],
        suspects=shas[1:],
        commits={sha: Commit(sha=sha, parents=(), date="2026-03-01T00:00:00Z", subject="Load") for sha in shas},
        judged={shas[0]: Evaluation(bad=False, reason="")},
        reason="it passes",
    )
    SearchRecord(question=question, result=result).write(folder)
    assert sentence in drafted(run, tmp_path, ending.value, search="the-commits")


def test_a_draft_that_cannot_be_written_is_reported_and_leaves_no_part(run, tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.nightly.searches.write_text", full)
    (attempt,) = (one for one in run.attempts() if one.signature)
    regression = claim(KEY.scenario, attempt.signature, KEY.series)
    names, problems = write_drafts(run, [regression], [], CacheDir(tmp_path / "cache"), tmp_path)
    assert (names, problems) == ((), (f"no draft for {KEY.scenario}: [Errno 28] No space left on device",))
    assert not list(run.path.glob("*issue-*"))
