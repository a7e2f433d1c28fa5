"""The table has a row for each attempt, and one for each result without attempts of its own."""

import os
from datetime import UTC, datetime

import pandas as pd
import pytest

import harness
from harness.store.journal import Journal, JournalContent
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder
from harness.verdict.table import build_table, write_table

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def run_record():
    cell = CellRecord(
        id="c1",
        labels={"transformers": "latest"},
        pins={"transformers": "latest", "torch": "2.13.0"},
        python="3.11",
        variables={"MODE": "x"},
        versions={"transformers": "5.0.0", "torch": "2.13.0"},
    )
    host = HostRecord(platform="Linux", cpus=2, memory_bytes=10)
    return RunRecord(
        name="m", started=NOW, matrix={}, matrix_file="m.toml", cells=(cell,), axes=("transformers",), host=host,
        harness_version="1",
    )  # fmt: skip


def attempt(number, outcome="pass:check", **facts):
    return AttemptRecord(cell="c1", scenario="a::t", attempt=number, outcome=outcome, started=NOW, seconds=1, **facts)


def test_one_row_an_attempt_with_typed_columns():
    rows = [attempt(1, figures={"cuda_allocated.load": 5, "x.cosine": 1.0}), attempt(2, "fail:run:oom", signature="s")]
    frame = build_table(run_record(), JournalContent(tuple(rows), {"c1": ["a::t"]}))
    assert list(frame["attempt"]) == [1, 2]
    assert frame["cuda_allocated.load"].dtype == "Int64"
    assert frame["x.cosine"].dtype == "Float64"
    assert list(frame["reason"].fillna("-")) == ["-", "oom"]
    assert list(frame["transformers"]) == ["5.0.0", "5.0.0"]
    assert list(frame["MODE"]) == ["x", "x"]
    assert str(frame["started"].dt.tz) == "UTC"
    assert list(frame["result"]) == ["flaky", "flaky"]


def test_a_run_without_attempts_is_an_empty_table_with_all_its_columns():
    frame = build_table(run_record(), JournalContent(listed={"c1": []}))
    assert frame.empty
    assert {"cell", "transformers", "torch", "gpu", "MODE", "outcome", "seconds"} <= set(frame.columns)


def test_load_reads_what_write_wrote_and_rebuilds_when_the_journal_moved_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_record(run_record())
    journal = Journal(folder.journal_file)
    journal.attempt(attempt(1, figures={"x.n": 3}))
    written = write_table(*folder.read(AttemptRecord), folder)
    pd.testing.assert_frame_equal(harness.load_table(tmp_path), written)
    assert len(pd.read_csv(tmp_path / "results.csv")) == 1
    journal.attempt(attempt(2))
    journal.write("versions", cell="c1", versions={"transformers": "5.0.0.dev1", "unlocked": "1"})
    journal.close()
    later = tmp_path.stat().st_mtime + 60
    os.utime(folder.journal_file, (later, later))
    frame = harness.load_table(tmp_path)
    assert list(frame["attempt"]) == [1, 2]
    assert set(frame["transformers"]) == {"5.0.0.dev1"}, "the version that was really installed"


def test_a_result_without_attempts_of_its_own_has_one_row_with_its_status():
    infos = tuple(ScenarioInfo(id=name, nodeid=name) for name in ("a::t", "a::u", "b::v"))
    run = run_record().model_copy(update={"scenarios": infos})
    broken = attempt(0, "fail:import:import_error", signature="ImportError: x").model_copy(update={"scenario": "b"})
    frame = build_table(run, JournalContent((attempt(1), broken), {"c1": ["a::t", "a::u"]}))
    rows = frame.set_index("scenario")[["attempt", "outcome", "result"]].astype(object).fillna("-")
    assert {name: tuple(row) for name, row in rows.iterrows()} == {
        "a::t": (1, "pass:check", "pass"),
        "a::u": (0, "-", "miss"),
        "b::v": (0, "fail:import:import_error", "fail"),
    }
    assert frame.set_index("scenario")["detail"]["a::u"].startswith("was never attempted")


def test_an_attempt_that_no_result_counts_keeps_its_row_without_a_result():
    refused = attempt(0, "unavailable:install:install_failed").model_copy(update={"scenario": "*"})
    frame = build_table(run_record(), JournalContent((refused, attempt(1)), {"c1": ["a::t"]}))
    assert frame[["scenario", "result"]].astype(object).fillna("-").to_numpy().tolist() == [
        ["a::t", "pass"],
        ["*", "-"],
    ]


def test_the_table_is_found_by_the_names_of_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for day, name in ((1, "first"), (2, "second")):
        folder = RunFolder(tmp_path / "reports" / name)
        folder.path.mkdir(parents=True)
        folder.write_record(run_record().model_copy(update={"started": NOW.replace(day=day)}))
        journal = Journal(folder.journal_file)
        for number in range(day):
            journal.attempt(attempt(number + 1))
        journal.close()
    assert [len(harness.load_table(name)) for name in ("latest", "latest~1", "fir", "second")] == [2, 1, 1, 2]


def test_the_old_name_still_loads_with_a_deprecation(tmp_path):
    from harness.store import table

    folder = RunFolder(tmp_path)
    folder.write_record(run_record())
    journal = Journal(folder.journal_file)
    journal.attempt(attempt(1))
    journal.close()
    with pytest.warns(DeprecationWarning, match="is now harness.load_table"):
        frame = table.load(tmp_path)
    assert list(frame["outcome"]) == ["pass:check"]
