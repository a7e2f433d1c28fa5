"""Tags, links and names of commits, and their search over real histories; the test scripts the answers."""

import itertools
import math
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.git import Commit, Repository, commit_range, open_repository
from harness.search.commits import Commits, find_tag, nearest_tags, tag_of
from harness.search.conclusions import sentence
from harness.search.driver import Driver
from harness.search.pins import commit_pin
from harness.search.records import CommitSource, Ending, ReleaseQuestion, SearchRecord, read_search
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, HostRecord, Outcome, RunRecord
from harness.store.run_folder import RunFolder


def commit(sha: str, *parents: str, subject: str = "change") -> Commit:
    return Commit(
        sha=sha * 40, parents=tuple(one * 40 for one in parents), date="2026-03-04T05:06:07Z", subject=subject
    )


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["v1.2.0"], "v1.2.0"),
        (["1.2.0", "v1.2.0"], "v1.2.0"),
        (["1.2.0"], "1.2.0"),
        (["release-1.2.0"], "release-1.2.0"),
        (["my-gadget-1.2.0"], "my-gadget-1.2.0"),
        (["my_gadget-v1.2.0"], "my_gadget-v1.2.0"),
        (["rel/1.2.0"], "rel/1.2.0"),
        (["v1.2"], "v1.2"),
        (["v1.2", "v1.2.0"], "v1.2.0"),
        (["v1.2.0rc1", "v1.2.1", "other-1.2.0", "v1.2.0-docs"], None),
        ([], None),
    ],
)
def test_a_release_is_found_by_the_usual_ways_to_write_a_tag(tags, found):
    assert tag_of("my-gadget", "1.2.0", tags) == found


def test_a_candidate_is_found_as_git_people_write_it():
    assert tag_of("gadget", "2.0.0rc1", ["v2.0.0", "v2.0.0-rc1"]) == "v2.0.0-rc1"


VERSIONS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)).map(
    lambda parts: ".".join(map(str, parts))
)


@given(st.lists(VERSIONS, unique=True), VERSIONS, st.sampled_from(["v{}", "release-{}", "rel_{}_x"]))
def test_a_tag_is_found_exactly_when_it_is_there(versions, wanted, pattern):
    tags = [pattern.format(version) for version in versions]
    found = tag_of("gadget", wanted, tags, pattern)
    assert found == (pattern.format(wanted) if wanted in versions else None)
    if found is None:
        assert set(nearest_tags("gadget", wanted, tags, pattern)) <= set(tags)
        assert bool(nearest_tags("gadget", wanted, tags, pattern)) == bool(tags)


def test_the_fork_stands_between_a_release_branch_and_the_line():
    older, base, last = commit("a", "b"), commit("b"), commit("c", "b")
    assert commit_range(older, [last], base).commits == (older, base, last)
    assert commit_range(older, [last], base).fork
    assert commit_range(base, [last], base).commits == (base, last)


def test_the_pin_of_a_commit_is_a_requirement_that_installers_read():
    pin = commit_pin("my-gadget", "file:///some/where", "a" * 40, "python/inner")
    requirement = Requirement(pin.requirement)
    assert requirement.name == "my-gadget"
    assert requirement.url == f"git+file:///some/where@{'a' * 40}#subdirectory=python/inner"
    assert pin.label == "git@aaaaaaaa"


GOOD, BAD, UNKNOWN = "pass:check", "fail:check:assertion", "fail:install:install_failed"
BASE = Cell("3.11", (Pin("gadget", "1.0", "gadget==1.0"),))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Scripted:
    """A prober that answers as the test says, writes that into a real run folder, and keeps its rounds."""

    def __init__(self, folder: RunFolder, answer: Callable[[str], str]) -> None:
        self.folder = folder
        self.answer = answer
        self.rounds: list[list[str]] = []
        self.stop_after = 10**6
        folder.path.mkdir(parents=True)
        facts = {"name": "m", "started": NOW, "matrix": {}, "matrix_file": "m", "cells": (), "axes": ()}
        host = HostRecord(platform="x", cpus=1, memory_bytes=1)
        folder.write_record(RunRecord(host=host, harness_version="1", **facts))

    def attempts(self, cell):
        return [one for one in self.folder.attempts() if one.cell == cell.id]

    def probed(self, cells):
        return [cell for cell in cells if self.attempts(cell)]

    def probe(self, cells, listener, *, repeat=1, arrange):
        wanted = [cell for cell in cells if len(self.attempts(cell)) < repeat]
        if not wanted:
            return True
        if len(self.rounds) == self.stop_after:
            return False
        shas = [cell.pins[0].requirement.rpartition("@")[2] for cell in wanted]
        self.rounds.append(shas)
        record = self.folder.read_record()
        known = {one.id for one in record.cells}
        new = [CellRecord(id=cell.id, labels={}, pins={}, python="3.11") for cell in wanted if cell.id not in known]
        self.folder.write_record(arrange(record.model_copy(update={"cells": (*record.cells, *new)})))
        journal = Journal(self.folder.journal_file)
        for cell, sha in zip(wanted, shas, strict=True):
            for number in range(len(self.attempts(cell)) + 1, repeat + 1):
                outcome = Outcome.parse(self.answer(sha) if number == 1 else self.again(sha))
                attempt = 0 if ":install:" in str(outcome) else number
                facts = {"cell": cell.id, "scenario": "case::test", "attempt": attempt, "outcome": outcome}
                journal.attempt(AttemptRecord(**facts, started=NOW, seconds=1.0))
        journal.close()
        return True

    def again(self, sha):
        return self.answer(sha)

    @property
    def shas(self):
        return [sha for shas in self.rounds for sha in shas]

    @property
    def order(self):
        return [cell.id for cell in self.folder.read_record().cells]


@pytest.fixture
def scripted(tmp_path):
    """Return a function that makes a prober in a folder of its own."""
    numbers = itertools.count()
    return lambda answer: Scripted(RunFolder(tmp_path / f"run-{next(numbers)}"), answer)


@pytest.fixture
def search(git_repository, tmp_path, scripted):
    """Return a function that searches between two tags and gives the result and the prober."""

    def run(answer, older="v1.0", newer="v1.1", *, all_parents=False, prober=None, **asked):
        prober = prober or scripted(answer)
        source = CommitSource(repository="git:x", all_parents=all_parents)
        asked = {"scenario": "case.py", "matrix": "m.toml", "source": source, **asked}
        question = ReleaseQuestion(package="gadget", releases=("1.0", "1.1"), **asked)
        if not prober.rounds:
            SearchRecord(question=question).write(prober.folder)
        repository = open_repository(f"git:{git_repository.folder}", tmp_path / "cache")
        neighbours = (["release-1.0"], ["release-1.1"])
        axis = Commits(question, source, BASE, repository, older, newer, neighbours=neighbours)
        prober.said = []
        result = Driver(axis, prober).run(None, prober.said.append)
        assert read_search(prober.folder).commits == result
        prober.question = question
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
        result, prober = search(lambda sha, c=culprit: after if shas.index(sha) >= c else before, find_fix=find_fix)
        assert (result.ending, result.before, result.suspects) == (
            Ending.FOUND,
            shas[culprit - 1],
            (shas[culprit],),
        )
        assert len(prober.shas) == len(set(prober.shas)) <= 2 + math.ceil(math.log2(9))


def test_commits_that_cannot_be_built_are_passed_over_and_named_where_they_hide_the_answer(git_repository, search):
    shas = straight(git_repository, 8)
    broken = {shas[4], shas[5]}
    result, _ = search(lambda sha: UNKNOWN if sha in broken else BAD if shas.index(sha) >= 5 else GOOD)
    assert (result.ending, result.before, result.suspects) == (Ending.INCONCLUSIVE, shas[3], tuple(shas[4:7]))
    result, _ = search(lambda sha: UNKNOWN if sha in broken else BAD if shas.index(sha) >= 7 else GOOD)
    assert (result.ending, result.suspects) == (Ending.FOUND, (shas[7],))


def test_several_commits_are_probed_at_once_where_there_are_slots(git_repository, search):
    shas = straight(git_repository, 9)
    result, prober = search(lambda sha: BAD if shas.index(sha) >= 7 else GOOD, jobs=2)
    assert result.suspects == (shas[7],)
    assert len(prober.rounds) <= 1 + math.ceil(math.log(9, 3))


def test_a_tag_that_is_not_as_its_release_ends_the_search(git_repository, search):
    shas = straight(git_repository, 4)
    result, prober = search(lambda _: GOOD)
    assert result.ending is Ending.NOT_REPRODUCED
    assert sentence(prober.question, result).startswith("not reproduced: v1.1 built from source is not bad here (")
    result, prober = search(lambda _: BAD)
    assert result.ending is Ending.INCONCLUSIVE
    answer = sentence(prober.question, result)
    assert answer.startswith("inconclusive: the good end, v1.0 built from source, is not good here (")
    result, prober = search(lambda sha: BAD if sha == shas[-1] else GOOD, assume_ends=True)
    assert (result.ending, result.suspects) == (Ending.FOUND, (shas[-1],))
    assert not {shas[0], shas[-1]} & set(prober.shas)


def test_a_bad_tag_that_cannot_be_built_refutes_nothing(git_repository, search):
    shas = straight(git_repository, 4)
    result, prober = search(lambda sha: UNKNOWN if sha == shas[-1] else GOOD)
    assert (result.ending, result.suspects) == (Ending.INCONCLUSIVE, tuple(shas[1:]))
    answer = sentence(prober.question, result)
    assert answer.startswith("inconclusive: the bad end, v1.1 built from source, is undecided here (")
    assert set(prober.shas) == {shas[0], shas[-1]}


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
    result, prober = search(lambda sha: BAD if sha in bad else GOOD)
    assert (result.ending, result.before, result.suspects) == (Ending.FOUND, made["a"], (made["b"],))
    assert prober.shas[2] == made["base"]
    assert any("is where the branches part: it is probed first" in text for text in prober.said)


def test_a_merge_base_that_is_bad_already_is_said_as_git_does(git_repository, search):
    made = branched(git_repository)
    result, prober = search(lambda sha: GOOD if sha == made["1.0"] else BAD)
    assert result.ending is Ending.INCONCLUSIVE
    assert result.reason.startswith(f"the merge base {made['base'][:10]}")
    assert result.suspects == ()  # the change lies on the branch that was left
    answer = sentence(prober.question, result)
    assert answer.startswith("inconclusive: no bad commit of gadget can be named: the merge base ")
    assert "is bad already" in result.reason
    assert len(prober.shas) == 3
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
        result, prober = search(lambda sha: BAD if sha in wrong else GOOD, all_parents=going_in)
        assert (result.ending, result.suspects) == (Ending.FOUND, (made[answer],))
        assert len(prober.shas) == len(set(prober.shas))


def test_a_search_that_was_stopped_goes_on_and_asks_nothing_twice(git_repository, search, scripted):
    shas = straight(git_repository, 9)

    def answer(sha):
        return BAD if shas.index(sha) >= 6 else GOOD

    whole, asked = search(answer)
    for stop in range(len(asked.rounds)):
        prober = scripted(answer)
        prober.stop_after = stop
        stopped, _ = search(answer, prober=prober)
        assert stopped.ending is Ending.INTERRUPTED
        prober.stop_after = 10**6
        result, _ = search(answer, prober=prober)
        assert (result, prober.shas) == (whole, asked.shas)


def test_the_border_is_attempted_again_and_attempts_that_disagree_are_no_answer(git_repository, search, scripted):
    shas = straight(git_repository, 4)

    def answer(sha):
        return BAD if shas.index(sha) >= 2 else GOOD

    result, prober = search(answer, confirm=3)
    assert result.ending is Ending.FOUND
    cells = [row.cell.split("-")[2] for row in prober.folder.attempts()]
    assert [cells.count(sha[:8]) for sha in shas[1:3]] == [3, 3]
    flaky = scripted(answer)
    flaky.again = lambda _: GOOD
    result, _ = search(answer, confirm=3, prober=flaky)
    assert result.ending is Ending.INCONCLUSIVE
    assert "flaky" in result.reason


def test_the_report_has_the_commits_in_their_order(git_repository, search):
    shas = straight(git_repository, 9)
    _, prober = search(lambda sha: BAD if shas.index(sha) >= 6 else GOOD)
    order = [cell.split("-")[2] for cell in prober.order]
    assert order == [sha[:8] for sha in shas if sha in prober.shas]


def test_a_source_is_kept_as_it_was_typed():
    source = CommitSource(repository="git:../gadget", tags="rel-{}", all_parents=True)
    assert source.words() == ("--into", "git:../gadget", "--tags", "rel-{}", "--all-parents")


def opened(git_repository, tmp_path) -> Repository:
    return open_repository(f"git:{git_repository.folder}", tmp_path / "cache")


def test_an_address_is_copied_once_and_brought_up_to_date_for_a_tag_that_it_lacks(git_repository, tmp_path):
    git_repository.commit("release 1.0", tag="v1.0")
    address = git_repository.folder.as_uri()
    first = open_repository(f"git:{address}", tmp_path / "cache")
    assert find_tag(first, "gadget", "1.0") == "v1.0"
    git_repository.commit("release 1.1", tag="v1.1")
    again = open_repository(f"git:{address}", tmp_path / "cache")
    assert again.folder == first.folder
    assert again.tags() == ("v1.0",)
    assert find_tag(again, "gadget", "1.1") == "v1.1"
    assert [one.subject for one in again.commits_between("v1.0", "v1.1").commits] == ["release 1.0", "release 1.1"]
    assert again.origin() == address


def test_a_release_without_a_tag_is_answered_with_the_nearest_and_the_way_out(git_repository, tmp_path):
    for version in ("1.0", "1.2"):
        git_repository.commit(f"release {version}", tag=f"rel_{version}")
    git_repository.commit("release 2.0", tag="v2.0")
    repository = opened(git_repository, tmp_path)
    assert find_tag(repository, "gadget", "1.2", "rel_{}") == "rel_1.2"
    with pytest.raises(
        ConfigError, match=r"no tag for gadget 1\.1 \(looked for rel_1\.1\); the nearest are rel_1\.0, rel"
    ):
        find_tag(repository, "gadget", "1.1", "rel_{}")
    with pytest.raises(ConfigError, match=r"looked for v1\.1, 1\.1, .*the nearest are v2\.0; .*--tags 'PREFIX\{\}'"):
        find_tag(repository, "gadget", "1.1")
