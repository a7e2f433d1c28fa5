"""What a blame adds to a draft is the set that it proved, and the environments that prove it."""

from dataclasses import replace

import pytest

from harness.envs.requirements import exact_pin
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.report.issue.build import Material, build
from harness.report.issue.draft import select_failure
from harness.report.issue.evidence import failures
from harness.report.issue.render import render
from harness.report.issue.search_evidence import SearchedRun, blame_evidence, read_search_evidence, with_cell_names
from harness.search.blame import set_label
from harness.search.links import repositories
from harness.search.records import (
    BlameQuestion,
    BlameResult,
    Ending,
    PackageChange,
    ProbedSet,
    SearchRecord,
    read_search,
)
from harness.store.run_folder import RunFolder
from tests.contexts import build as build_report
from tests.contexts import lookup

KNOWN = repositories({})
KEY = "bnb-params4bit-hf-init"
TEST = "adapters::test_split_base"
SIGNATURE = "TypeError: x @ accelerate/utils/modeling.py:set_module_tensor_to_device"


def change(package, old, new):
    pins = (exact_pin(package, version) if version else None for version in (old, new))
    return PackageChange(package=package, old=next(pins), new=next(pins))


UP = change("transformers", "4.57.5", "5.0.0")
BACK = change("accelerate", "1.13.0", "1.11.0")
HUB = change("huggingface-hub", "0.36.2", "1.3.4")


def question(*changes, **more):
    asked = {"good": "a", "bad": "b", "scenario": "scenarios/adapters.py::test_split_base", "matrix": "m"}
    return BlameQuestion(**asked, shared=Cell("3.11", ()), changes=changes, **more)


def result(asked, members, proven, probes=(), **more):
    words = {one.package: one.words() for one in asked.changes}
    found = {"ending": Ending.FOUND, "members": members, "proven": proven, "probes": probes, **more}
    return BlameResult(changes=words, **found)


def said(*changes, members=None, proven=None, own=True, **more):
    asked, names = question(*changes), members or tuple(one.package for one in changes)
    return blame_evidence(
        asked, result(asked, names, proven or tuple((one,) for one in names), **more), SearchedRun(known=KNOWN), own=own
    )


@pytest.mark.parametrize(
    ("changes", "proven", "regression", "where"),
    [
        ((UP,), None, "between transformers 4.57.5 and 5.0.0", "transformers 5.0.0"),
        ((UP, HUB), (("transformers", "huggingface-hub"),), "with transformers 5.0.0", "transformers 5.0.0"),
        (
            (UP, HUB),
            None,
            "with transformers 5.0.0 and huggingface-hub 1.3.4 together",
            "transformers 5.0.0 and huggingface-hub 1.3.4",
        ),
        ((UP, BACK), None, "", "transformers 5.0.0 and accelerate 1.11.0"),
        ((change("torchao", None, "0.15.0"),), None, "with torchao 0.15.0", "torchao 0.15.0"),
        ((change("torchao", "0.15.0", None),), None, "", "no torchao"),
    ],
)
def test_the_title_names_all_that_is_needed_and_a_package_that_went_back_is_no_regression(
    changes, proven, regression, where
):
    found = said(*changes, proven=proven)
    assert (found.blame.regression, found.blame.where) == (regression, where)


def test_the_sentence_is_the_answer_with_what_it_rests_on():
    found = said(UP, BACK)
    assert found.sentence == (
        "Of 2 changes between two environments, transformers 4.57.5 → 5.0.0 and accelerate 1.13.0 → 1.11.0 are needed"
        " together; with either one removed it is good (0 environments run, with any failure of"
        " scenarios/adapters.py::test_split_base as bad). The failing cell that is described is the good end with only"
        " these. No single release was searched for."
    )
    assert found.links == (
        "https://github.com/huggingface/transformers/compare/v4.57.5...v5.0.0",
        "https://github.com/huggingface/accelerate/compare/v1.11.0...v1.13.0",
    )


def test_what_is_green_with_a_newer_release_of_one_package_may_be_mended():
    assert said(UP, BACK).blame.fixed.startswith("It passes in accelerate 1.13.0, which is newer than 1.11.0")
    assert said(UP, BACK, proven=(("transformers", "accelerate"),)).blame.fixed == ""
    assert said(UP).blame.fixed == ""


def test_no_answer_is_called_none_and_names_nothing():
    found = said(UP, HUB, ending=Ending.INCONCLUSIVE, reason="the good end is not good here (x)")
    assert found.sentence.startswith(
        "A blame over 2 changes between two environments gave no answer: inconclusive: the good end is not good"
    )
    assert (found.blame.regression, found.blame.where, found.settled) == ("", "", False)


@pytest.fixture
def blame(tmp_path, make_run, make_cell, make_red, make_attempt, hf_init):
    """A run of four environments between two ends that differ in three packages, of which two are needed."""
    asked = question(UP, BACK, HUB)
    applied = {
        "good": ((), "4.57.5", "1.13.0", False),
        "up": (("transformers", "huggingface-hub"), "5.0.0", "1.13.0", False),
        "answer": (("transformers", "accelerate", "huggingface-hub"), "5.0.0", "1.11.0", True),
        "back": (("accelerate",), "4.57.5", "1.11.0", False),
    }
    cells, rows, probes = [], [], []
    for name, (packages, transformers, accelerate, bad) in applied.items():
        at = {one for one, each in enumerate(asked.changes) if each.package in packages}
        labels = {"changes": set_label(asked.changes, at)}
        cell = make_cell(transformers, accelerate).model_copy(update={"id": name, "labels": labels})
        cells.append(cell)
        red = make_red(cell, TEST, "fail:run:exception", hf_init, SIGNATURE)
        rows.append(red if bad else make_attempt(cell, TEST))
        probes.append(ProbedSet(applied=packages, cell=name, bad=bad, reason="it fails" if bad else "it passes"))
    probes.append(ProbedSet(applied=("transformers",), cell=None, bad=None, reason="no such pair"))
    folder = RunFolder(tmp_path / "the-blame")
    folder.path.mkdir()
    folder.write_record(make_run(cells=tuple(cells), axes=("changes",), scenarios=()))
    proven = (("accelerate",), ("transformers", "huggingface-hub"))
    members = ("transformers", "accelerate", "huggingface-hub")
    apart = {"transformers": "no such pair", "huggingface-hub": "no such pair"}
    found = result(asked, members, proven, tuple(probes), apart=apart)
    SearchRecord(question=asked, result=found).write(folder)
    return folder, rows, asked


def issue_of(blame, *, own=True):
    folder, rows, asked = blame
    run = folder.read_record()
    report = with_cell_names(build_report(run, rows), asked)
    group = select_failure(failures(report.groups, report.rows), None)
    return build(
        Material(run, lookup(run, rows), report, {}),
        group,
        read_search_evidence(folder, read_search(folder), group, KNOWN, own=own),
    )


def test_the_good_end_and_the_answer_stand_against_each_other_and_nothing_is_left_unproven(blame):
    issue = issue_of(blame)
    assert (issue.evidence.comparison.failing, issue.evidence.comparison.passing) == ("the bad end", "the good end")
    assert {each.name for each in issue.evidence.comparison.packages} == {
        "transformers",
        "accelerate",
        "huggingface-hub",
    }
    text = " ".join(issue.summary)
    assert "not proven" not in text
    assert "transformers 4.57.5 → 5.0.0 and accelerate 1.13.0 → 1.11.0 are needed together" in text
    assert issue.posting.title.endswith("(seen with transformers 5.0.0 and accelerate 1.11.0)")
    assert issue.posting.labels == ("bug",)
    assert issue.posting.fixed.startswith("It passes in accelerate 1.13.0")


def test_in_the_draft_of_another_run_its_own_closest_pair_stays_and_proves_no_more_than_it_did(blame):
    issue = issue_of(blame, own=False)
    assert (issue.evidence.comparison.failing, issue.evidence.comparison.passing) == (
        "the bad end",
        "the good end with transformers + huggingface-hub",
    )
    assert issue.search.blame.pair is None
    assert "The failing cell that is described" not in " ".join(issue.summary)


def test_every_environment_that_was_tried_stands_in_the_text(blame):
    text = render(replace(issue_of(blame))).text
    assert "### Smallest set of package changes" in text
    assert (
        "Changes from the good to the bad environment: transformers 4.57.5 → 5.0.0, accelerate 1.13.0 → 1.11.0" in text
    )
    assert "5 environments were tried" in text
    assert "| none | good | it passes |" in text
    assert "| transformers | undecided | there is no such environment: no such pair |" in text
    assert "the result of each environment of the blame" in render(issue_of(blame), 2500).left_out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenario": "scenarios/adapters.py::test_other"}, "is about scenarios/adapters.py::test_other, where"),
        ({"signature": "meta-item"}, f"looked for meta-item, not for {KEY}"),
    ],
)
def test_a_blame_of_something_else_is_refused(blame, changes, sentence):
    folder, _, asked = blame
    read_search(folder).model_copy(update={"question": asked.model_copy(update=changes)}).write(folder)
    with pytest.raises(ConfigError, match=sentence):
        issue_of(blame)


def test_a_blame_without_its_result_says_how_to_go_on(blame):
    folder, _, _ = blame
    read_search(folder).model_copy(update={"result": None}).write(folder)
    with pytest.raises(ConfigError, match="continue with `harness blame --resume the-blame`"):
        issue_of(blame)
