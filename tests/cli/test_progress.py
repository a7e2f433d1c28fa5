"""The progress of a run: how many attempts it expects, and a module that is missing, once."""

import io

import pytest
from rich.console import Console

from harness.cli.progress import ExpectedAttempts, RunProgress


def attempt(cell, number=1, scenario="a::t"):
    record = {
        "cell": cell,
        "scenario": scenario,
        "attempt": number,
        "outcome": "pass:check",
        "seconds": 1,
        "detail": "",
    }
    return ("attempt", {"record": record})


def planned(cell, attempts, scenarios=None):
    return ("planned", {"cell": cell, "attempts": attempts, "scenarios": attempts if scenarios is None else scenarios})


STARTED = ("run_started", {})


def ended(cell):
    return ("cell_finished", {"cell": cell})


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([STARTED], "~20"),
        ([STARTED, planned("x", 3)], "~6"),  # of ten, a keyword leaves three, here and surely in the other cell too
        ([STARTED, planned("x", 3), planned("y", 4)], "7"),
        ([STARTED, planned("x", 1, 10)], "~11"),  # resumed: nine were made before
        ([STARTED, planned("x", 3), ended("x"), attempt("y", 0, "*")], "3"),  # no environment
        ([STARTED, planned("x", 3), attempt("y", 0, "broken_file"), planned("y", 2)], "5"),
        ([STARTED, ended("x"), ended("y")], "0"),
    ],
)
def test_the_number_is_what_is_planned_and_an_estimate_for_the_rest(events, text):
    total = ExpectedAttempts(10, (({"x": 1, "y": 1}, 1),))
    for event, fields in events:
        total.update(event, fields)
    assert f"{'~' if total.estimated else ''}{total.number}" == text


def test_repeats_both_isolations_and_a_control_at_the_end_count():
    total = ExpectedAttempts(10, (({"x": 2, "y": 2}, 3), ({"x": 2}, 1)))
    assert total.number == 2 * 2 * 3 * 10 + 2 * 10
    for event, fields in (STARTED, planned("x", 6, 2), planned("x", 6, 2), planned("y", 6, 2), planned("y", 6, 2)):
        total.update(event, fields)
    assert (total.number, total.estimated) == (24 + 2 * 2, True)
    for event, fields in (STARTED, planned("x", 2), planned("x", 2)):
        total.update(event, fields)
    assert (total.number, total.estimated) == (28, False)


def shown(expected, events, *, terminal=False):
    file = io.StringIO()
    with RunProgress(Console(file=file, force_terminal=terminal, width=150, color_system=None), expected) as progress:
        for event, fields in events:
            progress(event, fields)
    return file.getvalue()


def test_each_line_counts_against_what_is_known_by_then():
    events = [STARTED, planned("x", 1), attempt("x"), planned("y", 1), attempt("y")]
    said = shown(ExpectedAttempts(15, (({"x": 1, "y": 1}, 1),)), events).splitlines()
    assert [line.split()[0] for line in said] == ["[1/~2]", "[2/2]"]


def test_a_number_that_a_search_knows_stays():
    said = shown(4, [STARTED, planned("x", 1), attempt("x")])
    assert said.startswith("[1/4] ")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_missing_module_is_shown_once(terminal):
    events = [("preload_failed", {"cell": cell, "module": "numpyy", "text": f"numpyy not in {cell}"}) for cell in "xy"]
    said = shown(4, events, terminal=terminal)
    assert said.count("note: numpyy not in x") == 1
    assert "not in y" not in said
