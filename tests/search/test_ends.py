"""How a search ends where one of its ends is not what it was said to be."""

from datetime import UTC, datetime

import pytest

from harness.search.criterion import Cause, Criterion, Evaluation, failed_otherwise
from harness.search.ends import bad_end_untold, good_end_failed, stopped
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.store.records import AttemptRecord

GOOD, BAD = Evaluation(False, "it passes"), Evaluation(True, "it fails")
UNTOLD, UNGAUGED = (
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
        (ANY, GOOD, UNTOLD, False, (Ending.NOT_REPRODUCED, "bad")),
        (ANY, UNTOLD, GOOD, False, (Ending.INCONCLUSIVE, "bad")),
        (ANY, UNTOLD, BAD, False, (Ending.INCONCLUSIVE, "bad")),
        (NAMED, UNTOLD, GOOD, True, (Ending.NOT_REPRODUCED, "bad")),
        (ANY, BAD, BAD, False, (Ending.INCONCLUSIVE, "good")),
        (ANY, BAD, UNTOLD, False, (Ending.INCONCLUSIVE, "good")),
        (ANY, None, BAD, False, (Ending.INCONCLUSIVE, "good")),
        (FACTOR, UNGAUGED, UNTOLD, False, (Ending.INCONCLUSIVE, "good")),
        (FACTOR, UNTOLD, GOOD, False, (Ending.INCONCLUSIVE, "bad")),
    ],
)
def test_not_reproduced_needs_a_bad_end_that_was_judged(asked, bad, good, otherwise, ended):
    found = stopped(asked, bad, good, otherwise=otherwise)
    assert (found and (found.ending, "bad" if found.at_bad else "good")) == ended
    assert found is None or found.end is (bad if found.at_bad else good)


def attempt(outcome="fail:run:exception"):
    facts = {"started": datetime.now(UTC), "seconds": 1, "attempt": 1, "scenario": "s::t"}
    return AttemptRecord(cell="c", outcome=outcome, **facts)


def test_red_for_another_reason_needs_a_signature_and_a_failure_of_its_own():
    untold = Evaluation(None, "fail")
    assert failed_otherwise(NAMED, untold, [attempt()])
    assert not failed_otherwise(ANY, untold, [attempt()])
    assert not failed_otherwise(NAMED, GOOD, [attempt()])
    assert not failed_otherwise(NAMED, untold, [attempt("skip:run:no_gpu")])
    assert not failed_otherwise(NAMED, untold, [attempt("fail:run:timeout")])
    assert not failed_otherwise(NAMED, Evaluation(None, "flaky: s::t gave pass, fail", Cause.FLAKY), [attempt()])


ASKED = Question(package="p", releases=("1", "2", "3"), scenario="s.py::t", matrix="m")


@pytest.mark.parametrize(
    ("more", "bad", "good", "reason", "told"),
    [
        ({}, UNTOLD, GOOD, UNTOLD.reason, (True, False)),
        ({"find_fix": True}, UNTOLD, GOOD, UNTOLD.reason, (True, False)),
        ({}, BAD, UNTOLD, UNTOLD.reason, (False, True)),
        ({}, BAD, BAD, BAD.reason, (False, True)),
        ({}, BAD, GOOD, "2: flaky", (False, False)),
        ({"assume_ends": True}, UNTOLD, UNTOLD, UNTOLD.reason, (False, False)),
        ({"scan": True}, UNTOLD, UNTOLD, "no release can be told", (False, True)),
    ],
)
def test_which_end_stopped_a_search_is_known_from_its_result(more, bad, good, reason, told):
    asked = ASKED.model_copy(update=more)
    releases = {asked.bad: bad, asked.good: good}
    result = Result(
        ending=Ending.INCONCLUSIVE, package="p", before="1", suspects=("2", "3"), releases=releases, reason=reason
    )
    assert (bad_end_untold(asked, result), good_end_failed(asked, result)) == told
