"""What a bisect adds to a draft is as wide as its evidence."""

import pytest

from harness.errors import ConfigError
from harness.matrix.git import Commit
from harness.report.issue.model import SearchEvidence
from harness.report.issue.search_evidence import SearchedRun, bisect_evidence, read_search_evidence, with_commit_search
from harness.report.model import Group
from harness.search.criterion import Evaluation
from harness.search.links import repositories
from harness.search.records import (
    CommitQuestion,
    CommitResult,
    CommitSource,
    Ending,
    FailedEnd,
    ReleaseQuestion,
    ReleaseResult,
    SearchRecord,
    read_search,
)
from harness.store.records import Status
from harness.store.run_folder import RunFolder

KNOWN = repositories({})
KEY = "bnb-params4bit-hf-init"
RELEASES = ("5.2.0", "5.3.0", "5.4.0", "5.5.0")
ASKED = ReleaseQuestion(
    package="transformers",
    releases=RELEASES,
    scenario="scenarios/adapters.py::test_split_base",
    matrix="catalogue",
)
FOUND = ReleaseResult(
    ending=Ending.FOUND,
    package="transformers",
    before="5.3.0",
    suspects=("5.4.0",),
    releases={
        "5.2.0": Evaluation(bad=False, reason="passes"),
        "5.5.0": Evaluation(bad=True, reason="fails"),
        "5.3.0": Evaluation(bad=False, reason="passes"),
        "5.4.0": Evaluation(bad=True, reason="fails"),
    },
)
TEST = "adapters::test_split_base[a]"
GROUP = Group(KEY, Status.FAIL, KEY, "it breaks", ("TypeError: x @ a/b.py:c",), (), (), (TEST,), 2)


@pytest.fixture
def cells(make_cell):
    return tuple(
        make_cell(release, "1.13.0").model_copy(
            update={"versions": {"transformers": release, "torch": "2.13.0"}},
        )
        for release in RELEASES
    )


def said(result=FOUND, asked=ASKED, cells=(), attempts=()):
    return bisect_evidence(asked, result, SearchedRun(GROUP, cells, attempts, KNOWN))


def test_an_answer_names_the_release_the_span_and_what_counted_as_bad(cells):
    found = said(cells=cells)
    assert found.sentence == (
        "transformers 5.4.0 is the first bad release, 5.3.0 the last good one (bisected over 4 releases from 5.2.0 to"
        " 5.5.0, 4 of them run, with any failure of scenarios/adapters.py::test_split_base as bad)."
        " No other package differs between these two."
    )
    assert (found.culprit, found.only_difference) == ("5.4.0", True)
    assert found.compare == "https://github.com/huggingface/transformers/compare/v5.3.0...v5.4.0"
    assert found.probed[0] == ("5.2.0", "good", "passes")


def test_what_else_differs_at_the_border_is_said(cells):
    moved = cells[2].model_copy(update={"versions": {"transformers": "5.4.0", "torch": "2.12.0"}})
    text = said(cells=(*cells[:2], moved, cells[3])).sentence
    assert text.endswith("With 5.4.0 1 other package resolved otherwise (torch 2.12.0 instead of 2.13.0).")


def test_a_release_that_fails_in_another_way_is_not_called_the_culprit(cells, make_red, make_attempt, hf_init):
    unlike = hf_init.model_copy(update={"type": "E", "message": ""})
    other = make_red(cells[2], TEST, "fail:run:timeout", unlike, "E")
    found = said(cells=cells, attempts=[other, make_attempt(cells[1], TEST)])
    assert found.culprit == ""
    assert found.sentence.endswith("At 5.4.0 it fails differently: E.")
    same = make_red(cells[2], TEST, "fail:run:exception", hf_init, "TypeError: x @ a/b.py:c")
    assert said(cells=cells, attempts=[same]).culprit == "5.4.0"


def test_a_fix_is_no_regression(cells):
    fixed = FOUND.model_copy(update={"find_fix": True})
    found = said(fixed, ASKED.model_copy(update={"find_fix": True}), cells)
    assert found.sentence.startswith("transformers 5.4.0 is the first good release, 5.3.0 the last bad one")
    assert found.culprit == ""


def ended_at(side, evaluation, ending=Ending.INCONCLUSIVE):
    """Return what changes in a result that an end stopped."""
    end = FailedEnd(side=side, evaluation=evaluation)
    return {"ending": ending, "before": "5.2.0", "suspects": RELEASES[1:], "failed_end": end}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            ended_at("bad", Evaluation(False, "it passes"), Ending.NOT_REPRODUCED),
            "gave no answer: not reproduced: transformers 5.5.0 is not bad here (it passes) (bisected over",
        ),
        (
            {"ending": Ending.INCONCLUSIVE, "suspects": ("5.4.0", "5.5.0")},
            "the first bad release of transformers is one of 5.4.0, 5.5.0; 5.3.0 is good (bisected over",
        ),
        (
            {"ending": Ending.INTERRUPTED, "suspects": ("5.4.0", "5.5.0")},
            "gave no answer: interrupted: the first bad release of transformers is one of 5.4.0, 5.5.0; 5.3.0 is good",
        ),
        (
            {"ending": Ending.INTERRUPTED, "before": "5.2.0", "evaluations": {}},
            "interrupted: the ends of transformers were not probed (bisected over",
        ),
        (
            {"ending": Ending.INCONCLUSIVE, "before": "", "reason": "no good release was found"},
            "inconclusive: transformers: no good release was found (bisected over",
        ),
        (
            ended_at("bad", Evaluation(None, "skips")),
            "inconclusive: the bad end, transformers 5.5.0, is undecided here (skips) (bisected over",
        ),
        (
            ended_at("good", Evaluation(True, "it fails")),
            "inconclusive: the good end, transformers 5.2.0, is not good here (it fails) (bisected over",
        ),
    ],
)
def test_no_answer_is_called_none(changes, text):
    found = said(FOUND.model_copy(update=changes))
    assert text in found.sentence
    assert found.culprit == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"signature": KEY}, f"with the failure {KEY} of scenarios/"),
        (
            {"metric": "cuda.reserved", "factor": 1.5},
            "with cuda.reserved of scenarios/adapters.py::test_split_base above",
        ),
    ],
)
def test_what_counted_as_bad_is_said(changes, text):
    assert text in said(asked=ASKED.model_copy(update=changes)).sentence


@pytest.fixture
def bisect(tmp_path, make_run, cells):
    folder = RunFolder(tmp_path / "bisect")
    folder.path.mkdir()
    folder.write_record(make_run(cells=cells))
    SearchRecord(question=ASKED).write(folder)
    return folder


def test_a_bisect_is_read_from_its_folder(bisect):
    with pytest.raises(ConfigError, match="the bisect bisect has not ended; continue with `harness bisect"):
        read_search_evidence(bisect, read_search(bisect), GROUP, KNOWN, own=False)
    search = SearchRecord(question=ASKED, result=FOUND)
    assert read_search_evidence(bisect, search, GROUP, KNOWN, own=False).culprit == "5.4.0"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenario": "scenarios/adapters.py::test_other"}, "is about scenarios/adapters.py::test_other, where"),
        ({"scenario": "scenarios/merging.py"}, "is about scenarios/merging.py, where"),
        ({"signature": "meta-item"}, f"looked for meta-item, not for {KEY}"),
    ],
)
def test_a_bisect_of_something_else_is_refused(bisect, changes, sentence):
    search = SearchRecord(question=ASKED.model_copy(update=changes), result=FOUND)
    with pytest.raises(ConfigError, match=sentence):
        read_search_evidence(bisect, search, GROUP, KNOWN, own=False)


def test_a_scan_without_a_bound_judges_no_release():
    unjudged = {release: Evaluation(bad=None, reason="x = 1") for release in RELEASES}
    found = said(FOUND.model_copy(update={"evaluations": unjudged}), ASKED.model_copy(update={"metric": "x.share"}))
    assert found.sentence.startswith("x.share changes from transformers 5.3.0 to 5.4.0 (bisected over 4 releases from ")
    assert found.culprit == ""


SHAS = ("a" * 40, "b" * 40, "c" * 40)
COMMITS = CommitResult(
    ending=Ending.FOUND,
    package="transformers",
    address="https://github.com/huggingface/transformers.git",
    older="v5.3.0",
    newer="v5.4.0",
    before=SHAS[0],
    suspects=SHAS[1:2],
    commits={sha: Commit(sha=sha, parents=(), date="2026-03-01T00:00:00Z", subject="Load (#45)") for sha in SHAS},
    judged={SHAS[0]: Evaluation(bad=False, reason=""), SHAS[1]: Evaluation(bad=True, reason="")},
)


def with_found_commits(found, commits, cells=(), attempts=(), group=None):
    return with_commit_search(found, ASKED, commits, SearchedRun(group, cells, attempts, KNOWN))


def test_the_commit_that_was_found_is_named_and_linked():
    found = with_found_commits(said(), COMMITS)
    assert 'bbbbbbbbbb (2026-03-01 PR #45 "Load (#45)") is the first bad commit, aaaaaaaaaa the last' in found.sentence
    assert "(between v5.3.0 and v5.4.0, 2 commits run)" in found.sentence
    home = "https://github.com/huggingface/transformers"
    assert found.compare == f"{home}/compare/v5.3.0...v5.4.0"
    assert found.links == (f"{home}/commit/{SHAS[1]}", f"{home}/pull/45")


def test_a_local_repository_has_no_links():
    assert with_found_commits(said(), COMMITS.model_copy(update={"address": "/work/transformers"})).links == ()


def test_commits_that_are_left_are_named_and_an_interrupted_search_says_nothing():
    left = COMMITS.model_copy(update={"ending": Ending.INCONCLUSIVE, "suspects": SHAS[1:]})
    assert "is one of bbbbbbbbbb, cccccccccc; aaaaaaaaaa is good" in with_found_commits(said(), left).sentence
    stopped = COMMITS.model_copy(update={"ending": Ending.INTERRUPTED})
    assert with_found_commits(said(), stopped).sentence == said().sentence


ALONE = COMMITS.model_copy(update={"older": SHAS[0], "newer": SHAS[2]})
BETWEEN = CommitQuestion(
    package="transformers",
    older=SHAS[0],
    newer=SHAS[2],
    source=CommitSource(repository="git:x"),
    scenario="x.py::test",
    matrix="m",
)


def alone(result, cells=(), attempts=(), group=None):
    return bisect_evidence(BETWEEN, result, SearchedRun(group, cells, attempts))


def test_a_bisect_of_commits_names_the_commit_and_how_it_was_found():
    found = alone(ALONE)
    assert found.sentence == (
        'bbbbbbbbbb (2026-03-01 PR #45 "Load (#45)") is the first bad commit, aaaaaaaaaa the last good one'
        " (bisected over the commits of transformers from aaaaaaaaaa to cccccccccc, 2 of them run,"
        " with any failure of x.py::test as bad)."
    )
    home = "https://github.com/huggingface/transformers"
    assert found.links == (f"{home}/commit/{SHAS[1]}", f"{home}/pull/45")
    assert found.compare == f"{home}/compare/aaaaaaaaaa...bbbbbbbbbb"
    assert [answer for _, answer, _ in found.probed] == ["good", "bad"]
    assert alone(ALONE.model_copy(update={"address": "file:///x"})).links == ()


@pytest.fixture
def commit_cells(make_cell):
    return tuple(
        make_cell("5.4.0", "1.13.0").model_copy(
            update={
                "id": f"at-{sha[0]}",
                "pins": {"transformers": f"git@{sha[:8]}"},
                "versions": {"transformers": f"git+https://x@{sha}", "torch": "2.13.0"},
            }
        )
        for sha in SHAS
    )


def test_the_commit_that_was_found_is_the_culprit_as_a_release_is(commit_cells):
    found = alone(ALONE, commit_cells)
    assert (found.package, found.culprit, found.only_difference, found.unit) == (
        "transformers",
        "bbbbbbbbbb",
        True,
        "commit",
    )
    assert found.sentence.endswith(" No other package differs between these two.")
    assert alone(ALONE.model_copy(update={"find_fix": True}), commit_cells).culprit == ""
    assumed = ALONE.model_copy(update={"evaluations": {SHAS[0]: Evaluation(bad=False, reason="")}})
    assert alone(assumed, commit_cells).culprit == ""


def test_what_came_with_a_commit_is_said(commit_cells):
    moved = commit_cells[1].model_copy(update={"versions": {"transformers": "x", "torch": "2.12.0"}})
    found = alone(ALONE, (commit_cells[0], moved))
    assert found.sentence.endswith(
        "With bbbbbbbbbb 1 other package resolved otherwise (torch 2.12.0 instead of 2.13.0)."
    )
    assert (found.culprit, found.only_difference) == ("bbbbbbbbbb", False)


def test_a_commit_that_fails_in_another_way_is_not_the_culprit(commit_cells, make_red, hf_init):
    unlike = hf_init.model_copy(update={"type": "E", "message": ""})
    other = make_red(commit_cells[1], TEST, "fail:run:exception", unlike, "E")
    for found in (
        alone(ALONE, commit_cells, [other], GROUP),
        with_found_commits(SearchEvidence("A.", package="transformers"), COMMITS, commit_cells, [other], GROUP),
    ):
        assert found.culprit == ""
        assert found.sentence.endswith(" At bbbbbbbbbb it fails differently: E.")
    same = make_red(commit_cells[1], TEST, "fail:run:exception", hf_init, "TypeError: x @ a/b.py:c")
    assert alone(ALONE, commit_cells, [same], GROUP).culprit == "bbbbbbbbbb"


def test_after_a_bisect_the_release_stays_the_culprit_and_the_commit_is_where_no_release_was_judged(commit_cells):
    assert with_found_commits(said(), COMMITS, commit_cells).culprit == "5.4.0"
    assumed = with_found_commits(said(FOUND.model_copy(update={"evaluations": {}})), COMMITS, commit_cells)
    assert (assumed.culprit, assumed.only_difference) == ("bbbbbbbbbb", True)


def test_a_bisect_of_commits_is_read_with_its_cells(tmp_path, make_run, commit_cells):
    folder = RunFolder(tmp_path / "search")
    folder.path.mkdir()
    folder.write_record(make_run(cells=commit_cells))
    question = BETWEEN.model_copy(update={"scenario": "adapters.py"})
    found = read_search_evidence(folder, SearchRecord(question=question, result=ALONE), GROUP, KNOWN, own=False)
    assert (found.culprit, found.only_difference) == ("bbbbbbbbbb", True)


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        (Ending.NOT_REPRODUCED, "gave no answer: not reproduced: it passes (bisected over"),
        (Ending.INTERRUPTED, "gave no answer: interrupted: the first bad commit of transformers is one of bbbbbbbbbb"),
        (Ending.INCONCLUSIVE, "is one of bbbbbbbbbb, cccccccccc; aaaaaaaaaa is good (it passes) (bisected over"),
    ],
)
def test_a_bisect_of_commits_without_an_answer_says_as_much(ending, sentence):
    found = alone(ALONE.model_copy(update={"ending": ending, "suspects": SHAS[1:], "reason": "it passes"}))
    assert sentence in found.sentence
    assert (found.links, found.culprit, found.unit) == ((), "", "commit")


@pytest.mark.parametrize(("side", "evaluation"), [("good", Evaluation(True, "x")), ("bad", Evaluation(None, "x"))])
def test_of_commits_whose_end_is_not_what_it_was_said_to_be_nothing_is_claimed(side, evaluation):
    end = FailedEnd(side=side, evaluation=evaluation)
    stopped = ALONE.model_copy(update={"ending": Ending.INCONCLUSIVE, "suspects": SHAS[1:], "failed_end": end})
    assert f"inconclusive: the {side} end, " in alone(stopped).sentence
    assert " is one of " not in alone(stopped).sentence
    found = with_found_commits(said(), stopped)
    assert f" Its commits gave no answer: inconclusive: the {side} end, " in found.sentence
