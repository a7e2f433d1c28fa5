"""The search among commits, over real histories; only what a probe answers is told by the test."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from harness.matrix.cell import Cell, Pin
from harness.matrix.git import open_repository
from harness.nightly.searches import commit_answer
from harness.report.issue.search_evidence import among
from harness.search.descent import Into, read_question, read_result, write_question
from harness.search.ends import commit_ends_failed
from harness.search.into import Descent
from harness.search.question import Question
from harness.search.result import Ending
from harness.search.row import Around, Row
from harness.store.records import AttemptRecord, Outcome
from harness.store.run_folder import RunFolder

GOOD, BAD, UNKNOWN = "pass:check", "fail:check:assertion", "fail:install:install_failed"
BASE = Cell("3.11", (Pin("gadget", "1.0", "gadget==1.0"),))


@dataclass
class Told:
    """Stands in for the prober: says of each commit what the test says, and remembers what it was asked."""

    folder: object
    answer: Callable[[str], str]
    rounds: list[list[str]] = field(default_factory=list)
    rows: list[AttemptRecord] = field(default_factory=list)
    stop_after: int = 10**6
    order: list[str] = field(default_factory=list)

    def attempts(self, cell):
        return [one for one in self.rows if one.cell == cell.id]

    def probed(self, cells):
        return [cell for cell in cells if self.attempts(cell)]

    def probe(self, cells, listener, *, repeat=1, order=None):
        wanted = [cell for cell in cells if len(self.attempts(cell)) < repeat]
        if not wanted:
            return True
        if len(self.rounds) == self.stop_after:
            return False
        shas = [cell.pins[0].requirement.rpartition("@")[2] for cell in wanted]
        self.rounds.append(shas)
        for cell, sha in zip(wanted, shas, strict=True):
            for number in range(len(self.attempts(cell)) + 1, repeat + 1):
                outcome = Outcome.parse(self.answer(sha) if number == 1 else self.again(sha))
                attempt = 0 if ":install:" in str(outcome) else number
                when = datetime(2026, 1, 1, tzinfo=UTC)
                row = {"cell": cell.id, "scenario": "case::test", "attempt": attempt, "outcome": outcome}
                self.rows.append(AttemptRecord(**row, started=when, seconds=1.0))
        self.order = sorted({one.cell for one in self.rows}, key=order)
        return True

    def again(self, sha):
        return self.answer(sha)

    @property
    def shas(self):
        return [sha for shas in self.rounds for sha in shas]


@pytest.fixture
def search(git_repository, tmp_path):
    """Return a function that searches between two tags and gives the result and what was asked."""

    def run(answer, older="v1.0", newer="v1.1", *, all_parents=False, told=None, **asked):
        prober = told or Told(None, answer)
        cells = lambda: tuple(SimpleNamespace(id=one) for one in {row.cell for row in prober.rows})  # noqa: E731
        prober.folder = SimpleNamespace(path=tmp_path, read_record=lambda: SimpleNamespace(cells=cells()))
        question = Question(package="gadget", releases=("1.0", "1.1"), scenario="case.py", matrix="m.toml", **asked)
        said = []
        row = Row(
            question=question,
            base=BASE,
            prober=prober,
            repository=open_repository(f"git:{git_repository.folder}", tmp_path / "cache"),
            around=Around(older, newer, before=("release-1.0",), after=("release-1.1",)),
            bound=None,
            listener=None,
            echo=said.append,
        )
        result = Descent(row, all_parents=all_parents).run()
        assert read_result(RunFolder(tmp_path)) == result
        prober.said = said
        return result, prober

    return run


def straight(git_repository, count: int) -> list[str]:
    """Make a history of so many commits after the tag v1.0, the last of them v1.1; return all of them, oldest first."""
    first = git_repository.commit("release 1.0", tag="v1.0")
    inner = [git_repository.commit(f"change {number}") for number in range(1, count)]
    return [first, *inner, git_repository.commit("release 1.1", tag="v1.1")]


@pytest.mark.parametrize("find_fix", [False, True])
def test_whichever_commit_brought_it_is_found_by_halving(git_repository, search, find_fix):
    shas = straight(git_repository, 9)
    before, after = (BAD, GOOD) if find_fix else (GOOD, BAD)
    for culprit in range(1, 10):
        result, told = search(lambda sha, c=culprit: after if shas.index(sha) >= c else before, find_fix=find_fix)
        assert (result.ending, result.before, result.suspects) == (
            Ending.FOUND,
            shas[culprit - 1],
            (shas[culprit],),
        )
        assert len(told.shas) == len(set(told.shas)) <= 2 + math.ceil(math.log2(9))


def test_commits_that_cannot_be_built_are_passed_over_and_named_where_they_hide_the_answer(git_repository, search):
    shas = straight(git_repository, 8)
    broken = {shas[4], shas[5]}
    result, _ = search(lambda sha: UNKNOWN if sha in broken else BAD if shas.index(sha) >= 5 else GOOD)
    assert (result.ending, result.before, result.suspects) == (Ending.INCONCLUSIVE, shas[3], tuple(shas[4:7]))
    result, _ = search(lambda sha: UNKNOWN if sha in broken else BAD if shas.index(sha) >= 7 else GOOD)
    assert (result.ending, result.suspects) == (Ending.FOUND, (shas[7],))


def test_several_commits_are_probed_at_once_where_there_are_slots(git_repository, search):
    shas = straight(git_repository, 9)
    result, told = search(lambda sha: BAD if shas.index(sha) >= 7 else GOOD, jobs=2)
    assert result.suspects == (shas[7],)
    assert len(told.rounds) <= 1 + math.ceil(math.log(9, 3))


def test_a_tag_that_is_not_as_its_release_ends_the_search(git_repository, search):
    shas = straight(git_repository, 4)
    result, _ = search(lambda _: GOOD)
    assert result.ending is Ending.NOT_REPRODUCED
    assert result.reason.startswith("v1.1 built from source: good")
    result, _ = search(lambda _: BAD)
    assert result.ending is Ending.INCONCLUSIVE
    assert result.reason.startswith("v1.0 built from source: bad")
    result, told = search(lambda sha: BAD if sha == shas[-1] else GOOD, assume_ends=True)
    assert (result.ending, result.suspects) == (Ending.FOUND, (shas[-1],))
    assert not {shas[0], shas[-1]} & set(told.shas)


def test_a_bad_tag_that_cannot_be_built_refutes_nothing(git_repository, search):
    shas = straight(git_repository, 4)
    result, told = search(lambda sha: UNKNOWN if sha == shas[-1] else GOOD)
    assert (result.ending, result.suspects) == (Ending.INCONCLUSIVE, tuple(shas[1:]))
    assert result.reason.startswith("v1.1 built from source: undecided")
    assert set(told.shas) == {shas[0], shas[-1]}


def test_a_bad_tag_that_fails_in_another_way_is_not_what_was_asked_for(git_repository, search):
    shas = straight(git_repository, 4)
    result, _ = search(lambda sha: BAD if sha == shas[-1] else GOOD, signature="ValueError-another")
    assert result.ending is Ending.NOT_REPRODUCED


def branched(git_repository) -> dict[str, str]:
    """Make two release branches with a tag each: none is an ancestor of the other."""
    made = {"start": git_repository.commit("start"), "base": git_repository.commit("where the branches part")}
    git_repository.branch("release-1.0")
    made["1.0"] = git_repository.commit("release 1.0", tag="v1.0")
    git_repository.switch("main")
    made |= {name: git_repository.commit(name) for name in "abc"}
    made["1.1"] = git_repository.commit("release 1.1", tag="v1.1")
    return made


def test_the_merge_base_is_asked_first_where_the_older_tag_lies_on_a_branch(git_repository, search):
    made = branched(git_repository)
    bad = {made["b"], made["c"], made["1.1"]}
    result, told = search(lambda sha: BAD if sha in bad else GOOD)
    assert (result.ending, result.before, result.suspects) == (Ending.FOUND, made["a"], (made["b"],))
    assert told.shas[2] == made["base"]
    assert any("is where the branches part: it is probed first" in text for text in told.said)


def test_a_merge_base_that_is_bad_already_is_said_as_git_does(git_repository, search):
    made = branched(git_repository)
    result, told = search(lambda sha: GOOD if sha == made["1.0"] else BAD)
    assert result.ending is Ending.INCONCLUSIVE
    assert result.reason.startswith(f"the merge base {made['base'][:10]}")
    assert result.suspects == ()  # the change lies on the branch that was left
    assert commit_ends_failed(result)
    assert commit_answer(result).startswith("the commits of gadget gave no answer: the merge base ")
    assert " is one of " not in among(result, "any failure").sentence
    assert "is bad already" in result.reason
    assert len(told.shas) == 3
    result, _ = search(lambda sha: BAD if sha == made["1.0"] else GOOD, find_fix=True)
    assert "is good already" in result.reason


def test_a_merge_base_that_cannot_be_told_stays_among_the_candidates(git_repository, search):
    made = branched(git_repository)
    bad = {made[name] for name in ("a", "b", "c", "1.1")}
    result, _ = search(lambda sha: UNKNOWN if sha == made["base"] else BAD if sha in bad else GOOD)
    assert (result.ending, result.suspects) == (Ending.INCONCLUSIVE, (made["base"], made["a"]))


def merged(git_repository) -> dict[str, str]:
    """Make a line with a merge of three commits, the second of which is a merge itself."""
    made = {"1.0": git_repository.commit("release 1.0", tag="v1.0"), "a": git_repository.commit("a")}
    git_repository.branch("topic")
    made["t1"] = git_repository.commit("t1")
    git_repository.branch("deeper")
    made["d1"] = git_repository.commit("d1")
    made["d2"] = git_repository.commit("d2")
    git_repository.switch("topic")
    made["t2"] = git_repository.merge("deeper", "merge deeper")
    made["t3"] = git_repository.commit("t3")
    git_repository.switch("main")
    made["b"] = git_repository.commit("b")
    made["m"] = git_repository.merge("topic", "merge the topic (#9)")
    made["1.1"] = git_repository.commit("release 1.1", tag="v1.1")
    return made


@pytest.mark.parametrize(
    ("bad", "first_parent", "all_parents"),
    [
        ({"d2", "t2", "t3", "m", "1.1"}, "m", "d2"),
        ({"t3", "m", "1.1"}, "m", "t3"),
        ({"t2", "t3", "m", "1.1"}, "m", "t2"),
        ({"m", "1.1"}, "m", "m"),
        ({"b", "m", "1.1"}, "b", "b"),
    ],
)
def test_a_merge_is_the_answer_unless_what_it_brought_is_searched_too(
    git_repository, search, bad, first_parent, all_parents
):
    made = merged(git_repository)
    wrong = {made[name] for name in bad}
    for going_in, answer in ((False, first_parent), (True, all_parents)):
        result, told = search(lambda sha: BAD if sha in wrong else GOOD, all_parents=going_in)
        assert (result.ending, result.suspects) == (Ending.FOUND, (made[answer],))
        assert len(told.shas) == len(set(told.shas))


def test_a_search_that_was_stopped_goes_on_and_asks_nothing_twice(git_repository, search):
    shas = straight(git_repository, 9)

    def answer(sha):
        return BAD if shas.index(sha) >= 6 else GOOD

    whole, asked = search(answer)
    for stop in range(len(asked.rounds)):
        told = Told(None, answer, stop_after=stop)
        stopped, _ = search(answer, told=told)
        assert stopped.ending is Ending.INTERRUPTED
        told.stop_after = 10**6
        result, _ = search(answer, told=told)
        assert (result, told.shas) == (whole, asked.shas)


def test_the_border_is_attempted_again_and_attempts_that_disagree_are_no_answer(git_repository, search):
    shas = straight(git_repository, 4)

    def answer(sha):
        return BAD if shas.index(sha) >= 2 else GOOD

    result, told = search(answer, confirm=3)
    assert result.ending is Ending.FOUND
    assert [len([row for row in told.rows if row.cell.startswith(f"gadget-git-{sha[:8]}")]) for sha in shas[1:3]] == [
        3,
        3,
    ]
    flaky = Told(None, answer)
    flaky.again = lambda _: GOOD
    result, _ = search(answer, confirm=3, told=flaky)
    assert result.ending is Ending.INCONCLUSIVE
    assert "flaky" in result.reason


def test_the_report_has_the_commits_in_their_order(git_repository, search):
    shas = straight(git_repository, 9)
    _, told = search(lambda sha: BAD if shas.index(sha) >= 6 else GOOD)
    order = [cell.split("-")[2] for cell in told.order]
    assert order == [sha[:8] for sha in shas if sha in told.shas]


def test_the_question_is_kept_as_it_was_typed(tmp_path):
    folder = RunFolder(tmp_path)
    assert read_question(folder) is None
    asked = Into(repository="git:../gadget", tags="rel-{}", all_parents=True)
    write_question(asked, folder)
    assert read_question(folder) == asked
    assert asked.words() == ("--into", "git:../gadget", "--tags", "rel-{}", "--all-parents")
