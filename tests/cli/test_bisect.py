"""What ``harness bisect`` refuses, before anything is installed, and how it says that a search is over."""

import re
from dataclasses import dataclass

import pytest
from packaging.version import Version

from harness.cli import bisect as verb
from harness.cli.answers import answer_lines
from harness.cli.main import main, parser
from harness.matrix.index import Listing, Release
from harness.search.criterion import Evaluation
from harness.search.question import Question
from harness.search.result import Ending, Result

SCENARIO = ("--scenario", "s.py::t")
LISTED = tuple(Release(Version(text)) for text in ("1.0", "1.1", "1.2", "1.3"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (SCENARIO, "bisect needs PACKAGE"),
        (("p",), "bisect needs --scenario"),
        (("p", *SCENARIO, "--above", "8GiB"), "--metric and --above belong together"),
        (("p", *SCENARIO, "--metric", "x.y"), r"--metric and --above belong together"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "1.5x", "--signature", "S"), "two different questions"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "1.5x", "--assume-ends"), "which is not run here"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "1.5x"), "measured at the good end: name it with --good"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "much", "--good", "1.0"), "neither a factor"),
        (("p", *SCENARIO, "--scan"), "name the older one with --good"),
        (("p", *SCENARIO, "--scan", "--find-fix"), "name the older one with --bad"),
        (("p", *SCENARIO, "--scan", "--good", "1.0", "--confirm", "3"), "--scan runs every release once"),
        (("p", *SCENARIO, "--good", "2026-01-10"), "the index tells no dates of p"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_installs_nothing(monkeypatch, capsys, arguments, sentence):
    monkeypatch.setattr(verb, "list_known_releases", lambda package, cache_dir: Listing({package: LISTED}))
    assert main(["bisect", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(sentence, said)


def question(monkeypatch, *arguments):
    monkeypatch.setattr(verb, "list_known_releases", lambda package, cache_dir: Listing({package: LISTED}))
    return verb._question(parser("bisect").parse_args(["P", *SCENARIO, *arguments]), None)


def test_how_attempts_run_is_kept_for_a_resume(monkeypatch):
    asked, _ = question(
        monkeypatch, "--timeout", "90", "--gpu-busy", "4GiB", "--isolation", "spawn", "--jobs", "2", "--no-reuse"
    )
    again = Question.model_validate_json(asked.model_dump_json())
    options = again.options()
    assert (options.timeout, options.busy_bytes, options.isolation, options.jobs) == (90, 4 * 2**30, "spawn", 2)
    assert not again.reuse
    words = " ".join(again.command(None, "1.3"))
    assert words.startswith("harness bisect p --bad 1.3 --scenario s.py::t")
    assert words.endswith("--timeout 90 --gpu-busy 4294967296 --isolation spawn")


def test_ends_that_are_left_out(monkeypatch):
    asked, notes = question(monkeypatch)
    assert (asked.package, asked.releases, asked.open_end) == ("p", ("1.0", "1.1", "1.2", "1.3"), True)
    assert notes == ("the bad end is p 1.3, the newest release",)
    asked, _ = question(monkeypatch, "--good", "1.1", "--scan", "--metric", "x.y")
    assert (asked.releases, asked.open_end, asked.told) == (("1.1", "1.2", "1.3"), False, False)


@dataclass(frozen=True)
class Search:
    """As much of a search as its last line asks for."""

    question: Question

    @property
    def seen(self):
        return self

    def attempts(self):
        return dict.fromkeys(self.question.releases, ())


ASKED = Question(package="p", releases=("1", "2", "3"), scenario="s.py::t", matrix="m")
GOOD, BAD, UNTOLD = Evaluation(False, "pass"), Evaluation(True, "fail"), Evaluation(None, "skip")


@pytest.mark.parametrize(
    ("more", "ended", "sentence"),
    [
        ({}, (Ending.FOUND, "1", ("2",), ""), "p 2 is the first bad release, 1 the last good one"),
        ({"find_fix": True}, (Ending.FOUND, "1", ("2",), ""), "p 2 is the first good release, 1 the last bad one"),
        ({}, (Ending.INCONCLUSIVE, "1", ("2", "3"), ""), "inconclusive: the first bad p is one of 2, 3; 1 is good"),
        ({}, (Ending.NOT_REPRODUCED, "1", ("2", "3"), "pass"), "not reproduced: p 3 is not bad here (pass)"),
        (
            {},
            (Ending.INCONCLUSIVE, "1", ("2", "3"), "fail"),
            "inconclusive: the good end, p 1, is not good here (fail)",
        ),
        (
            {},
            (Ending.INCONCLUSIVE, "1", ("2", "3"), "skip"),
            "inconclusive: the good end, p 1, cannot be judged here (skip)",
        ),
        (
            {"find_fix": True},
            (Ending.INCONCLUSIVE, "1", ("2", "3"), "fail"),
            "inconclusive: the good end, p 3, is still bad (fail)",
        ),
        (
            {},
            (Ending.INCONCLUSIVE, "1", ("2", "3"), "no figure nope"),
            "inconclusive: the bad end, p 3, cannot be judged here (no figure nope)",
        ),
        (
            {"find_fix": True},
            (Ending.INCONCLUSIVE, "1", ("2", "3"), "no figure nope"),
            "inconclusive: the bad end, p 1, cannot be judged here (no figure nope)",
        ),
        (
            {"signature": "S"},
            (Ending.NOT_REPRODUCED, "1", ("2", "3"), "no figure nope"),
            "not reproduced: p 3 is red here for another reason than S (no figure nope)",
        ),
        (
            {"open_end": True},
            (Ending.INCONCLUSIVE, "", ("1", "2"), "no good release was found"),
            "inconclusive: p: no good release was found",
        ),
        (
            {"confirm": 3},
            (Ending.INCONCLUSIVE, "1", ("2",), "2: flaky: s::t gave a, b"),
            "inconclusive, one of 2 is the first bad release: p 2: flaky: s::t gave a, b",
        ),
    ],
)
def test_the_last_line_is_the_answer(more, ended, sentence):
    asked = ASKED.model_copy(update=more)
    ending, before, suspects, reason = ended
    told = {"fail": BAD, "skip": UNTOLD}.get(reason, GOOD)
    bad = {"pass": GOOD, "no figure nope": Evaluation(None, reason)}.get(reason, BAD)
    releases = {asked.bad: bad, asked.good: told, "2": BAD}
    result = Result(ending=ending, package="p", before=before, suspects=suspects, releases=releases, reason=reason)
    assert answer_lines(Search(asked), result) == [sentence]


def test_an_end_that_was_assumed_is_no_more_than_that():
    releases = {"2": BAD}
    result = Result(ending=Ending.FOUND, package="p", before="1", suspects=("2",), releases=releases)
    said = answer_lines(Search(ASKED), result)
    assert said == ["p 2 is the first bad release, 1 the last good one (1 was assumed, not run)"]
