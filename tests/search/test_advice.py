"""What is advised next, for each way a search can end."""

from datetime import UTC, datetime

import pytest

from harness.matrix.cell import Cell
from harness.search.advice import Facts, advice, minors_before, repeat_command
from harness.search.criterion import Cause, Evaluation
from harness.search.records import (
    BlameQuestion,
    BlameResult,
    CommitResult,
    CommitSource,
    Ending,
    FailedEnd,
    ProbedSet,
    ReleaseQuestion,
    ReleaseResult,
    SearchRecord,
)
from harness.store.records import AttemptRecord, CellRecord, GpuRecord, HostRecord, RunRecord, ScenarioInfo

KNOWN = ("4.55.4", "4.56.0", "4.56.2", "4.57.0", "4.57.6", "5.0.0", "5.1.0")
BLAME = BlameQuestion(good="g", bad="b", scenario="s.py::t", matrix="m", shared=Cell("3.11", ()), changes=())
ASKED = ReleaseQuestion(package="p", releases=("4.57.6", "5.0.0", "5.1.0"), scenario="s.py::t", matrix="m")
CARD = GpuRecord(uuid="GPU-1", name="NVIDIA H200", memory_bytes=141 * 2**30, driver="570.1")
CELL = CellRecord(
    id="p-5.1.0-aa",
    labels={"p": "5.1.0"},
    pins={"p": "5.1.0", "q": "2"},
    python="3.11",
    variables={"V": "1"},
    versions={"p": "5.1.0", "q": "2", "torch": "2.13.0", "other": "1"},
)


def run(gpus=(CARD,), repositories=None, **matrix):
    info = ScenarioInfo(id="s::t", nodeid="s.py::t", checkpoints=("qwen",))
    return RunRecord(
        name="m",
        started=datetime.now(UTC),
        matrix={"checkpoints": matrix, "repositories": repositories or {}},
        matrix_file="m.toml",
        scenarios=(info,),
        cells=(CELL,),
        axes=(),
        host=HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=1, gpus=gpus),
        harness_version="1",
    )


def attempt(outcome="fail:run:exception", cell=CELL.id, ran_on="cuda"):
    facts = {"started": datetime.now(UTC), "seconds": 1, "attempt": 1, "scenario": "s::t[p]"}
    return AttemptRecord(cell=cell, outcome=outcome, ran_on=ran_on, **facts)


def result(ending, before="4.57.6", suspects=("5.0.0", "5.1.0"), *, end=None, unconfirmed=None, **answers):
    """Return a result; ``answers`` are evaluations of releases beside a good and a bad end."""
    releases = {"4.57.6": GOOD, "5.1.0": BAD} | {
        name.lstrip("_").replace("_", "."): one for name, one in answers.items()
    }
    failed = None if end is None else FailedEnd(side=end, evaluation=releases["4.57.6" if end == "good" else "5.1.0"])
    return ReleaseResult(
        ending=ending,
        package="p",
        before=before,
        suspects=suspects,
        releases=releases,
        failed_end=failed,
        unconfirmed=unconfirmed,
    )


GOOD, BAD = Evaluation(False, "pass"), Evaluation(True, "fail")
UNSOLVABLE = Evaluation(None, "* unavailable:resolve:unsolvable: no", Cause.UNAVAILABLE)
FACTS = Facts(run(size="tiny"), (attempt(),), "reports/run", KNOWN)


def text(asked, ended, facts=FACTS):
    return "\n".join(advice(asked, ended, facts))


def test_found_leads_to_the_script_the_draft_and_the_commits():
    facts = Facts(run(repositories={"p": "https://github.com/o/p"}), (attempt(),), "reports/run")
    assert text(ASKED, result(Ending.FOUND, "5.0.0", ("5.1.0",)), facts).splitlines() == [
        "commits between: https://github.com/o/p/compare/v5.0.0...v5.1.0",
        "a script for a maintainer: harness repro reports/run p-5.1.0-aa 's::t[p]' -o repro.py",
        "a draft of the issue: harness issue reports/run",
        "the commit: harness bisect --resume reports/run --into git:https://github.com/o/p",
    ]


def test_for_a_fix_the_script_shows_the_last_bad_release():
    asked = ASKED.model_copy(update={"find_fix": True})
    found = result(Ending.FOUND, "5.1.0", ("5.2.0",)).model_copy(update={"find_fix": True})
    assert "harness repro reports/run p-5.1.0-aa 's::t[p]'" in text(asked, found)


def test_without_a_failure_there_is_no_script():
    assert text(ASKED, result(Ending.FOUND, "5.0.0", ("5.1.0",)), Facts(run(), (attempt("pass:check"),), "run")) == ""


def test_a_blame_leads_to_the_script_and_the_draft():
    probes = (ProbedSet(applied=("p",), cell=CELL.id, bad=True, reason="it fails"),)
    found = BlameResult(ending=Ending.FOUND, changes={"p": "p 1 → 2"}, members=("p",), probes=probes)
    assert text(BLAME, found).splitlines() == [
        "a script for a maintainer: harness repro reports/run p-5.1.0-aa 's::t[p]' -o repro.py",
        "a draft of the issue: harness issue reports/run",
    ]


def test_a_commit_leads_to_the_script_of_its_own_cell():
    sha = "a" * 40
    cell = CELL.model_copy(update={"id": "p-git-aa", "labels": {"p": "git@aaaaaaaa"}})
    facts = Facts(run().model_copy(update={"cells": (cell,)}), (attempt(cell=cell.id),), "reports/run")
    found = CommitResult(
        ending=Ending.FOUND,
        package="p",
        address="x",
        older="v1",
        newer="v2",
        before="b" * 40,
        suspects=(sha,),
        commits={},
        judged={},
    )
    source = CommitSource(repository="git:x")
    assert text(ASKED.model_copy(update={"source": source}), found, facts).splitlines() == [
        "a script for a maintainer: harness repro reports/run p-git-aa 's::t[p]' -o repro.py",
        "a draft of the issue: harness issue reports/run",
    ]


def test_not_reproduced_lists_what_a_report_is_compared_with():
    said = text(ASKED.model_copy(update={"signature": "S"}), result(Ending.NOT_REPRODUCED))
    assert "machine: Linux x86_64, NVIDIA H200 141 GiB (driver 570.1), ran on cuda" in said
    assert "checkpoints: qwen, tiny" in said
    assert "versions: Python 3.11, p 5.1.0, q 2, torch 2.13.0" in said
    assert "variables: V=1" in said
    assert 'size = "full"' in said
    assert "without --signature" in said


def test_a_blame_lists_the_same_of_its_bad_end():
    probes = (ProbedSet(applied=("p",), cell=CELL.id, bad=False, reason="it passes"),)
    missed = BlameResult(ending=Ending.NOT_REPRODUCED, changes={"p": "p 1 → 2"}, members=("p",), probes=probes)
    assert "versions: Python 3.11, p 5.1.0, q 2, torch 2.13.0" in text(BLAME, missed)


def test_a_machine_without_a_gpu_and_full_checkpoints_say_so():
    facts = Facts(run(gpus=(), size="full"), (attempt(ran_on="cpu"),), "run")
    said = text(ASKED, result(Ending.NOT_REPRODUCED), facts)
    assert "machine: Linux x86_64, no GPU, ran on cpu" in said
    assert "checkpoints: qwen, full" in said
    assert 'size = "full"' not in said


def test_a_good_end_that_fails_leads_to_an_older_one_or_another_package():
    said = text(ASKED, result(Ending.INCONCLUSIVE, end="good", _4_57_6=BAD))
    assert "--good 4.56.2" not in said
    assert "try an older good end: --good 4.55.4" in said
    assert "without --good" in said
    assert "harness blame" in said
    failed = FailedEnd(side="good", evaluation=BAD)
    blamed = BlameResult(ending=Ending.INCONCLUSIVE, changes={}, members=(), failed_end=failed)
    assert text(BLAME, blamed) == "choose an older good end"


@pytest.mark.parametrize(
    ("newest", "sentence"),
    [
        ("5.1.0", "5.1.0 is the newest release: no release fixes it"),
        ("5.2.0", "try the newest release: --good 5.2.0"),
    ],
)
def test_a_fix_that_is_not_there_names_the_newest_release(newest, sentence):
    asked = ASKED.model_copy(update={"find_fix": True})
    facts = Facts(run(), (), "run", (*KNOWN[:-1], newest))
    assert sentence in text(asked, result(Ending.INCONCLUSIVE, end="good", _4_57_6=BAD), facts)


@pytest.mark.parametrize(
    ("cause", "more", "hint"),
    [
        (Cause.TIMEOUT, {"signature": "S"}, "--timeout"),
        (Cause.GPU_BUSY, {}, "--gpu-busy"),
        (Cause.UNAVAILABLE, {}, "other pins"),
        (Cause.OTHER_FAILURE, {"signature": "S"}, "--good-signature S"),
        (Cause.FLAKY, {}, "--confirm"),
    ],
)
def test_undecided_releases_are_named_with_the_option_that_helps(cause, more, hint):
    said = text(ASKED.model_copy(update=more), result(Ending.INCONCLUSIVE, _5_0_0=Evaluation(None, "why", cause)))
    assert "5.0.0 is undecided: why" in said
    assert hint in said


def test_the_wording_of_a_reason_is_no_cause():
    reason = "s::t skip:run:not_applicable: flaky: timeout gpu_busy unsolvable fail:"
    said = text(ASKED, result(Ending.INCONCLUSIVE, _5_0_0=Evaluation(None, reason, Cause.OTHER)))
    assert said == f"5.0.0 is undecided: {reason}"


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        (Cause.NO_ENVIRONMENT, "use a bundle with more cells, or an index"),
        (Cause.TIMEOUT, "--timeout SECONDS"),
        (Cause.OTHER_FAILURE, "--signature S counts one failure alone"),
    ],
)
def test_a_blame_names_the_option_that_helps_with_an_undecided_member(cause, hint):
    probes = (ProbedSet(applied=("a",), cell=None, bad=None, reason="x", cause=cause),)
    result = BlameResult(ending=Ending.INCONCLUSIVE, changes={}, members=("a", "b"), unsure={"b": "x"}, probes=probes)
    assert hint in text(BLAME, result)


def test_attempts_that_disagree_ask_for_more_of_them():
    ended = result(Ending.INCONCLUSIVE, suspects=("5.0.0",), unconfirmed=Evaluation(None, "flaky", Cause.FLAKY))
    assert "--confirm 5" in text(ASKED, ended)
    assert "--above" in text(ASKED.model_copy(update={"metric": "x.y", "limit": 3, "confirm": 4}), ended)
    assert "--confirm 8" in text(ASKED.model_copy(update={"confirm": 4}), ended)


def test_an_undecided_good_end_says_why():
    said = text(ASKED, result(Ending.INCONCLUSIVE, end="good", _4_57_6=UNSOLVABLE))
    assert f"4.57.6 is undecided: {UNSOLVABLE.reason}" in said
    assert "other pins" in said


def test_an_undecided_bad_end_names_the_option_too():
    said = text(ASKED, result(Ending.INCONCLUSIVE, end="bad", _5_1_0=UNSOLVABLE))
    assert "other pins" in said
    assert "machine:" in said
    assert "older good end" not in said


def test_no_good_release_at_all_asks_whether_it_ever_worked():
    asked = ASKED.model_copy(update={"open_end": True})
    skipped = Evaluation(None, "s::t skip:run:no_gpu", Cause.OTHER)
    said = text(asked, result(Ending.INCONCLUSIVE, "", _4_57_6=skipped))
    assert "may never have worked" in said
    assert "4.57.6 is undecided: s::t skip:run:no_gpu" in said


def test_an_interrupt_needs_no_advice():
    assert advice(ASKED, result(Ending.INTERRUPTED), FACTS) == ()


def test_an_answer_is_repeated_between_its_two_candidates():
    found = SearchRecord(question=ASKED, result=result(Ending.FOUND, "5.0.0", ("5.1.0",)))
    words = "harness bisect p --good 5.0.0 --bad 5.1.0 --scenario s.py::t --matrix m"
    assert " ".join(repeat_command(found)) == words
    open_ = SearchRecord(question=ASKED, result=result(Ending.INCONCLUSIVE))
    assert repeat_command(open_) == ()


@pytest.mark.parametrize(
    ("release", "older"),
    [("5.1.0", "4.57.6"), ("5.0.0", "4.56.2"), ("4.56.0", "4.55.4"), ("4.55.4", None), ("no version", None)],
)
def test_two_minors_before_a_release_the_newest_patch_is_taken(release, older):
    assert minors_before(release, KNOWN) == older
