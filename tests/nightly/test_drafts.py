"""A night's draft carries the answer of its search: of a bisect, and of a blame."""

import shutil
from pathlib import Path

import pytest

from harness.envs.pinned import exact_pin
from harness.envs.places import Places
from harness.matrix.cell import Cell
from harness.nightly.claim import Claim, Kind
from harness.nightly.drafts import write_drafts
from harness.nightly.record import Searched
from harness.search.blamed import BlameQuestion, BlameResult, write_question, write_result
from harness.search.changes import Change
from harness.search.result import Ending
from harness.store.folder import RunFolder

FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"
PLACE = ("transformers=latest", "load_4bit::test_reserved")
CLAIM = Claim(kind=Kind.NEW, line=PLACE[0], scenario=PLACE[1], cell="any")


@pytest.fixture
def night(tmp_path):
    """A night with one failure, and beside it the blame that was made for it."""
    for name in ("the-night", "the-blame"):
        shutil.copytree(FROZEN, tmp_path / name)
    pins = (exact_pin("transformers", "4.57.6"), exact_pin("transformers", "5.6.2"))
    change = Change(package="transformers", old=pins[0], new=pins[1])
    asked = {"good": "a:b", "bad": "c:d", "scenario": "load_4bit.py::test_reserved", "matrix": "m"}
    write_question(
        BlameQuestion(**asked, shared=Cell("3.11", ()), changes=(change,)), RunFolder(tmp_path / "the-blame")
    )
    result = BlameResult(
        ending=Ending.FOUND,
        changes={"transformers": change.words()},
        members=("transformers",),
        proven=(("transformers",),),
    )
    write_result(result, RunFolder(tmp_path / "the-blame"))
    return RunFolder(tmp_path / "the-night")


@pytest.mark.parametrize(
    ("ending", "told"), [(Ending.FOUND, True), (Ending.INCONCLUSIVE, False), (Ending.INTERRUPTED, False)]
)
def test_the_answer_of_a_blame_stands_in_the_draft(night, tmp_path, ending, told):
    (attempt,) = (one for one in night.attempts() if one.signature)
    claim = CLAIM.model_copy(update={"signature": attempt.signature})
    searched = Searched(places=(PLACE,), what="2 packages", answer="…", ending=ending.value, run="the-blame")
    made, said = write_drafts(night, [claim], [searched], Places(tmp_path / "cache"), tmp_path)
    assert said == ()
    (text,) = ((night.path / name).read_text(encoding="utf-8") for name in made)
    assert ("transformers 4.57.6 → 5.6.2 alone turns green into red" in text) == told
