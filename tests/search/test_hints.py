"""What is said to do next, for each way a bisect can end."""

from datetime import UTC, datetime

import pytest

from harness.search.criterion import Evaluation
from harness.search.hints import Facts, hints, minors_before
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.store.records import AttemptRecord, CellRecord, GpuRecord, HostRecord, RunRecord, ScenarioInfo

KNOWN = ("4.55.4", "4.56.0", "4.56.2", "4.57.0", "4.57.6", "5.0.0", "5.1.0")
ASKED = Question(package="p", releases=("4.57.6", "5.0.0", "5.1.0"), scenario="s.py::t", matrix="m")
CARD = GpuRecord(uuid="GPU-1", name="NVIDIA H200", memory_bytes=141 * 2**30, driver="570.1")
CELL = CellRecord(
    id="p-5.1.0-aa",
    labels={},
    pins={"p": "5.1.0", "q": "2"},
    python="3.11",
    variables={"V": "1"},
    versions={"p": "5.1.0", "q": "2", "torch": "2.13.0", "other": "1"},
)


def run(gpus=(CARD,), **matrix):
    info = ScenarioInfo(id="s::t", nodeid="s.py::t", checkpoints=("qwen",))
    return RunRecord(
        name="m",
        started=datetime.now(UTC),
        matrix={"checkpoints": matrix},
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


def result(ending, before="4.57.6", suspects=("5.0.0", "5.1.0"), reason="", **answers):
    said = {"good": Evaluation(False, "pass"), "bad": Evaluation(True, "fail")}
    releases = {"4.57.6": "good", "5.1.0": "bad"} | {
        name.lstrip("_").replace("_", "."): one for name, one in answers.items()
    }
    judged = {one: said.get(text) or Evaluation(None, text) for one, text in releases.items()}
    if not reason and releases["4.57.6"] != "good":
        reason = judged["4.57.6"].reason  # the search stopped at this end
    return Result(ending=ending, package="p", before=before, suspects=suspects, releases=judged, reason=reason)


FACTS = Facts(run=run(size="tiny"), place="reports/run", cell=CELL, attempts=(attempt(),), known=KNOWN)


def text(asked, ended, facts=FACTS):
    return "\n".join(hints(asked, ended, facts))


def test_found_leads_to_the_script_the_draft_and_the_commits():
    facts = Facts(
        run=run(),
        place="reports/run",
        attempts=(attempt(),),
        border={"5.1.0": CELL},
        compare="https://github.com/o/p/compare/v5.0.0...v5.1.0",
        repository="https://github.com/o/p",
    )
    assert text(ASKED, result(Ending.FOUND, "5.0.0", ("5.1.0",)), facts).splitlines() == [
        "commits between: https://github.com/o/p/compare/v5.0.0...v5.1.0",
        "a script for a maintainer: harness repro reports/run p-5.1.0-aa 's::t[p]' -o repro.py",
        "a draft of the issue: harness issue reports/run --bisect reports/run",
        "the commit: harness bisect --resume reports/run --into git:https://github.com/o/p",
    ]


def test_for_a_fix_the_script_shows_the_last_bad_release():
    asked = ASKED.model_copy(update={"find_fix": True})
    facts = Facts(run=run(), place="run", attempts=(attempt(),), border={"4.57.6": CELL})
    assert "harness repro run p-5.1.0-aa 's::t[p]'" in text(asked, result(Ending.FOUND, suspects=("5.0.0",)), facts)


def test_not_reproduced_lists_what_a_report_is_compared_with():
    said = text(ASKED.model_copy(update={"signature": "S"}), result(Ending.NOT_REPRODUCED))
    assert "machine: Linux x86_64, NVIDIA H200 141 GiB (driver 570.1), ran on cuda" in said
    assert "checkpoints: qwen, tiny" in said
    assert "versions: Python 3.11, p 5.1.0, q 2, torch 2.13.0" in said
    assert "variables: V=1" in said
    assert 'size = "full"' in said
    assert "without --signature" in said


def test_a_machine_without_a_gpu_and_full_checkpoints_say_so():
    facts = Facts(run=run(gpus=(), size="full"), place="run", cell=CELL, attempts=(attempt(ran_on="cpu"),))
    said = text(ASKED, result(Ending.NOT_REPRODUCED), facts)
    assert "machine: Linux x86_64, no GPU, ran on cpu" in said
    assert "checkpoints: qwen, full" in said
    assert 'size = "full"' not in said


def test_a_good_end_that_fails_leads_to_an_older_one_or_another_package():
    said = text(ASKED, result(Ending.INCONCLUSIVE, _4_57_6="bad"))
    assert "--good 4.56.2" not in said
    assert "try an older good end: --good 4.55.4" in said
    assert "leave --good out" in said
    assert "harness blame" in said


@pytest.mark.parametrize(
    ("newest", "sentence"),
    [
        ("5.1.0", "5.1.0 is the newest release: it is not fixed in any"),
        ("5.2.0", "try the newest release: --good 5.2.0"),
    ],
)
def test_a_fix_that_is_not_there_names_the_newest_release(newest, sentence):
    asked = ASKED.model_copy(update={"find_fix": True})
    facts = Facts(run=run(), place="run", known=(*KNOWN[:-1], newest))
    assert sentence in text(asked, result(Ending.INCONCLUSIVE, _4_57_6="bad", _5_1_0="bad"), facts)


@pytest.mark.parametrize(
    ("reason", "more", "hint"),
    [
        ("s::t fail:run:timeout", {"signature": "S"}, "--timeout"),
        ("s::t error:run:gpu_busy", {}, "--gpu-busy"),
        ("* fail:resolve:unsolvable: no", {}, "other pins"),
        ("* fail:install:install_failed", {}, "other pins"),
        ("s::t fail:run:exception: other", {"signature": "S"}, "--good-signature S"),
        ("flaky: s::t gave pass:check, fail:run:exception", {}, "--confirm"),
    ],
)
def test_releases_that_cannot_be_told_are_named_with_the_option_that_helps(reason, more, hint):
    said = text(ASKED.model_copy(update=more), result(Ending.INCONCLUSIVE, _5_0_0=reason))
    assert f"5.0.0 cannot be told: {reason}" in said
    assert hint in said


def test_attempts_that_disagree_ask_for_more_of_them():
    ended = result(Ending.INCONCLUSIVE, suspects=("5.0.0",), reason="5.0.0: flaky: s::t gave pass:check, fail")
    assert "--confirm 5" in text(ASKED, ended)
    assert "--above" in text(ASKED.model_copy(update={"metric": "x.y", "limit": 3, "confirm": 4}), ended)
    assert "--confirm 8" in text(ASKED.model_copy(update={"confirm": 4}), ended)


def test_a_good_end_that_cannot_be_told_says_why():
    said = text(ASKED, result(Ending.INCONCLUSIVE, _4_57_6="* fail:resolve:unsolvable: no"))
    assert "4.57.6 cannot be told: * fail:resolve:unsolvable: no" in said
    assert "other pins" in said


def test_a_bad_end_that_cannot_be_told_names_the_option_too():
    reason = "* fail:resolve:unsolvable: no"
    said = text(ASKED, result(Ending.INCONCLUSIVE, reason=reason, _5_1_0=reason))
    assert "other pins" in said
    assert "machine:" in said
    assert "older good end" not in said


def test_no_good_release_at_all_asks_whether_it_ever_worked():
    asked = ASKED.model_copy(update={"open_end": True})
    said = text(asked, result(Ending.INCONCLUSIVE, "", reason="no good release", _4_57_6="s::t skip:run:no_gpu"))
    assert "may never have worked" in said
    assert "4.57.6 cannot be told: s::t skip:run:no_gpu" in said


def test_an_interrupt_needs_no_hint():
    assert hints(ASKED, result(Ending.INTERRUPTED), FACTS) == ()


@pytest.mark.parametrize(
    ("release", "older"),
    [("5.1.0", "4.57.6"), ("5.0.0", "4.56.2"), ("4.56.0", "4.55.4"), ("4.55.4", None), ("no version", None)],
)
def test_two_minors_before_a_release_the_newest_patch_is_taken(release, older):
    assert minors_before(release, KNOWN) == older
