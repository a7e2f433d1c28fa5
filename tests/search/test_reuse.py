"""What another run answers for this one, and how it is taken over."""

import shutil
from datetime import UTC, datetime

import pytest

from harness.runner.isolation import Isolation
from harness.search.reuse import ReuseQuery, counts, from_earlier, is_reusable, reuse_earlier, same_cell
from harness.session.context import Options
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, GpuBefore, GpuRecord, HostRecord, RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CARD = GpuRecord(uuid="GPU-1", name="H200", memory_bytes=10, driver="570.1")
CELL = CellRecord(id="mine", labels={}, pins={"six": "1"}, python="3.11", lock="abc", variables={"V": "1"})
INFO = ScenarioInfo(id="a::test_x", nodeid="/x/a.py::test_x", checkpoints=("small",), source="digest")
BEFORE = GpuBefore(uuid="GPU-1", total=10, used=0)


def record(**more):
    facts = {
        "name": "m",
        "started": NOW,
        "matrix": {"checkpoints": {"size": "tiny"}, "scenarios": ["a"]},
        "matrix_file": "m.toml",
        "scenarios": (INFO,),
        "cells": (CELL,),
        "axes": (),
        "host": HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=100, gpus=(CARD,)),
        "harness_version": "1",
    }
    return RunRecord(**facts | more)


def asked(**more):
    facts = {"record": record(), "options": Options(), "sources": {INFO.id: "digest"}, "checkpoints": {"small"}}
    return ReuseQuery(**facts | {"gpus": {1}} | more)


def attempt(outcome="pass:check", number=1, **more):
    facts = {"cell": "theirs", "scenario": "a::test_x[p]", "started": NOW, "seconds": 1, "gpus_before": (BEFORE,)}
    return AttemptRecord(attempt=number, outcome=outcome, **facts | more)


def host(**more):
    return HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=100, gpus=(CARD.model_copy(update=more),))


def test_a_run_of_the_same_source_on_the_same_hardware_is_alike():
    assert is_reusable(asked(), record(host=host(uuid="GPU-other")))


@pytest.mark.parametrize(
    "theirs",
    [
        record(scenarios=(INFO.model_copy(update={"source": "other"}),)),
        record(scenarios=(INFO.model_copy(update={"source": ""}),)),
        record(scenarios=()),
        record(host=host(name="T4")),
        record(host=host(memory_bytes=11)),
        record(host=host(driver="580.1")),
        record(host=HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=100)),
        record(matrix={"checkpoints": {"size": "full"}}),
        record(matrix={"checkpoints": {"size": "tiny"}, "preload": {"never": []}}),
        record(selection=("a.py::test_x[p]",)),
    ],
)
def test_a_run_that_differs_in_what_counts_is_not(theirs):
    assert not is_reusable(asked(), theirs)


def test_a_run_without_a_digest_never_matches_one_without_either():
    nameless = INFO.model_copy(update={"source": ""})
    assert not is_reusable(asked(sources={INFO.id: ""}), record(scenarios=(nameless,)))


def test_weights_that_are_not_synthetic_may_have_changed_unless_no_test_names_any():
    given = {"matrix": {"checkpoints": {"weights": "models"}}}
    assert not is_reusable(asked(record=record(**given)), record(**given))
    assert is_reusable(asked(record=record(**given), checkpoints=()), record(**given))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"lock_base": "/opt/other/bin/python"}, False),
        ({"id": "other"}, True),
        ({"lock": "abd"}, False),
        ({"variables": {}}, False),
        ({"pins": {"six": "1", "hub": "2"}}, False),
        ({"lock": None}, False),
    ],
)
def test_cells_are_one_by_lock_variables_and_pinned_packages(change, same):
    assert same_cell(CELL, CELL.model_copy(update=change)) is same


@pytest.mark.parametrize(
    ("made", "options", "usable"),
    [
        (attempt(), Options(), True),
        (attempt("fail:run:oom"), Options(), True),
        (attempt("skip:run:not_applicable"), Options(), True),
        (attempt("error:run:exception"), Options(), False),
        (attempt("error:run:gpu_busy"), Options(), False),
        (attempt("miss:run:interrupted"), Options(), False),
        (attempt("fail:run:timeout"), Options(), False),
        (attempt("fail:run:host_oom"), Options(), False),
        (attempt("fail:install:install_failed", 0), Options(), False),
        (attempt(gpus_before=()), Options(), False),
        (attempt(gpus_before=(BEFORE, BEFORE)), Options(), False),
        (attempt(gpus_before=(BEFORE.model_copy(update={"used": 5}),)), Options(busy_bytes=4), False),
        (attempt(isolation="fork"), Options(isolation=Isolation.SPAWN), False),
        (attempt(isolation="spawn"), Options(isolation=Isolation.SPAWN), True),
    ],
)
def test_attempts_count_that_would_end_the_same_way_today(made, options, usable):
    assert counts(made, asked(options=options)) is usable


def write(root, name, attempts=(), listed=("a::test_x[p]",), **more):
    """Write a run folder with one cell; its attempts have one file each."""
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True)
    folder.write_record(record(**more))
    cell = folder.read_record().cells[0].id
    journal = Journal(folder.journal_file)
    if attempts:
        journal.write("versions", cell=cell, versions={"six": "1"})
        journal.write("collected", cell=cell, scenarios=[{"id": one} for one in listed])
    for one in attempts:
        place = folder.attempt(cell, one.scenario, one.attempt)
        place.mkdir(parents=True)
        (place / "output.log").write_text(f"{name} {one.attempt}")
        journal.attempt(one.model_copy(update={"cell": cell, "folder": str(place.relative_to(folder.path))}))
    journal.close()
    return folder


THEIRS = (CELL.model_copy(update={"id": "theirs"}),)


def test_a_cell_of_another_name_is_taken_over_with_its_files_and_says_where_from(tmp_path):
    write(tmp_path, "1-old", [attempt("error:run:exception"), attempt(number=2)], cells=THEIRS)
    mine = write(tmp_path, "2-new")
    assert reuse_earlier(mine, ["mine"], asked()) == 1
    (found,) = mine.attempts()
    assert (found.cell, found.attempt, found.part, str(found.outcome)) == ("mine", 1, "1-old", "pass:check")
    assert (mine.path / found.folder / "output.log").read_text() == "1-old 2"
    assert mine.journal().listed == {"mine": {"a::test_x[p]"}}
    assert mine.events("taken_over")[0]["of"] == "theirs"
    assert from_earlier(mine.attempts()) == (1, 1)


def test_the_newest_run_is_taken_and_what_it_took_itself_keeps_its_origin(tmp_path):
    write(tmp_path, "1-old", [attempt()], cells=THEIRS)
    write(tmp_path, "2-middle", [attempt(part="0-first")], cells=THEIRS)
    mine = write(tmp_path, "3-new")
    assert reuse_earlier(mine, ["mine"], asked()) == 1
    assert [one.part for one in mine.attempts()] == ["0-first"]


def test_a_cell_is_not_taken_in_parts(tmp_path):
    listed = ("a::test_x[p]", "a::test_x[q]")
    write(tmp_path, "1-old", [attempt(), attempt("miss:run:interrupted", scenario=listed[1])], listed, cells=THEIRS)
    mine = write(tmp_path, "2-new")
    assert reuse_earlier(mine, ["mine"], asked()) == 0
    assert mine.attempts() == ()


def test_what_this_run_has_begun_itself_is_left_alone(tmp_path):
    write(tmp_path, "1-old", [attempt()], cells=THEIRS)
    mine = write(tmp_path, "2-new", [attempt()])
    assert reuse_earlier(mine, ["mine"], asked()) == 0


def test_a_run_that_was_gone_on_with_after_its_scenario_changed_is_passed_over(tmp_path):
    theirs = write(tmp_path, "1-old", [attempt()], cells=THEIRS)
    journal = Journal(theirs.journal_file)
    journal.write("run_started", sources={INFO.id: "other"})
    journal.close()
    assert reuse_earlier(write(tmp_path, "2-new"), ["mine"], asked()) == 0


def test_runs_that_cannot_be_read_or_lack_their_files_are_passed_over(tmp_path):
    lost = write(tmp_path, "1-lost", [attempt()], cells=THEIRS)
    shutil.rmtree(lost.path / "cells")
    broken = write(tmp_path, "2-broken", [attempt()], cells=THEIRS)
    broken.record_file.write_text('{"lock": "abc"')
    mine = write(tmp_path, "3-new")
    assert reuse_earlier(mine, ["mine"], asked()) == 0
