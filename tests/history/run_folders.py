"""Run folders of the matrix ``m``: two cells, three scenarios, and the attempts of a test."""

from datetime import UTC, datetime, timedelta

from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, GpuRecord, HostRecord, RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CELLS = ("latest-1", "latest-2")
SCENARIOS = ("a::test_x", "a::test_y", "b::test_z")


def host(*models: str) -> HostRecord:
    gpus = tuple(GpuRecord(uuid=f"GPU-{name}", name=name, memory_bytes=10, driver="1") for name in models)
    return HostRecord(platform="Linux", cpus=2, memory_bytes=100, gpus=gpus)


def cell(name: str, version: str = "1.0") -> CellRecord:
    return CellRecord(
        id=name, labels={"six": version}, pins={"six": version}, python="3.11",
        versions={"six": version, "numpy": "2.0"}, line=f"six={name}",
    )  # fmt: skip


def attempt(scenario="a::test_x", number=1, outcome="pass:check", *, of=CELLS[0], figures=None, **more):
    started = NOON + timedelta(seconds=number)
    return AttemptRecord(
        cell=of, scenario=scenario, attempt=number, outcome=outcome, started=started, seconds=number,
        figures=figures or {}, **more,
    )  # fmt: skip


def write(root, name, attempts, *, day=0, machine=None, cells=CELLS, matrix="m", **more):
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True, exist_ok=True)
    infos = tuple(ScenarioInfo(id=info, nodeid=f"/x/{info}") for info in SCENARIOS)
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
