"""A scan of every release: its changes, and how it ends."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.search.criterion import Evaluation
from harness.search.records import Ending, ReleaseQuestion
from harness.search.scan import ChangePoint, change_points, conclude_scan, scan_releases
from harness.store.records import AttemptRecord
from tests.results import results_of_attempts

WORDS = {"g": False, "b": True, "?": None}
MIB = 2**20


def attempt(value, number=1, scenario="s::t"):
    facts = {"cell": "c", "started": datetime.now(UTC), "seconds": 1}
    return AttemptRecord(
        scenario=scenario, attempt=number, outcome="pass:check", figures={"host_anon.load": value}, **facts
    )


def scan(answers, figures=None, **more):
    """Return the scan of releases 1, 2, 3 … with these answers and figures (MiB; several are several attempts)."""
    releases = tuple(str(number + 1) for number in range(len(answers)))
    metric = "host_anon.load" if figures else None
    asked = ReleaseQuestion(
        package="p", releases=releases, scenario="s.py::t", matrix="m", scan=True, metric=metric, **more
    )
    judged = {one: Evaluation(WORDS[answer], "because") for one, answer in zip(releases, answers, strict=True)}
    several = [one if isinstance(one, tuple) else (one,) for one in figures or ()]
    rows = {
        release: [attempt(value * MIB, number) for number, value in enumerate(values, 1) if value is not None]
        for release, values in zip(releases, several, strict=False)
    }
    results = {release: results_of_attempts(found) for release, found in rows.items()}
    return scan_releases(asked, results, judged, None)


def test_every_change_is_named_with_what_lies_between():
    found = scan("ggbb?g")
    assert [(one.before, one.after, one.bad, one.between) for one in found.changes] == [
        ("2", "3", True, ()),
        ("4", "6", False, ("5",)),
    ]


@pytest.mark.parametrize(
    ("answers", "find_fix", "ending", "before", "suspects"),
    [
        ("ggbb", False, Ending.FOUND, "2", ("3",)),
        ("bbgg", True, Ending.FOUND, "2", ("3",)),
        ("gbgb", False, Ending.FOUND, "1", ("2",)),
        ("g?b", False, Ending.INCONCLUSIVE, "1", ("2", "3")),
        ("ggg", False, Ending.NOT_REPRODUCED, "1", ("2", "3")),
        ("bbb", False, Ending.INCONCLUSIVE, "1", ("2", "3")),
        ("bgg", False, Ending.INCONCLUSIVE, "1", ("2", "3")),
        ("???", False, Ending.INCONCLUSIVE, "1", ("2", "3")),
    ],
)
def test_it_ends_as_a_bisect_does(answers, find_fix, ending, before, suspects):
    found = conclude_scan(scan(answers, find_fix=find_fix))
    assert (found.ending, found.before, found.suspects) == (ending, before, suspects)
    assert bool(found.reason) is (ending is not Ending.FOUND and answers != "g?b")


def test_a_figure_without_a_bound_is_found_where_it_moves_beyond_noise():
    found = scan("???", [100, 100.5, 140])
    assert [(one.before, one.after, one.bad) for one in found.moves] == [("2", "3", None)]
    assert conclude_scan(found).ending is Ending.FOUND
    assert conclude_scan(scan("???", [100, 100.5, 101])).reason == "host_anon.load never changes beyond noise"


def test_a_figure_that_spreads_as_far_as_it_moves_has_not_moved():
    assert not scan("???", [(100, 140, 120), 130, (100, 140, 125)]).moves


def test_a_move_that_turns_the_answer_is_told_once():
    found = scan("ggb", [100, 120, 200])
    assert [(one.before, one.after, one.bad) for one in found.changes] == [("1", "2", None), ("2", "3", True)]
    assert found.changes[1].figures == (120 * MIB, 200 * MIB)


def test_a_release_without_a_figure_has_none_and_does_not_hide_the_move():
    found = scan("???", [100, None, 200])
    assert found.points[1].figure is None
    assert [one.between for one in found.moves] == [("2",)]


ANSWERS = st.lists(st.sampled_from([True, False, None]), max_size=40)


@given(ANSWERS)
def test_every_two_known_neighbours_that_differ_are_a_change_and_nothing_else_is(answers):
    pairs = [
        (low, high)
        for low in range(len(answers))
        for high in range(low + 1, len(answers))
        if None not in (answers[low], answers[high])
        and answers[low] is not answers[high]
        and all(answers[item] is None for item in range(low + 1, high))
    ]
    assert [(one.before, one.after) for one in change_points(answers)] == pairs


@given(ANSWERS)
def test_changes_go_to_and_fro_and_say_which_way(answers):
    found = change_points(answers)
    assert all(one.bad is not other.bad for one, other in pairwise(found))
    assert all(answers[one.after] is one.bad for one in found)


def test_a_change_with_something_unknown_inside_spans_it():
    assert change_points([False, None, True, False]) == (ChangePoint(0, 2, bad=True), ChangePoint(2, 3, bad=False))
    assert [(one.before, one.after) for one in change_points([False, None, True, False])] == [(0, 2), (2, 3)]
