"""The index has the results of the run folders; it can be deleted, damaged and refreshed by several processes."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.history.index import FILE, Figures, pack, refresh
from harness.history.query import open_history
from harness.report.context import build
from harness.store.journal import Journal
from harness.store.records import AttemptRecord
from harness.store.run_folder import RunFolder
from harness.verdict.result import outcome_text
from harness.verdict.statistics import spread
from tests.history.run_folders import CELLS, SCENARIOS, attempt, write

RECORDED_AS = (*SCENARIOS, "a::test_y[one]", "a::test_y[two]", "a", "*")
OUTCOMES = (
    "pass:check",
    "fail:run:oom",
    "fail:check:assertion",
    "error:run:exception",
    "skip:run:not_applicable",
    "miss:run:interrupted",
)
ATTEMPTS = st.lists(
    st.builds(
        attempt,
        st.sampled_from(RECORDED_AS),
        st.integers(0, 3),
        st.sampled_from(OUTCOMES),
        of=st.sampled_from(CELLS),
        figures=st.dictionaries(st.sampled_from(["cuda_reserved.load", "seconds.load", "x.n"]), st.integers(0, 10**12)),
        signature=st.sampled_from([None, "TypeError: x", "timeout"]),
    ),
    max_size=12,
)
RUNS = st.lists(ATTEMPTS, min_size=1, max_size=4)


def indexed(reports, **options):
    history, _ = open_history(reports, **options)
    return {key: [(each, dict(each.figures)) for each in results] for key, results in history.all_results()}


def reported(reports):
    """Return the results as a report computes them, from validated records of one run after the other."""
    found = {}
    for path in sorted(reports.glob("*/run.json")):
        folder = RunFolder(path.parent)
        record, journal = folder.read(AttemptRecord)
        series = {each.id: each.series for each in record.cells}
        for row in build(record, journal).rows:
            for one in row.table_cells:
                figures = {
                    f"{each.name}.{each.phase}" if each.phase else f"x.{each.name}": each.spread for each in one.figures
                }
                signature = one.signature.id if one.signature else ""
                found[folder.path.name, series[one.cell], row.scenario] = (one.outcome, signature, figures)
    return found


@settings(max_examples=60)
@given(RUNS)
def test_the_index_has_the_results_of_the_reports(runs):
    with tempfile.TemporaryDirectory() as scratch:
        reports = Path(scratch)
        for number, attempts in enumerate(runs):
            write(reports, f"run{number}", attempts, day=number)
        found = {}
        for key, results in open_history(reports)[0].all_results():
            assert [one.started for one in results] == sorted(one.started for one in results)
            for one in results:
                figures = {name: value for name, value in one.figures.items() if name != "seconds"}
                found[one.run, key.series, key.scenario] = (outcome_text(one.outcomes), one.signature, figures)
        assert found == reported(reports)


@settings(max_examples=30)
@given(RUNS, RUNS, st.randoms(use_true_random=False))
def test_a_refreshed_index_equals_a_rebuilt_one(first, second, chance):
    with tempfile.TemporaryDirectory() as scratch:
        reports = Path(scratch)
        for attempts in (first, second):
            for number, each in enumerate(attempts):
                write(reports, f"run{number}", each, day=number)
            if chance.random() < 0.5:
                shutil.rmtree(reports / "run0")
            open_history(reports)
        assert indexed(reports) == indexed(reports, rebuild=True)


VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=5)


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=5))
def test_figures_are_unpacked_as_they_were_packed(values):
    positions = {name: position for position, name in enumerate(values)}
    assert dict(Figures(positions, *pack(values))) == {name: spread(each) for name, each in values.items()}


def test_only_changed_runs_are_read_again(tmp_path):
    write(tmp_path, "one", [attempt()])
    write(tmp_path, "two", [attempt()], day=1)
    assert (refresh(tmp_path).read, refresh(tmp_path).read) == (2, 0)
    journal = Journal(tmp_path / "two" / "journal.jsonl")
    journal.attempt(attempt(number=2, outcome="fail:run:oom"))
    journal.close()
    assert refresh(tmp_path).read == 1
    results = open_history(tmp_path)[0].series("six=latest-1", "a::test_x")
    assert [len(one.outcomes) for one in results] == [1, 2]
    shutil.rmtree(tmp_path / "one")
    done = refresh(tmp_path)
    assert (done.read, done.removed) == (0, 1)
    assert [one.run for one in open_history(tmp_path)[0].series("six=latest-1", "a::test_x")] == ["two"]


def test_a_run_of_a_newer_schema_is_skipped_with_a_note(tmp_path):
    write(tmp_path, "now", [attempt()])
    write(tmp_path, "then", [attempt()], day=1, schema_version=99)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text('{"name": ')
    for _ in range(2):  # noted each time, not only when it was read
        history, done = open_history(tmp_path)
        assert len(done.notes) == 2
        assert "then/run.json has schema 99, newer than 2: skipped" in done.notes[0]
        assert "torn/run.json: run.json: Invalid JSON" in done.notes[1]
    assert [one.run for one in history.series("six=latest-1", "a::test_x")] == ["now"]


@pytest.mark.parametrize("damage", ["no database", "other version", "cut"])
def test_a_damaged_index_is_rebuilt_with_a_note(tmp_path, damage):
    write(tmp_path, "one", [attempt()])
    before = indexed(tmp_path)
    path = tmp_path / FILE
    if damage == "no database":
        path.write_text("not a database, in spite of its name")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 0")
        connection.close()
    history, done = open_history(tmp_path)
    assert done.rebuilt
    assert done.notes == ("history.sqlite was damaged or of another version and was rebuilt",)
    assert {key: [(each, dict(each.figures)) for each in results] for key, results in history.all_results()} == before


def test_damage_that_a_query_finds_is_repaired(tmp_path):
    write(tmp_path, "one", [attempt(number=number) for number in range(1, 40)])
    before = indexed(tmp_path)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    assert indexed(tmp_path) == before


def test_several_processes_may_refresh_at_the_same_time(tmp_path):
    for number in range(20):
        write(tmp_path, f"run{number}", [attempt()], day=number)
    code = f"from pathlib import Path; from harness.history.index import refresh; refresh(Path({str(tmp_path)!r}))"
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) for _ in range(4)]
    assert [each.wait(60) for each in running] == [0, 0, 0, 0]
    assert len(open_history(tmp_path)[0].series("six=latest-1", "a::test_x")) == 20


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder"):
        open_history(tmp_path / "nowhere")
