"""The sentences of a draft claim no more than the evidence proves."""

import re
from dataclasses import replace

import pytest

from harness.report.issue.model import CellComparison, CellDifference, ScenarioCounts, SearchEvidence
from harness.report.issue.wording import comparison_sentence, counts_sentence, title

ONE = CellDifference("package", "transformers", "5.6.2", "4.57.6")
BESIDE = CellDifference("package", "tokenizers", "0.22.2", "0.21.0", pinned=False)
COUNT = ScenarioCounts("a::test_x", "", ("r",), (), (), ("g",), ())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((ONE,), "only one package differs, transformers 5.6.2 instead of 4.57.6."),
        ((ONE, BESIDE), "only one pin differs, .* so it is not proven to be the cause."),
        ((ONE, replace(ONE, name="peft")), "2 packages differ, .*; which of these makes the difference is not proven."),
        (
            (CellDifference("variable", "X", "1", ""),),
            r"the packages are the same, what differs is: X 1 instead of \(empty\).",
        ),
        (
            (replace(ONE, failing="4.57.6", passing="5.6.2"),),
            "The passing one has the newer release: it may be fixed there.",
        ),
        ((), "what differs is: nothing that was recorded."),
    ],
)
def test_the_comparison_sentence_claims_no_more_than_it_proves(found, said):
    text = comparison_sentence(CellComparison("one", "other", found), COUNT)
    assert re.search(said, text), text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(COUNT, passing=()), "passes in no cell"),
        (replace(COUNT, failing=(), flaky=("r",)), "Attempts disagree"),
        (COUNT, "No failing and passing cell with known packages"),
    ],
)
def test_without_a_pair_the_reason_is_given(found, said):
    assert said in comparison_sentence(None, found)


def test_with_a_search_only_the_run_by_itself_leaves_the_package_open():
    text = comparison_sentence(None, replace(COUNT, passing=()), searched=True)
    assert text == "It passes in no cell of this run, which by itself does not identify the package."


@pytest.mark.parametrize(
    ("contrast", "searched", "expected"),
    [
        (None, None, "It breaks (seen with c)"),
        (CellComparison("r", "g", (ONE,)), None, "[Regression between transformers 4.57.6 and 5.6.2] It breaks"),
        (CellComparison("r", "g", (ONE, BESIDE)), None, "It breaks (seen with c)"),
        (
            CellComparison("r", "g", (replace(ONE, failing="1", passing="2"),)),
            None,
            "It breaks (seen with c, not with 2)",
        ),
        (CellComparison("r", "g", (replace(ONE, failing="dev"),)), None, "It breaks (seen with c)"),
        (
            None,
            SearchEvidence("", culprit="5.4.0", package="transformers", only_difference=True),
            "[Regression in transformers 5.4.0] It breaks",
        ),
        (
            None,
            SearchEvidence("", culprit="5.4.0", package="transformers"),
            "[Regression with transformers 5.4.0] It breaks",
        ),
        (None, SearchEvidence("", culprit="", package="transformers"), "It breaks (seen with c)"),
    ],
)
def test_the_title_names_a_release_only_where_the_evidence_does(contrast, searched, expected):
    assert title("It  breaks", contrast, searched, "c") == expected


def test_an_intended_change_is_not_called_a_regression():
    assert title("It breaks", CellComparison("r", "g", (ONE,)), None, "c", intended=True).startswith(
        "[Changed between transf"
    )
    found = SearchEvidence("", culprit="5.4.0", package="transformers", only_difference=True)
    assert title("It breaks", None, found, "c", intended=True) == "[Changed in transformers 5.4.0] It breaks"


def test_no_title_is_longer_than_github_takes():
    assert len(title("x" * 900, None, None, "c")) < 256
    assert len(title("x" * 900, None, SearchEvidence("", culprit="5.4.0", package="transformers"), "c")) < 256


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ScenarioCounts("s", "", ("a", "b"), (), (), ("c",), ()), "in 2 of the 3 cells .* ran; it passes in 1 (c)."),
        (
            ScenarioCounts("s", "", ("a",), (), ("b",), (), ("d",)),
            "in 1 of the 2 cells .* in another way in 1 (b), ",
        ),
        (ScenarioCounts("s", "", ("a",), ("b",), (), (), ()), "is flaky in 1 (attempts disagree: b), passes in none."),
        (
            ScenarioCounts("s", "", ("a",), (), (), (), ("d", "e")),
            "in one cell only, and fails there; in 2 more cells",
        ),
        (ScenarioCounts("s", "", (), ("a",), (), (), ()), "in one cell only, where its attempts disagree (flaky)."),
    ],
)
def test_cells_are_counted_of_those_in_which_it_ran(found, said):
    for part in said.split(" .* "):
        assert part in counts_sentence(found)
