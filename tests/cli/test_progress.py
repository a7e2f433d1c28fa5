"""The progress of a run: how many attempts it expects, and a module that is missing, once."""

import io
import re

import pytest
from inline_snapshot import snapshot
from rich.console import Console

from harness.cli.progress import DETAIL, ExpectedAttempts, RunProgress


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


def record(outcome, detail="", **fields):
    values = {"cell": "six-1", "scenario": "own::test_a", "attempt": 1, "seconds": 2.06, "outcome": outcome}
    return ("attempt", {"record": {**values, "detail": detail, **fields}})


EVENTS = [
    STARTED,
    ("environment_started", {"cell": "six-1", "lock": "0b2bb2af782044ce"}),
    ("environment", {"cell": "six-1", "lock": "0b2bb2af782044ce", "reused": False, "seconds": 3.14}),
    ("environment", {"cell": "six-2", "lock": "321abcf253cbd80e", "reused": True, "seconds": 0.0}),
    ("checkpoints_started", {"names": ["qwen2.5-7b", "gemma-3-4b"]}),
    ("checkpoint", {"text": "qwen2.5-7b: shard 1 of 4, 3.9 of 14.2 GiB"}),
    ("checkpoints", {"names": ["qwen2.5-7b"], "built": ["qwen2.5-7b"]}),
    ("checkpoints", {"names": ["qwen2.5-7b"], "built": []}),
    ("launcher", {"cell": "six-1", "isolation": "spawn", "fallback": "this platform has no fork"}),
    ("launcher", {"cell": "six-2", "isolation": "fork", "fallback": ""}),
    ("preload_failed", {"cell": "six-1", "module": "six", "text": "m.toml: six could not be imported in six-1"}),
    ("planned", {"cell": "six-1", "attempts": 3, "scenarios": 3}),
    record("pass:check"),
    record("skip:run:not_applicable", "needs six>=2, found 1"),
    record("fail:check:assertion", "AssertionError: " + "x " * 10),
    record("unavailable:resolve:unsolvable", "there is no version of six==3", cell="six-3", scenario="*", attempt=0),
    ("run_finished", {}),
]


def test_lines_of_events():
    assert shown(4, EVENTS) == snapshot("""\
six-1: preparing environment 0b2bb2af782044ce …
six-1: environment built in 3.1 s
six-2: environment reused
checkpoints: building qwen2.5-7b, gemma-3-4b …
checkpoint qwen2.5-7b: shard 1 of 4, 3.9 of 14.2 GiB …
checkpoints: 1 built
six-1: fresh interpreters instead of forks: this platform has no fork
note: m.toml: six could not be imported in six-1
[1/4] pass:check own::test_a in six-1 2.1 s
[2/4] skip:run:not_applicable own::test_a in six-1 2.1 s
[3/4] fail:check:assertion own::test_a in six-1 2.1 s: AssertionError: x x x x x x x x x x
[3/4] unavailable:resolve:unsolvable six-3: there is no version of six==3
""")


def test_a_long_detail_is_cut():
    line = shown(4, [STARTED, record("fail:run:exception", "x" * 500)]).rstrip()
    assert line.endswith(f": {'x' * DETAIL}")


def test_a_terminal_shows_what_takes_long_and_what_did_not_pass():
    assert above_bar(shown(4, EVENTS, terminal=True)) == snapshot("""\
six-1: preparing environment 0b2bb2af782044ce …
checkpoints: building qwen2.5-7b, gemma-3-4b …
checkpoint qwen2.5-7b: shard 1 of 4, 3.9 of 14.2 GiB …
note: m.toml: six could not be imported in six-1
fail:check:assertion own::test_a in six-1 2.1 s: AssertionError: x x x x x x x x x x
unavailable:resolve:unsolvable six-3: there is no version of six==3\
""")


def above_bar(text):
    """Return the lines of a terminal without the bar and its control codes."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", text)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip() and not line.startswith("attempts ")]
    return "\n".join(lines)
