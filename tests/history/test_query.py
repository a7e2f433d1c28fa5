"""The index says what the run folders say, however it came about; it can be lost, damaged, raced for."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.history.index import refresh
from harness.history.query import open_history
from harness.history.schema import FILE
from harness.matrix.cell import Cell, Pin
from harness.report.context import build
from harness.store.journal import Journal
from harness.store.merge import merge
from harness.store.records import (
    AttemptRecord,
    CellRecord,
    Failure,
    GpuBefore,
    GpuRecord,
    HostRecord,
    RunRecord,
    ScenarioInfo,
)
from harness.store.run_folder import RunFolder
from harness.verdict.result import outcome_text
from harness.verdict.statistics import Spread

FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CELLS = ("latest-1", "latest-2")
EXPECTED = ("a::test_x", "a::test_y", "b::test_z")
VOICES = (*EXPECTED, "a::test_y[one]", "a::test_y[two]", "a", "*")
OUTCOMES = (
    "pass:check",
    "fail:run:oom",
    "fail:check:assertion",
    "error:run:exception",
    "skip:run:not_applicable",
    "miss:run:interrupted",
)


def host(*models: str) -> HostRecord:
    cards = tuple(GpuRecord(uuid=f"GPU-{name}", name=name, memory_bytes=10, driver="1") for name in models)
    return HostRecord(platform="Linux", cpus=2, memory_bytes=100, gpus=cards)


def cell(name: str, version: str = "1.0") -> CellRecord:
    return CellRecord(
        id=name, labels={"six": version}, pins={"six": version}, python="3.11",
        versions={"six": version, "numpy": "2.0"}, line=f"six={name}",
    )  # fmt: skip


def attempt(scenario="a::test_x", number=1, outcome="pass:check", *, of=CELLS[0], figures=None, **more):
    moment = NOON + timedelta(seconds=number)
    return AttemptRecord(
        cell=of, scenario=scenario, attempt=number, outcome=outcome, started=moment, seconds=number,
        figures=figures or {}, **more,
    )  # fmt: skip


def write(root, name, attempts, *, day=0, machine=None, cells=CELLS, matrix="m", **more):
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True, exist_ok=True)
    infos = tuple(ScenarioInfo(id=info, nodeid=f"/x/{info}") for info in EXPECTED)
    record = {
        "name": matrix, "started": NOON + timedelta(days=day), "matrix": {"name": matrix}, "matrix_file": "m.toml",
        "scenarios": infos, "cells": tuple(cell(each) for each in cells), "axes": ("six",),
        "host": machine or host(), "harness_version": "1",
    }  # fmt: skip
    folder.write_record(RunRecord(**{**record, **more}))
    folder.journal_file.unlink(missing_ok=True)
    journal = Journal(folder.journal_file)
    journal.write("run_started", jobs=1)
    for each in attempts:
        journal.attempt(each)
    journal.close()
    return folder


ATTEMPTS = st.lists(
    st.builds(
        attempt,
        st.sampled_from(VOICES),
        st.integers(0, 3),
        st.sampled_from(OUTCOMES),
        of=st.sampled_from(CELLS),
        figures=st.dictionaries(st.sampled_from(["cuda_reserved.load", "seconds.load", "x.n"]), st.integers(0, 10**12)),
        signature=st.sampled_from([None, "TypeError: x", "timeout"]),
    ),
    max_size=12,
)
RUNS = st.lists(ATTEMPTS, min_size=1, max_size=4)


def everything(reports, **how):
    history, _ = open_history(reports, **how)
    return {track: [(each, dict(each.figures)) for each in nights] for track, nights in history.tracks()}


def said_by_folders(reports):
    """Compute the boxes as a report does: from validated records, one run after the other."""
    found = {}
    for path in sorted(reports.glob("*/run.json")):
        folder = RunFolder(path.parent)
        record, journal = folder.read(AttemptRecord)
        lines = {each.id: each.series for each in record.cells}
        for row in build(record, journal).rows:
            for box in row.table_cells:
                figures = {
                    f"{each.name}.{each.phase}" if each.phase else f"x.{each.name}": each.spread for each in box.figures
                }
                signature = box.signature.id if box.signature else ""
                found[folder.path.name, lines[box.cell], row.scenario] = (box.outcome, signature, figures)
    return found


@settings(max_examples=60)
@given(RUNS)
def test_the_index_says_what_the_run_folders_say(runs):
    with tempfile.TemporaryDirectory() as scratch:
        reports = Path(scratch)
        for number, attempts in enumerate(runs):
            write(reports, f"run{number}", attempts, day=number)
        found = {}
        for track, nights in open_history(reports)[0].tracks():
            assert [night.started for night in nights] == sorted(night.started for night in nights)
            for night in nights:
                figures = {name: Spread(*value) for name, value in night.figures.items() if name != "seconds"}
                key = (night.run, track.line, track.scenario)
                found[key] = (outcome_text(night.outcomes), night.signature, figures)
        assert found == said_by_folders(reports)


@settings(max_examples=30)
@given(RUNS, RUNS, st.randoms(use_true_random=False))
def test_an_index_kept_up_is_the_one_made_anew(first, second, chance):
    with tempfile.TemporaryDirectory() as scratch:
        reports = Path(scratch)
        for attempts in (first, second):
            for number, each in enumerate(attempts):
                write(reports, f"run{number}", each, day=number)
            if chance.random() < 0.5:
                shutil.rmtree(reports / "run0")
            open_history(reports)
        assert everything(reports) == everything(reports, rebuild=True)


def test_only_what_changed_is_read_again(tmp_path):
    write(tmp_path, "one", [attempt()])
    write(tmp_path, "two", [attempt()], day=1)
    assert (refresh(tmp_path).read, refresh(tmp_path).read) == (2, 0)
    journal = Journal(tmp_path / "two" / "journal.jsonl")
    journal.attempt(attempt(number=2, outcome="fail:run:oom"))
    journal.close()
    assert refresh(tmp_path).read == 1
    nights = open_history(tmp_path)[0].line("six=latest-1", "a::test_x")
    assert [len(night.outcomes) for night in nights] == [1, 2]
    shutil.rmtree(tmp_path / "one")
    done = refresh(tmp_path)
    assert (done.read, done.gone) == (0, 1)
    assert [night.run for night in open_history(tmp_path)[0].line("six=latest-1", "a::test_x")] == ["two"]


def test_what_was_expected_and_never_ran_is_a_night_without_an_outcome(tmp_path):
    write(tmp_path, "one", [attempt()])
    (night,) = open_history(tmp_path)[0].line("six=latest-2", "b::test_z")
    assert (night.outcomes, dict(night.figures), night.versions["six"]) == ((), {}, "1.0")


def test_the_versions_are_those_the_cell_was_seen_to_have(tmp_path):
    folder = write(tmp_path, "one", [attempt()])
    journal = Journal(folder.journal_file)
    journal.write("versions", cell=CELLS[0], versions={"six": "1.0.dev3", "unlocked": "7"})
    journal.close()
    (night,) = open_history(tmp_path)[0].line("six=latest-1", "a::test_x")
    assert night.versions == {"python": "3.11", "six": "1.0.dev3", "numpy": "2.0"}


def test_a_commit_is_told_beside_the_version_that_did_not_change_and_its_address_is_not_kept(tmp_path):
    shas = ("69c9392b" * 5, "7992ca89" * 5)
    for number, sha in enumerate(shas):
        pin = Pin("six", f"dev@{sha[:8]}", f"six @ git+https://somebody:secret@host.invalid/six@{sha}#subdirectory=x")
        planned = cell(CELLS[0]).model_copy(update={"planned": Cell("3.11", (pin,))})
        folder = write(tmp_path, f"run{number}", [attempt()], day=number, cells=())
        folder.write_record(folder.read_record().model_copy(update={"cells": (planned,)}))
    first, second = open_history(tmp_path)[0].line("six=latest-1", "a::test_x")
    assert (first.versions["six"], second.versions["six"]) == ("1.0", "1.0")
    assert (first.exact["six"], second.exact["six"]) == ("git@69c9392b", "git@7992ca89")
    assert b"somebody" not in (tmp_path / FILE).read_bytes()


def test_in_an_unsolvable_cell_nothing_is_built(tmp_path):
    pin = Pin("six", "dev@1", "six @ git+https://host.invalid/six@" + "1" * 40)
    planned = cell(CELLS[0]).model_copy(update={"planned": Cell("3.11", (pin,)), "versions": {}})
    folder = write(tmp_path, "one", [attempt()], cells=())
    folder.write_record(folder.read_record().model_copy(update={"cells": (planned,)}))
    (night,) = open_history(tmp_path)[0].line("six=latest-1", "a::test_x")
    assert night.exact == {"python": "3.11"}


def test_two_machines_merged_are_two_lines_and_count_once(tmp_path):
    big = write(tmp_path, "big", [attempt(figures={"x.n": 9})], machine=host("H200"))
    small = write(tmp_path, "small", [attempt(figures={"x.n": 1}, outcome="fail:run:oom")], day=1, machine=host("T4"))
    merge([big, small], tmp_path / "both")
    history, _ = open_history(tmp_path)
    assert {track.gpu for track in history.lines()} == {"H200", "T4"}
    for gpu, value, outcome in (("H200", 9, "pass:check"), ("T4", 1, "fail:run:oom")):
        (night,) = history.line("six=latest-1", "a::test_x", gpu)
        assert (night.run, night.gpu, night.figures["x.n"].median) == ("both", gpu, value)
        assert [str(each) for each in night.outcomes] == [outcome]
    with pytest.raises(ConfigError, match="never mixed: m on H200, m on T4"):
        history.line("six=latest-1", "a::test_x")


def test_a_machine_with_two_models_is_told_apart_by_the_card_of_the_attempt(tmp_path):
    for number, model in enumerate(("H200", "T4")):
        card = GpuBefore(uuid=f"GPU-{model}", total=10, used=0)
        write(tmp_path, model, [attempt(gpus_before=(card,))], day=number, machine=host("H200", "T4"), cells=CELLS[:1])
    history, _ = open_history(tmp_path)
    assert {track.gpu for track in history.lines()} == {"H200", "T4"}
    assert [night.run for night in history.line("six=latest-1", "a::test_x", "T4")] == ["T4"]


def test_one_line_of_two_matrices_is_asked_for_by_matrix(tmp_path):
    for number, matrix in enumerate(("m", "n")):
        write(tmp_path, matrix, [attempt()], day=number, matrix=matrix)
    history, _ = open_history(tmp_path)
    with pytest.raises(ConfigError, match="several histories"):
        history.line("six=latest-1", "a::test_x")
    assert [night.run for night in history.line("six=latest-1", "a::test_x", matrix="n")] == ["n"]


def test_a_run_of_the_first_schema_is_a_night(tmp_path):
    shutil.copytree(FROZEN, tmp_path / "old")
    history, done = open_history(tmp_path)
    assert done.notes == ()
    (night,) = history.line("transformers=4.57.6", "load_4bit::test_reserved", "NVIDIA H200")
    assert night.figures["cuda_reserved.load"].median == 7194070220
    assert night.versions["tokenizers"] == "0.22.1"


@pytest.mark.parametrize("file", ["bisect.json", "blame.json"])
def test_a_search_of_before_kinds_is_no_night(tmp_path, file):
    write(tmp_path, "night", [attempt()])
    write(tmp_path, "search", [attempt()], day=1).path.joinpath(file).write_text("{}")
    assert [night.run for night in open_history(tmp_path)[0].line("six=latest-1", "a::test_x")] == ["night"]


def test_a_run_of_a_newer_schema_is_passed_over_and_said(tmp_path):
    write(tmp_path, "now", [attempt()])
    write(tmp_path, "then", [attempt()], day=1, schema_version=99)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text('{"name": ')
    for _ in range(2):  # said each time, not only when it was read
        history, done = open_history(tmp_path)
        assert len(done.notes) == 2
        assert "then/run.json has schema 99, newer than 2: passed over" in done.notes[0]
        assert "torn/run.json: run.json: Invalid JSON" in done.notes[1]
    assert [night.run for night in history.line("six=latest-1", "a::test_x")] == ["now"]


@pytest.mark.parametrize("harm", ["no database", "other version", "cut"])
def test_a_damaged_index_is_made_anew_and_said(tmp_path, harm):
    write(tmp_path, "one", [attempt()])
    before = everything(tmp_path)
    path = tmp_path / FILE
    if harm == "no database":
        path.write_text("not a database, whatever its name says")
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:50])
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 0")
        connection.close()
    history, done = open_history(tmp_path)
    assert done.rebuilt
    assert done.notes == ("history.sqlite was damaged or of another version and has been made anew",)
    assert {track: [(each, dict(each.figures)) for each in nights] for track, nights in history.tracks()} == before


def test_damage_that_shows_only_when_it_is_read_is_mended(tmp_path):
    write(tmp_path, "one", [attempt(number=number) for number in range(1, 40)])
    before = everything(tmp_path)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    assert everything(tmp_path) == before


def test_several_processes_may_refresh_at_once(tmp_path):
    for number in range(20):
        write(tmp_path, f"run{number}", [attempt()], day=number)
    code = f"from pathlib import Path; from harness.history.index import refresh; refresh(Path({str(tmp_path)!r}))"
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) for _ in range(4)]
    assert [each.wait(60) for each in running] == [0, 0, 0, 0]
    assert len(open_history(tmp_path)[0].line("six=latest-1", "a::test_x")) == 20


def test_nights_from_a_day_on(tmp_path):
    for number in range(4):
        write(tmp_path, f"run{number}", [attempt()], day=number)
    nights = open_history(tmp_path)[0].line("six=latest-1", "a::test_x", since=NOON + timedelta(days=2))
    assert [night.run for night in nights] == ["run2", "run3"]


def test_one_exception_a_signature_is_kept_for_the_rules_that_name_it(tmp_path):
    failure = Failure(when="call", type="TypeError", message="unexpected", text="a long traceback")
    write(tmp_path, "one", [attempt(outcome="fail:run:exception", signature="TypeError: unexpected", failure=failure)])
    (kept,) = open_history(tmp_path)[0].failures().items()
    assert kept == ("TypeError: unexpected", failure.model_copy(update={"text": ""}))


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder"):
        open_history(tmp_path / "nowhere")
