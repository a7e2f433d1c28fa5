"""A night's draft carries the answer of its search: of a bisect, and of a blame."""

import shutil
from pathlib import Path

import pytest

from harness.envs.cache_dir import CacheDir
from harness.envs.requirements import exact_pin
from harness.matrix.cell import Cell
from harness.matrix.git import Commit
from harness.nightly.claim import Claim, Kind
from harness.nightly.record import Searched
from harness.nightly.searches import write_drafts
from harness.search.criterion import Evaluation
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

FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"
PLACE = ("transformers=latest", "load_4bit::test_reserved")
CLAIM = Claim(kind=Kind.NEW, line=PLACE[0], scenario=PLACE[1], cell="any")


@pytest.fixture
def night(tmp_path):
    """A night with one failure, and beside it the blame that was made for it."""
    for name in ("the-night", "the-blame"):
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
    return RunFolder(tmp_path / "the-night")


def drafted(night, tmp_path, ending, run="the-blame"):
    (attempt,) = (one for one in night.attempts() if one.signature)
    claim = CLAIM.model_copy(update={"signature": attempt.signature})
    searched = Searched(places=(PLACE,), what="2 packages", answer="…", ending=ending, run=run)
    made, said = write_drafts(night, [claim], [searched], CacheDir(tmp_path / "cache"), tmp_path)
    assert said == ()
    (text,) = ((night.path / name).read_text(encoding="utf-8") for name in made)
    return text


@pytest.mark.parametrize(("ending", "told"), [(Ending.FOUND, True), (Ending.INTERRUPTED, False), ("", False)])
def test_the_answer_of_a_blame_stands_in_the_draft(night, tmp_path, ending, told):
    text = drafted(night, tmp_path, str(ending))
    assert ("transformers 4.57.6 → 5.6.2 alone turns good into bad" in text) == told


@pytest.mark.parametrize("ending", [Ending.INCONCLUSIVE, Ending.NOT_REPRODUCED])
def test_a_blame_without_an_answer_is_told_as_that(night, tmp_path, ending):
    folder = RunFolder(tmp_path / "the-blame")
    result = BlameResult(ending=ending, changes={}, members=(), reason="the bad end passes")
    read_search(folder).model_copy(update={"result": result}).write(folder)
    text = drafted(night, tmp_path, ending.value)
    assert "A blame over 1 change between two environments gave no answer: " in text
    assert "the bad end passes" in text


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        (Ending.NOT_REPRODUCED, "A bisect of transformers gave no answer: not reproduced: it passes (bisected over"),
        (Ending.INCONCLUSIVE, "is one of bbbbbbbbbb, cccccccccc; aaaaaaaaaa is good (it passes) (bisected over"),
    ],
)
def test_a_search_among_commits_without_an_answer_is_told_as_that(night, tmp_path, ending, sentence):
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
    assert sentence in drafted(night, tmp_path, ending.value, run="the-commits")
