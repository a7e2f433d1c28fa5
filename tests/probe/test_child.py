"""The probe inside a process of its own, played by this interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.runner.probe_path import probe_path
from harness.runner.process import Request, environment
from harness.store.events import digest
from harness.store.journal import read

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.fixture
def child(tmp_path):
    """Return a function: request → (events, exit code)."""

    def run(op, **facts):
        request = Request(op, tmp_path / "attempt", str(SCENARIOS), 60.0, **facts)
        command = [sys.executable, "-m", "harness.probe.child", str(request.write("spawn"))]
        variables = environment(probe_path(tmp_path / "probe"), {})
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, check=False, timeout=60)
        return digest(read(request.folder / "events.jsonl")), done.returncode

    return run


def run_one(child, name, **facts):
    return child("run", nodeid=f"{SCENARIOS / 'hostile.py'}::{name}", **facts)


@pytest.mark.parametrize(
    ("name", "reason", "text"),
    [
        ("test_needs_many_gpus", "no_gpu", "needs 99 CUDA device(s), found"),
        ("test_needs_a_newer_package", "not_applicable", "needs pytest>=9999, found"),
        ("test_plain_skip", "not_applicable", "not today"),
    ],
)
def test_a_skip_carries_its_reason(child, name, reason, text):
    events, code = run_one(child, name)
    assert code == 0
    assert events.skip[0] == reason
    assert text in events.skip[1]
    assert not events.passed


def test_every_expectation_is_recorded_and_the_test_fails_at_its_end(child):
    events, code = run_one(child, "test_expectations_go_on")
    assert [(one.held, one.detail) for one in events.expectations] == [(True, ""), (False, "because"), (False, "")]
    assert code == 1
    assert events.failures[0].type == "harness.probe.api.ExpectationFailed"
    assert events.failures[0].message == "second breaks (because); third breaks"
    assert not events.passed


def test_a_failure_shows_the_scenario_and_not_the_machinery(child):
    events, _ = run_one(child, "test_assertion")
    assert [(frame.path, frame.function) for frame in events.failures[0].frames] == [("hostile.py", "test_assertion")]


def test_a_checkpoint_must_be_declared(child):
    events, _ = run_one(child, "test_asks_for_an_undeclared_checkpoint", checkpoints={"declared": "/somewhere"})
    assert events.failures[0].type.endswith("CheckpointNotDeclared")
    assert (
        "'something-else' is not in this scenario's checkpoints=[…] (declared: declared)" in events.failures[0].message
    )


def test_collection_lists_what_decorators_declare_and_files_that_fail(child):
    files = (str(SCENARIOS / "hostile.py"), str(SCENARIOS / "broken_import.py"))
    events, _ = child("collect", files=files)
    declared = {event["nodeid"].split("::")[-1]: event for event in events.collected}
    assert declared["test_needs_many_gpus"]["row"] == "A1"
    assert declared["test_needs_many_gpus"]["title"] == "Needs more GPUs than anybody has."
    assert declared["test_needs_many_gpus"]["needs"] == ["cuda:99"]
    assert {"test_parametrized[1]", "test_parametrized[2]"} <= declared.keys()
    assert events.failed_files == ["broken_import"]
    assert events.failures[0].type == "ModuleNotFoundError"
    assert events.versions["pytest"] == pytest.__version__


def test_a_keyword_selects_as_in_pytest(child):
    events, _ = child("collect", files=(str(SCENARIOS / "hostile.py"),), keyword="parametrized and not 2")
    assert [event["nodeid"].split("::")[-1] for event in events.collected] == ["test_parametrized[1]"]


def test_phases_do_not_nest(child, tmp_path):
    file = tmp_path / "nested.py"
    file.write_text(
        "def test_nested(probe):\n    with probe.phase('a'):\n        with probe.phase('b'):\n            pass\n"
    )
    events, _ = child("run", nodeid=f"{file}::test_nested")
    assert "phase 'b' opened inside phase 'a'" in events.failures[0].message


def test_an_unknown_fixture_is_named(child, tmp_path):
    file = tmp_path / "typo.py"
    file.write_text("def test_typo(prob):\n    pass\n")
    events, _ = child("run", nodeid=f"{file}::test_typo")
    assert events.failures[0].message == "fixture 'prob' not found"


def test_a_repeated_phase_is_counted_and_memory_json_can_be_made(child, tmp_path):
    file = tmp_path / "twice.py"
    file.write_text(
        "def test_twice(probe):\n    for _ in range(2):\n        with probe.phase('a'):\n            pass\n"
    )
    events, _ = child("run", nodeid=f"{file}::test_twice")
    assert list(events.phases) == ["a", "a.2"]
    assert json.dumps(events.phases)
