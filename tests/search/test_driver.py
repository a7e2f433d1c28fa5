"""A search from question to result, with cells that answer at once instead of being installed."""

import math
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.schema import Matrix
from harness.search.criterion import Cause, Criterion, Evaluation
from harness.search.driver import Axis, Deadline, Driver, check_ends, narrow
from harness.search.prober import Prober
from harness.search.records import (
    SEARCH_FILE,
    Ending,
    ReleaseQuestion,
    ReleaseResult,
    SearchRecord,
    read_question,
    read_search,
)
from harness.search.releases import Releases
from harness.session.plan import Plan
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord
from harness.store.run_folder import RunFolder
from tests.results import results_of_attempts

FROZEN = Path(__file__).parent / "frozen"
BASE = Cell("3.11", (Pin("p", "0", "p==0"),), axes=("p",))
OUTCOMES = {"g": "pass:check", "b": "fail:run:exception", "?": "skip:run:not_applicable"}
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Scripted(Prober):
    """A prober whose cells give the outcomes written down; it stops like an interrupt after so many cells."""

    truth: dict[str, str] = field(default_factory=dict)  # release -> one letter an attempt
    rounds: list[list[str]] = field(default_factory=list)
    stop_after: int = 1000

    def probe(self, cells, listener, *, repeat=1, arrange=None):
        """Write what each cell that is new answers."""
        wanted = self._lacking(cells, repeat)
        if wanted:
            self.rounds.append([cell.label(cell.axes[0]) for cell in wanted])
        record = self.folder.read_record()
        known = {one.id for one in record.cells}
        new = [CellRecord(id=cell.id, labels={}, pins={}, python="3.11") for cell in wanted if cell.id not in known]
        self.folder.write_record(record.model_copy(update={"cells": (*record.cells, *new)}))
        for cell in wanted:
            if len(self.folder.attempts()) >= self.stop_after:
                return False
            self._answer(cell, repeat)
        return True

    def _answer(self, cell, repeat):
        letters = self.truth[cell.label(cell.axes[0])]
        if letters == "-":
            return
        made = sum(one.cell == cell.id for one in self.folder.attempts())
        journal = Journal(self.folder.journal_file)
        journal.write("collected", cell=cell.id, scenarios=[{"id": "s::t"}])
        for number in range(made, repeat):
            facts = {"cell": cell.id, "scenario": "s::t", "started": NOW, "seconds": 1, "attempt": number + 1}
            journal.attempt(AttemptRecord(outcome=OUTCOMES[letters[number % len(letters)]], **facts))
        journal.close()


def begin(tmp_path, letters, stop_after=1000, **more):
    """Return a search over releases 0, 1, 2 … with one letter each."""
    releases = tuple(map(str, range(len(letters))))
    folder = RunFolder(tmp_path)
    if not folder.record_file.exists():
        facts = {"name": "m", "started": NOW, "matrix": {}, "matrix_file": "m", "cells": (), "axes": ()}
        host = HostRecord(platform="x", cpus=1, memory_bytes=1)
        folder.write_record(RunRecord(host=host, harness_version="1", **facts))
    question = ReleaseQuestion(package="p", releases=releases, scenario="s.py::t", matrix="m", **more)
    plan = Plan(Matrix.model_construct(), (), (), ())
    truth = dict(zip(releases, letters, strict=True))
    prober = Scripted(plan, folder, CacheDir(tmp_path), question.options(), truth=truth, stop_after=stop_after)
    SearchRecord(question=question).write(folder)
    return Driver(Releases(question, BASE), prober)


def run(bisect):
    """Run it; return the result, each release that was probed with how often, and what was said."""
    said = []
    result = bisect.run(lambda event, fields: None, said.append)
    return result, Counter(release for wanted in bisect.prober.rounds for release in wanted), said


@pytest.mark.parametrize("change", [1, 2, 14, 15, 28, 29])
def test_the_first_bad_release_is_found_with_no_more_probes_than_halving_and_both_ends(tmp_path, change):
    bisect = begin(tmp_path, "g" * change + "b" * (30 - change))
    result, probed, _ = run(bisect)
    assert (result.ending, result.before, result.suspects) == (Ending.FOUND, str(change - 1), (str(change),))
    assert sum(probed.values()) <= 2 + math.ceil(math.log2(30))
    assert set(probed.values()) == {1}
    assert read_search(bisect.folder).result == result


@pytest.mark.parametrize("change", [1, 2, 7, 20, 29])
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("find_fix", [False, True])
def test_without_an_older_end_it_goes_back_by_strides_and_uses_every_answer(tmp_path, change, jobs, find_fix):
    letters = "g" * change + "b" * (30 - change)
    letters = letters.translate(str.maketrans("gb", "bg")) if find_fix else letters
    bisect = begin(tmp_path, letters, jobs=jobs, find_fix=find_fix, open_end=True)
    result, probed, said = run(bisect)
    assert (result.ending, result.before, result.suspects) == (Ending.FOUND, str(change - 1), (str(change),))
    assert set(probed.values()) == {1}
    assert bisect.prober.rounds[0] == ["29"]
    assert said[-1].endswith("nothing left to probe")


def test_what_was_narrowed_does_not_move_the_end_that_the_strides_found(tmp_path):
    _, _, said = run(begin(tmp_path, "g" * 20 + "b" * 10, open_end=True))
    assert [line for line in said if line.startswith(("searching", "narrowed"))] == [
        "narrowed from 14 … 29 to 14 … 22, about 3 steps left",
        "narrowed from 14 … 29 to 18 … 22, about 2 steps left",
        "narrowed from 14 … 29 to 18 … 20, about 1 step left",
        "narrowed from 14 … 29 to 19 … 20, nothing left to probe",
    ]


@pytest.mark.parametrize(
    ("letters", "find_fix", "sentence"),
    [
        ("bbbbbbbb", False, "no good release was found; 0, the oldest one that was decided, is not good"),
        ("gggggggg", True, "no bad release was found; 0, the oldest one that was decided, is not bad"),
        ("????bbbb", False, "no good release was found; 4, the oldest one that was decided, is not good"),
    ],
)
def test_where_nothing_older_is_otherwise_it_is_inconclusive(tmp_path, letters, find_fix, sentence):
    result, _, _ = run(begin(tmp_path, letters, find_fix=find_fix, open_end=True))
    assert (result.ending, result.before, result.reason) == (Ending.INCONCLUSIVE, "", sentence)


@pytest.mark.parametrize(
    ("letters", "more", "ending", "probes"),
    [
        ("ggggg", {"open_end": True}, Ending.NOT_REPRODUCED, 1),
        ("bbbbb", {"open_end": True, "find_fix": True}, Ending.INCONCLUSIVE, 1),
        ("gg?gg", {}, Ending.NOT_REPRODUCED, 2),
        ("ggbg?", {}, Ending.INCONCLUSIVE, 2),
        ("?gbgb", {}, Ending.INCONCLUSIVE, 2),
        ("gggg?", {"open_end": True}, Ending.INCONCLUSIVE, 1),
        ("?gggg", {"find_fix": True}, Ending.INCONCLUSIVE, 2),
        ("ggggg", {"find_fix": True}, Ending.NOT_REPRODUCED, 2),
        ("bbbbb", {}, Ending.INCONCLUSIVE, 2),
    ],
)
def test_an_end_that_is_not_what_it_was_said_to_be_stops_the_search(tmp_path, letters, more, ending, probes):
    result, probed, _ = run(begin(tmp_path, letters, **more))
    assert (result.ending, sum(probed.values())) == (ending, probes)


@pytest.mark.parametrize("stop", [1, 3, 6, 8])
@pytest.mark.parametrize("more", [{}, {"open_end": True}, {"open_end": True, "jobs": 2}, {"scan": True}])
def test_wherever_it_is_interrupted_it_goes_on_and_probes_nothing_twice(tmp_path, stop, more):
    letters = "g" * 11 + "b" * 9
    first = begin(tmp_path, letters, stop_after=stop, **more)
    stopped, _, _ = run(first)
    made = len(first.folder.attempts())
    again = begin(tmp_path, letters, **more)
    result, _, _ = run(again)
    assert (result.before, result.suspects) == ("10", ("11",))
    cells = [one.cell for one in again.folder.attempts()]
    assert len(cells) == len(set(cells))
    assert stopped.ending is Ending.FOUND or made == stop


LOCKS = """
import sys
from pathlib import Path
from harness.store.run_folder import RunFolder, claimed

with claimed(RunFolder(Path(sys.argv[1]))):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_search_that_another_process_runs_is_refused_and_can_be_resumed_after_it(tmp_path):
    bisect = begin(tmp_path, "ggbb")
    command = [sys.executable, "-c", LOCKS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ConfigError, match="is in use: another harness process runs in it"):
            run(bisect)
        other.kill()
    assert run(bisect)[0].suspects == ("2",)


def test_a_release_that_leaves_no_result_at_all_cannot_be_told_and_is_not_asked_again(tmp_path):
    result, probed, _ = run(begin(tmp_path, "gggg--bbb"))
    assert (result.ending, result.suspects) == (Ending.INCONCLUSIVE, ("4", "5", "6"))
    assert set(probed.values()) == {1}


def test_a_run_folder_of_an_older_version_is_resumed_without_a_probe(tmp_path):
    shutil.copytree(FROZEN / "undecided", tmp_path / "old")
    folder = RunFolder(tmp_path / "old")
    before, question = read_search(folder), read_question(folder, ReleaseQuestion)
    prober = Scripted(Plan(Matrix.model_construct(), (), (), ()), folder, CacheDir(tmp_path), question.options())
    result, probed, _ = run(Driver(Releases(question, BASE), prober))
    assert not probed
    assert (result.before, result.suspects) == (before.result.before, before.result.suspects)
    assert result.evaluations["3"].cause is Cause.OTHER
    assert (folder.path / SEARCH_FILE).is_file()


def test_attempts_that_disagree_at_the_border_are_no_answer(tmp_path):
    letters = [*"gggg", "bgb", *"bbb"]
    result, probed, _ = run(begin(tmp_path, letters, confirm=3))
    assert result.ending is Ending.INCONCLUSIVE
    assert "p 4: flaky" in result.reason
    assert result.unconfirmed.cause is Cause.FLAKY
    assert probed["3"] == probed["4"] == 2


def test_a_scan_runs_every_release_in_one_go(tmp_path):
    bisect = begin(tmp_path, "gbbg?b", scan=True, jobs=2)
    result, _, _ = run(bisect)
    assert bisect.prober.rounds == [list("012345")]
    assert (result.ending, result.suspects) == (Ending.FOUND, ("1",))
    assert [(one.before, one.after) for one in result.changes] == [("0", "1"), ("2", "3"), ("3", "5")]


@dataclass(frozen=True)
class Values(Axis[str, ReleaseResult]):
    """An axis of its own: the values of an environment variable, in order."""

    question: ReleaseQuestion
    values: tuple[str, ...]

    @property
    def ends(self):
        return self.values[0], self.values[-1]

    def cell(self, candidate):
        return replace(BASE, variables=(("V", candidate),), axes=("V",))

    def name(self, candidate):
        return f"V={candidate}"

    def step(self, known):
        return self._narrow(known).step

    def result(self, known, stop):
        found = self._narrow(known)
        probed = dict(known.evaluations)
        return ReleaseResult(**dict(stop), package="V", before=found.before, suspects=found.suspects, releases=probed)

    def _narrow(self, known):
        return narrow(self.values, self.values, known, self.question.jobs)


@pytest.mark.parametrize("stop", [1, 4, 1000])
def test_a_new_axis_needs_its_candidates_alone(tmp_path, stop):
    letters = "g" * 5 + "?" + "b" * 4
    for after in (stop, 1000):
        search = begin(tmp_path, letters, stop_after=after, confirm=2)
        axis = Values(search.axis.question, tuple("0123456789"))
        result, _, said = run(Driver(axis, search.prober))
    assert (result.ending, result.before, result.suspects) == (Ending.INCONCLUSIVE, "4", ("5", "6"))
    assert "V=5: undecided (s::t skip:run:not_applicable)" in said or stop < 1000
    cells = [one.cell for one in search.folder.attempts()]
    assert len(cells) == len(set(cells)) <= 2 + math.ceil(math.log2(10)) + 1


def test_a_deadline_ends_the_search_before_its_next_probe_and_it_can_be_resumed(tmp_path):
    now = iter(range(100))
    bisect = begin(tmp_path, "g" * 11 + "b" * 9)
    result = bisect.run(lambda event, fields: None, lambda line: None, Deadline(3, clock=lambda: next(now)))
    assert (result.ending, result.deadline_passed) == (Ending.INTERRUPTED, True)
    assert len(bisect.prober.rounds) == 3  # both ends and two releases; the one that had begun was finished
    assert (result.before, result.suspects[-1]) == ("9", "14")
    again, probed, _ = run(begin(tmp_path, "g" * 11 + "b" * 9))
    assert (again.before, again.suspects, again.deadline_passed) == ("10", ("11",), False)
    assert sum(probed.values()) + 4 <= 2 + math.ceil(math.log2(20)) + 1


def test_a_deadline_that_has_passed_probes_nothing(tmp_path):
    bisect = begin(tmp_path, "gb" * 4)
    result = bisect.run(lambda event, fields: None, lambda line: None, Deadline(0, clock=lambda: 1.0))
    assert (result.ending, bisect.prober.rounds) == (Ending.INTERRUPTED, [])


def test_an_interrupt_by_the_user_is_no_deadline(tmp_path):
    bisect = begin(tmp_path, "g" * 11 + "b" * 9, stop_after=3)
    result = bisect.run(lambda event, fields: None, lambda line: None, Deadline(1000, clock=lambda: 0.0))
    assert (result.ending, result.deadline_passed) == (Ending.INTERRUPTED, False)


GOOD, BAD = Evaluation(False, "it passes"), Evaluation(True, "it fails")
UNDECIDED, NO_BOUND = (
    Evaluation(None, "no figure nope"),
    Evaluation(None, "x = 5, and the good end has none to compare with"),
)
ANY, FACTOR, NAMED = Criterion(), Criterion(metric="x", factor=1.5), Criterion(signature="S")


@pytest.mark.parametrize(
    ("asked", "bad", "good", "otherwise", "ended"),
    [
        (ANY, BAD, GOOD, False, None),
        (ANY, BAD, None, False, None),
        (ANY, None, GOOD, False, None),
        (ANY, GOOD, GOOD, False, (Ending.NOT_REPRODUCED, "bad")),
        (ANY, GOOD, UNDECIDED, False, (Ending.NOT_REPRODUCED, "bad")),
        (ANY, GOOD, BAD, False, (Ending.NOT_REPRODUCED, "bad")),
        (ANY, UNDECIDED, GOOD, False, (Ending.INCONCLUSIVE, "bad")),
        (ANY, UNDECIDED, BAD, False, (Ending.INCONCLUSIVE, "bad")),
        (NAMED, UNDECIDED, GOOD, True, (Ending.NOT_REPRODUCED, "bad")),
        (ANY, BAD, BAD, False, (Ending.INCONCLUSIVE, "good")),
        (ANY, BAD, UNDECIDED, False, (Ending.INCONCLUSIVE, "good")),
        (ANY, None, BAD, False, (Ending.INCONCLUSIVE, "good")),
        (FACTOR, NO_BOUND, UNDECIDED, False, (Ending.INCONCLUSIVE, "good")),
        (FACTOR, UNDECIDED, GOOD, False, (Ending.INCONCLUSIVE, "bad")),
    ],
)
def test_not_reproduced_needs_a_bad_end_that_is_decided(asked, bad, good, otherwise, ended):
    found = check_ends(asked, bad, good, results_of_attempts([failure()] if otherwise else []))
    assert (found and (found.ending, found.failed_end.side)) == ended
    if found is not None:
        assert found.failed_end.evaluation is (bad if found.failed_end.side == "bad" else good)
        assert found.failed_end.other_failure is otherwise
        assert found.failed_end.swapped is (bad is GOOD and good is BAD)


def failure(outcome="fail:run:exception"):
    facts = {"started": datetime.now(UTC), "seconds": 1, "attempt": 1, "scenario": "s::t"}
    return AttemptRecord(cell="c", outcome=outcome, **facts)
