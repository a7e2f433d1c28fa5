"""The conclusion of a search: one sentence for every ending, its details, and its title."""

import shutil
from pathlib import Path

import pytest

from harness.matrix.cell import Cell
from harness.matrix.git import Commit
from harness.search.conclusions import Conclusion, causes, conclude, details, sentence, title
from harness.search.criterion import Cause, Evaluation
from harness.search.records import (
    BlameQuestion,
    BlameResult,
    CommitQuestion,
    CommitResult,
    CommitSource,
    Ending,
    FailedEnd,
    ProbedSet,
    ReleaseChange,
    ReleaseQuestion,
    ReleaseResult,
    read_search,
)
from harness.store.run_folder import RunFolder

FROZEN = Path(__file__).parent / "frozen"
RELEASES = ReleaseQuestion(package="p", releases=("1", "2", "3"), scenario="s.py::t", matrix="m")
BLAME = BlameQuestion(good="g", bad="b", scenario="s.py::t", matrix="m", shared=Cell("3.11", ()), changes=())
GOOD, BAD = Evaluation(False, "it passes"), Evaluation(True, "it fails")
SKIPPED = Evaluation(None, "it skips", Cause.OTHER)


def released(ending, before="1", suspects=("2", "3"), **more):
    found = {"releases": {"1": GOOD, "3": BAD}, "find_fix": False, **more}
    return ReleaseResult(ending=ending, package="p", before=before, suspects=suspects, **found)


def at_end(side, evaluation, ending=Ending.INCONCLUSIVE, **more):
    end = FailedEnd(side=side, evaluation=evaluation, **more)
    return released(ending, reason=evaluation.reason, failed_end=end)


@pytest.mark.parametrize(
    ("asked", "result", "said"),
    [
        (
            {},
            released(Ending.FOUND, "1", ("2",), releases={"1": GOOD, "2": BAD}),
            "p 2 is the first bad release, 1 the last good one",
        ),
        (
            {"find_fix": True},
            released(Ending.FOUND, "1", ("2",), releases={"1": BAD, "2": GOOD}, find_fix=True),
            "p 2 is the first good release, 1 the last bad one",
        ),
        (
            {"assume_ends": True},
            released(Ending.FOUND, "1", ("2",), releases={"2": BAD}),
            "p 2 is the first bad release, 1 the last good one (1 was assumed, not run)",
        ),
        (
            {"assume_ends": True},
            released(Ending.FOUND, "1", ("2",), releases={}),
            "p 2 is the first bad release, 1 the last good one (1 and 2 were assumed, not run)",
        ),
        (
            {"metric": "x.y", "scan": False},
            released(
                Ending.FOUND, "1", ("2",), releases={"1": SKIPPED, "2": Evaluation(None, "x.y = 2", Cause.MEASURED)}
            ),
            "x.y changes from p 1 to 2",
        ),
        ({}, released(Ending.INCONCLUSIVE), "inconclusive: the first bad release of p is one of 2, 3; 1 is good"),
        (
            {},
            at_end("bad", GOOD, Ending.NOT_REPRODUCED),
            "not reproduced: p 3 is not bad here (it passes)",
        ),
        (
            {},
            at_end("bad", GOOD, Ending.NOT_REPRODUCED, swapped=True),
            "not reproduced: the ends look swapped: p 3 is good, p 1 is bad",
        ),
        (
            {"signature": "S"},
            at_end("bad", Evaluation(None, "it fails", Cause.OTHER_FAILURE), Ending.NOT_REPRODUCED, other_failure=True),
            "not reproduced: p 3 fails here for another reason than S (it fails)",
        ),
        ({}, at_end("good", BAD), "inconclusive: the good end, p 1, is not good here (it fails)"),
        ({}, at_end("good", SKIPPED), "inconclusive: the good end, p 1, is undecided here (it skips)"),
        ({}, at_end("bad", SKIPPED), "inconclusive: the bad end, p 3, is undecided here (it skips)"),
        (
            {"find_fix": True},
            at_end("good", BAD).model_copy(update={"find_fix": True}),
            "inconclusive: the good end, p 3, is still bad (it fails)",
        ),
        (
            {"find_fix": True},
            at_end("bad", SKIPPED).model_copy(update={"find_fix": True}),
            "inconclusive: the bad end, p 1, is undecided here (it skips)",
        ),
        (
            {"open_end": True},
            released(Ending.INCONCLUSIVE, "", ("1", "2"), reason="no good release was found; 1 is bad"),
            "inconclusive: p: no good release was found; 1 is bad",
        ),
        (
            {"confirm": 3},
            released(
                Ending.INCONCLUSIVE,
                "1",
                ("2",),
                reason="p 2: flaky: a, b",
                unconfirmed=Evaluation(None, "flaky: a, b", Cause.FLAKY),
            ),
            "inconclusive: p 2 is not confirmed as the first bad release: p 2: flaky: a, b",
        ),
        ({}, released(Ending.INTERRUPTED), "interrupted: the first bad release of p is one of 2, 3; 1 is good"),
        (
            {},
            released(Ending.INTERRUPTED, deadline_passed=True),
            "stopped at the deadline: the first bad release of p is one of 2, 3; 1 is good",
        ),
        ({}, released(Ending.INTERRUPTED, releases={}), "interrupted: the ends of p were not probed"),
        (
            {"scan": True},
            released(Ending.NOT_REPRODUCED, reason="every decided release is good"),
            "no change: every decided release is good",
        ),
        (
            {"scan": True, "metric": "x.y"},
            released(
                Ending.FOUND,
                changes=(
                    ReleaseChange(before="1", after="2", bad=True),
                    ReleaseChange(before="2", after="4", bad=False, between=("3",)),
                    ReleaseChange(before="4", after="5", bad=None),
                ),
            ),
            (
                "p turns bad at 2, 1 is the last before; p turns good between 2 and 4 (3 undecided); "
                "x.y changes at 5, 4 is the last before"
            ),
        ),
    ],
)
def test_every_ending_of_a_bisect_is_one_sentence(asked, result, said):
    assert sentence(RELEASES.model_copy(update=asked), result) == said


COMMITS = {
    one * 40: Commit(sha=one * 40, parents=(), date="2026-03-04T05:06:07Z", subject=f"Change {one} (#{number})")
    for number, one in enumerate("abcd", 1)
}


def committed(ending, suspects="b", *, find_fix=False, address="https://github.com/o/gadget", **more):
    return CommitResult(
        ending=ending,
        package="gadget",
        address=address,
        older="v1.0",
        newer="v1.1",
        before="a" * 40,
        suspects=tuple(one * 40 for one in suspects),
        commits=COMMITS,
        judged={"a" * 40: Evaluation(find_fix, "so it was"), "b" * 40: Evaluation(not find_fix, "so it is")},
        find_fix=find_fix,
        **more,
    )


def test_a_commit_is_named_with_its_subject_and_linked():
    found = committed(Ending.FOUND)
    said = 'bbbbbbbbbb (2026-03-04 PR #2 "Change b (#2)") is the first bad commit, aaaaaaaaaa the last good one'
    assert sentence(RELEASES, found) == said
    assert details(found) == (
        f"commit {'b' * 40}",
        f"https://github.com/o/gadget/commit/{'b' * 40}",
        "https://github.com/o/gadget/compare/aaaaaaaaaa...bbbbbbbbbb",
        "https://github.com/o/gadget/pull/2",
    )


def test_a_fix_has_its_ends_the_other_way_round_and_a_local_repository_no_links():
    found = committed(Ending.FOUND, find_fix=True, address="file:///gadget")
    assert sentence(RELEASES.model_copy(update={"find_fix": True}), found).endswith(
        "is the first good commit, aaaaaaaaaa the last bad one"
    )
    assert details(found) == (f"commit {'b' * 40}",)


def test_commits_that_are_left_are_named_with_their_subjects():
    found = committed(Ending.INCONCLUSIVE, "bcd")
    assert details(found) == tuple(f"  {COMMITS[one * 40].summary()}" for one in "bcd")
    said = (
        "inconclusive: the first bad commit of gadget is one of bbbbbbbbbb, cccccccccc, dddddddddd; aaaaaaaaaa is good"
    )
    assert sentence(RELEASES, found) == said


def test_a_tag_that_is_not_what_its_release_is_says_that_it_was_built_from_source():
    end = FailedEnd(side="bad", evaluation=GOOD)
    found = committed(Ending.NOT_REPRODUCED, "bcd", failed_end=end, reason="it passes")
    assert sentence(RELEASES, found) == "not reproduced: v1.1 built from source is not bad here (it passes)"
    assert details(found) == ()


def test_a_change_on_the_older_branch_names_no_commit():
    found = committed(Ending.INCONCLUSIVE, "", reason="the merge base is bad already")
    said = "inconclusive: no bad commit of gadget can be named: the merge base is bad already"
    assert sentence(RELEASES, found) == said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"ending": Ending.NOT_REPRODUCED, "failed_end": FailedEnd(side="bad", evaluation=GOOD)},
            "not reproduced: the bad end is not bad here (it passes)",
        ),
        (
            {"ending": Ending.NOT_REPRODUCED, "failed_end": FailedEnd(side="bad", evaluation=GOOD, swapped=True)},
            "not reproduced: the ends look swapped: the bad one is good, the good one is bad",
        ),
        (
            {"failed_end": FailedEnd(side="good", evaluation=SKIPPED)},
            "inconclusive: the good end is undecided here (it skips)",
        ),
        ({"reason": "with a: it passes"}, "inconclusive: with a: it passes; a, b are left"),
        ({"ending": Ending.INTERRUPTED}, "interrupted: a, b are left"),
        ({"unsure": {"b": "it skips"}}, "inconclusive: a is part of it, and it is undecided without b"),
        ({"unsure": {"a": "x", "b": "y"}}, "inconclusive: it is undecided without a, b"),
    ],
)
def test_a_blame_without_an_answer_says_why(more, said):
    result = BlameResult(**{"ending": Ending.INCONCLUSIVE, "changes": {}, "members": ("a", "b"), **more})
    assert sentence(BLAME, result) == said


def result_of(members, proven, **more):
    changes = {name: f"{name} 1 → 2" for name in members}
    groups = tuple(tuple(group) for group in proven)
    return BlameResult(ending=Ending.FOUND, changes=changes, members=tuple(members), proven=groups, **more)


@pytest.mark.parametrize(
    ("members", "proven", "said"),
    [
        ("a", ["a"], "a 1 → 2 alone turns good into bad"),
        ("ab", ["a", "b"], "a 1 → 2 and b 1 → 2 are needed together; with either one removed it is good"),
        (
            "abc",
            ["a", "b", "c"],
            "a 1 → 2, b 1 → 2 and c 1 → 2 are needed together; with any one of them removed it is good",
        ),
        ("ab", ["a"], "a 1 → 2 turns good into bad; b 1 → 2 cannot be removed alone"),
        ("ab", ["ab"], "a 1 → 2 turns good into bad; b 1 → 2 cannot be separated from a"),
        (
            "abc",
            ["c", "ab"],
            (
                "a 1 → 2 and c 1 → 2 are needed together; with either one removed it is good; "
                "b 1 → 2 cannot be separated from a"
            ),
        ),
    ],
)
def test_the_answer_of_a_blame_is_one_sentence(members, proven, said):
    assert sentence(BLAME, result_of(members, proven)) == said


def test_what_supports_a_blame_is_told_in_lines():
    result = result_of("ab", ["ab"], followers=tuple(f"f{n} 1" for n in range(7)), apart={"b": "a==2 needs b"})
    assert details(result) == (
        "with it come and go: f0 1, f1 1, f2 1, f3 1, f4 1 and 2 more",
        "without b there is no such environment: a==2 needs b",
    )


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (released(Ending.INCONCLUSIVE, releases={"1": GOOD, "2": SKIPPED, "3": BAD}), {Cause.OTHER}),
        (released(Ending.INCONCLUSIVE, releases={"1": SKIPPED, "2": GOOD, "3": BAD}), set()),
        (at_end("bad", Evaluation(None, "x", Cause.TIMEOUT)), {Cause.TIMEOUT}),
        (released(Ending.INCONCLUSIVE, unconfirmed=Evaluation(None, "x", Cause.FLAKY)), {Cause.FLAKY}),
        (
            BlameResult(
                ending=Ending.INCONCLUSIVE,
                changes={},
                members=("a", "b"),
                unsure={"b": "x"},
                probes=(
                    ProbedSet(applied=("a",), cell=None, bad=None, reason="x", cause=Cause.NO_ENVIRONMENT),
                    ProbedSet(applied=("b",), cell="c", bad=None, reason="x", cause=Cause.TIMEOUT),
                ),
            ),
            {Cause.NO_ENVIRONMENT},
        ),
    ],
)
def test_only_what_an_ending_rests_on_is_a_cause(result, found):
    assert causes(result) == found


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (RELEASES, "First bad release of p, 1 … 3: s.py::t"),
        (RELEASES.model_copy(update={"find_fix": True}), "First good release of p, 1 … 3: s.py::t"),
        (RELEASES.model_copy(update={"scan": True}), "Every release of p, 1 … 3: s.py::t"),
        (
            CommitQuestion(
                package="p",
                older="a" * 40,
                newer="b" * 40,
                source=CommitSource(repository="git:x"),
                scenario="s.py",
                matrix="m",
            ),
            "First bad commit of p, aaaaaaaaaa … bbbbbbbbbb: s.py",
        ),
        (BLAME, "Package changes from g to b: s.py::t"),
    ],
)
def test_a_title_names_the_question(question, said):
    assert title(question) == said


def test_the_conclusion_of_a_run_folder_is_data(tmp_path):
    shutil.copytree(FROZEN / "found", tmp_path / "run")
    assert conclude(read_search(RunFolder(tmp_path / "run"))) == Conclusion(
        title="First bad release of p, 0 … 6: s.py::t",
        ending=Ending.FOUND,
        sentences=(
            "p 5 is the first bad release, 4 the last good one",
            'bbbbbbbbbb (2026-03-01 PR #2 "Change b (#2)") is the first bad commit, aaaaaaaaaa the last good one',
        ),
        details=(
            f"commit {'b' * 40}",
            f"https://github.com/o/p/commit/{'b' * 40}",
            "https://github.com/o/p/compare/aaaaaaaaaa...bbbbbbbbbb",
            "https://github.com/o/p/pull/2",
        ),
    )


def test_a_search_that_has_not_ended_has_no_conclusion(tmp_path):
    shutil.copytree(FROZEN / "undecided", tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    assert conclude(read_search(RunFolder(tmp_path / "run"))) is None
