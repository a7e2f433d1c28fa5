"""What ``harness bisect --into`` refuses before anything is probed, and what it says last."""

from types import SimpleNamespace

import pytest

from harness.cli.commits import Source, last_lines
from harness.cli.main import main
from harness.matrix.git import Commit, Repository
from harness.search.criterion import Evaluation
from harness.search.descent import CommitResult, Into
from harness.search.question import Question
from harness.search.result import Ending, Result

ASKED = ("--scenario", "x.py", "--matrix", "m.toml", "--good", "1.0", "--bad", "1.1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--into", "git:nowhere"), "--into git:nowhere is not a git repository"),
        (("--into", "nowhere"), "--into nowhere must be git:URL or git:FOLDER"),
        (("--into", "git:.", "--tags", "v1"), "--tags v1 must hold {} once"),
        (("--tags", "v{}"), "--tags, --all-parents and --commits belong to --into"),
        (("--all-parents",), "--tags, --all-parents and --commits belong to --into"),
        (("--commits",), "--tags, --all-parents and --commits belong to --into"),
        (("--into", "git:.", "--scan"), "--scan names every change and --into follows one"),
    ],
)
def test_a_mistake_is_one_sentence_before_the_index_is_asked(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    assert main(["bisect", "no-such-package-anywhere", *ASKED, *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


COMMITS = {
    one * 40: Commit(sha=one * 40, parents=(), date="2026-03-04T05:06:07Z", subject=f"Change {one} (#{number})")
    for number, one in enumerate("abcd", 1)
}


def said(
    ending: Ending, suspects: str = "b", *, find_fix: bool = False, reason: str = "", address: str = ""
) -> list[str]:
    question = Question(
        package="gadget", releases=("1.0", "1.1", "1.2"), scenario="x.py", matrix="m.toml", find_fix=find_fix
    )
    search = SimpleNamespace(question=question, folder=SimpleNamespace(path="reports/run"))
    released = Result(
        ending=Ending.FOUND, package="gadget", before="1.0", suspects=("1.1",), releases={}, find_fix=find_fix
    )
    found = CommitResult(
        ending=ending,
        package="gadget",
        address=address or "https://github.com/o/gadget",
        older="v1.0",
        newer="v1.1",
        before="a" * 40,
        suspects=tuple(one * 40 for one in suspects),
        commits=COMMITS,
        judged={"a" * 40: Evaluation(find_fix, "so it was")},
        find_fix=find_fix,
        reason=reason,
    )
    source = Source(Into(repository="git:../gadget"), Repository(folder=None, address="file:///gadget"))
    return last_lines(search, released, source, found)


def test_the_answer_comes_last_after_its_links_and_the_command():
    lines = said(Ending.FOUND)
    asked = "harness bisect gadget --good 1.0 --bad 1.1 --scenario x.py --matrix m.toml --into git:../gadget"
    assert lines == [
        f"to see the commits again: {asked}",
        f"https://github.com/o/gadget/commit/{'b' * 40}",
        "https://github.com/o/gadget/compare/aaaaaaaaaa...bbbbbbbbbb",
        "https://github.com/o/gadget/pull/2",
        f'{"b" * 40} (2026-03-04 PR #2 "Change b (#2)") is the first bad commit, aaaaaaaaaa the last good one',
    ]


def test_a_fix_has_its_ends_the_other_way_round():
    lines = said(Ending.FOUND, find_fix=True, address="file:///gadget")
    assert "--good 1.1 --bad 1.0" in lines[0]
    assert "--find-fix" in lines[0]
    assert lines[1:] == [
        f'{"b" * 40} (2026-03-04 PR #2 "Change b (#2)") is the first good commit, aaaaaaaaaa the last bad one'
    ]


def test_candidates_are_named_with_their_subjects():
    lines = said(Ending.INCONCLUSIVE, "bcd")
    assert lines[:3] == [f"  {COMMITS[one * 40].summary()}" for one in "bcd"]
    assert lines[3] == (
        "inconclusive: the first bad commit of gadget is one of bbbbbbbbbb, cccccccccc, dddddddddd; aaaaaaaaaa is good"
    )


def test_an_end_without_an_answer_says_why():
    assert said(Ending.INCONCLUSIVE, reason="the merge base is bad already") == [
        "inconclusive between v1.0 and v1.1: the merge base is bad already"
    ]
    assert said(Ending.NOT_REPRODUCED, reason="v1.1 built from source: good") == [
        "not reproduced from source: v1.1 built from source: good"
    ]
