"""``search.json``: what it keeps, and what older versions wrote in its place."""

import shutil
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.git import Commit
from harness.search.criterion import Cause, Evaluation
from harness.search.records import (
    SEARCH_FILE,
    BlameQuestion,
    BlameResult,
    CommitQuestion,
    CommitResult,
    CommitSource,
    Ending,
    FailedEnd,
    PackageQuestion,
    ProbedSet,
    ReleaseChange,
    ReleaseQuestion,
    ReleaseResult,
    SearchRecord,
    read_question,
    read_search,
)
from harness.store.run_folder import RunFolder

FROZEN = Path(__file__).parent / "frozen"
SHAS = {one: one * 40 for one in "abcd"}
ASKED = {"scenario": "s.py::t", "matrix": "m"}
RELEASES = ReleaseQuestion(package="p", releases=("1", "2"), **ASKED)
COMMITS = CommitQuestion(
    package="p", older=SHAS["a"], newer=SHAS["d"], source=CommitSource(repository="git:../p"), **ASKED
)


@pytest.fixture
def frozen(tmp_path):
    """Return a function that copies a run folder of an older version and gives it with its search."""

    def read(name):
        folder = RunFolder(tmp_path / name)
        shutil.copytree(FROZEN / name, folder.path)
        return folder, read_search(folder)

    return read


def test_an_old_bisect_is_read_with_its_search_among_commits(frozen):
    _, search = frozen("found")
    source = CommitSource(repository="git:../p", tags="v{}", all_parents=True)
    releases = tuple("0123456")
    assert search.question == ReleaseQuestion(package="p", releases=releases, source=source, **ASKED)
    assert (search.result.ending, search.result.before, search.result.suspects) == (Ending.FOUND, "4", ("5",))
    assert search.result.evaluations["3"] == Evaluation(None, "s::t skip:run:not_applicable")
    assert (search.commits.ending, search.commits.suspects) == (Ending.FOUND, (SHAS["b"],))
    assert search.commits.evaluations[SHAS["b"]].bad is True


def test_an_old_bisect_without_an_answer_keeps_its_candidates(frozen):
    folder, search = frozen("undecided")
    assert search.question.timeout == 90
    assert (search.result.ending, search.result.suspects) == (Ending.INCONCLUSIVE, ("3", "4"))
    assert search.result.failed_end is None
    (folder.path / "result.json").unlink()
    assert read_search(folder) == SearchRecord(question=search.question)


def test_the_end_at_which_an_old_bisect_stopped_is_known(frozen):
    _, search = frozen("good-end-bad")
    assert search.result.failed_end == FailedEnd(side="good", evaluation=Evaluation(True, search.result.reason))


def test_an_old_search_among_commits_asks_about_commits(frozen):
    _, search = frozen("commits")
    assert search.question == COMMITS
    assert search.commits is None
    assert isinstance(search.result, CommitResult)
    assert search.result.failed_end.side == "bad"
    assert search.result.failed_end.evaluation.reason == "* fail:install:install_failed: no"


def test_an_old_blame_is_read(frozen):
    _, search = frozen("blame")
    assert isinstance(search.question, BlameQuestion)
    assert [change.words() for change in search.question.changes][:2] == ["app 1 → 2", "lib 1 → 2"]
    assert search.question.needs == {0: (2,), 2: (0,)}
    assert (search.result.ending, search.result.members) == (Ending.FOUND, ("app", "lib", "hub"))
    assert search.result.heads == {"app": ("hub",), "lib": ()}
    assert search.result.ran == 5


@pytest.mark.parametrize("name", ["found", "undecided", "good-end-bad", "commits", "blame"])
def test_what_an_old_folder_holds_is_written_in_one_file(frozen, name):
    folder, search = frozen(name)
    search.write(folder)
    for path in folder.path.glob("*.json"):
        if path.name not in {SEARCH_FILE, "run.json"}:
            path.unlink()
    assert read_search(folder) == search


EVALUATION = Evaluation(None, "it took too long", Cause.TIMEOUT)
END = FailedEnd(side="bad", evaluation=EVALUATION)
COMMIT = Commit(sha=SHAS["a"], parents=(), date="2026-03-01T00:00:00Z", subject="Change")


@pytest.mark.parametrize(
    "search",
    [
        SearchRecord(question=RELEASES),
        SearchRecord(
            question=RELEASES.model_copy(update={"scan": True, "metric": "x", "factor": 1.5}),
            result=ReleaseResult(
                ending=Ending.INCONCLUSIVE,
                package="p",
                before="1",
                suspects=("2",),
                releases={"1": EVALUATION},
                changes=(ReleaseChange(before="1", after="2", bad=None, figures=(1.0, 2.0)),),
                unconfirmed=EVALUATION,
            ),
        ),
        SearchRecord(
            question=COMMITS,
            result=CommitResult(
                ending=Ending.INTERRUPTED,
                deadline_passed=True,
                failed_end=END,
                package="p",
                address="x",
                older="v1",
                newer="v2",
                before=SHAS["a"],
                suspects=(),
                commits={SHAS["a"]: COMMIT},
                judged={SHAS["a"]: EVALUATION},
            ),
        ),
        SearchRecord(
            question=BlameQuestion(good="g", bad="b", shared=Cell("3.11", ()), changes=(), **ASKED),
            result=BlameResult(
                ending=Ending.FOUND,
                changes={"a": "a 1 → 2"},
                members=("a",),
                probes=(ProbedSet(applied=("a",), cell="c", bad=None, reason="x", cause=Cause.FLAKY),),
            ),
        ),
    ],
)
def test_every_question_and_result_is_read_as_it_was_written(tmp_path, search):
    folder = RunFolder(tmp_path)
    assert read_search(search.write(folder) and folder) == search


def test_a_run_that_is_no_search_has_none_and_is_not_asked_as_one(tmp_path):
    folder = RunFolder(tmp_path)
    assert read_search(folder) is None
    with pytest.raises(ConfigError, match=r"is not a blame$"):
        read_question(folder, BlameQuestion)
    SearchRecord(question=RELEASES).write(folder)
    assert read_question(folder, PackageQuestion) == RELEASES
    with pytest.raises(ConfigError, match=r"is not a bisect of commits$"):
        read_question(folder, CommitQuestion)


@pytest.mark.parametrize(("name", "content"), [(SEARCH_FILE, "{}"), (SEARCH_FILE, "no"), ("bisect.json", "[1")])
def test_a_damaged_file_is_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match="cannot be read: "):
        read_search(RunFolder(tmp_path))


def test_the_command_asks_the_same_between_other_ends():
    asked = RELEASES.model_copy(update={"metric": "x.share", "factor": 1.5, "find_fix": True})
    words = "harness bisect p --good 2 --bad 1 --scenario s.py::t --matrix m --metric x.share --above 1.5x --find-fix"
    assert " ".join(asked.command("1", "2")) == " ".join(asked.command()) == words
    opened = RELEASES.model_copy(update={"open_end": True, "source": COMMITS.source})
    assert " ".join(opened.command()) == "harness bisect p --bad 2 --scenario s.py::t --matrix m --into git:../p"
    assert COMMITS.command()[-3:] == ("--into", "git:../p", "--commits")


@pytest.mark.parametrize(
    ("ending", "code"),
    [(Ending.FOUND, 0), (Ending.NOT_REPRODUCED, 1), (Ending.INCONCLUSIVE, 4), (Ending.INTERRUPTED, 130)],
)
def test_every_ending_has_its_exit_code(ending, code):
    assert ending.exit_code == code
