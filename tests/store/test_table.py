"""Events become figures, records become a typed table."""

from datetime import UTC, datetime

import pandas as pd

from harness.store import table
from harness.store.events import digest
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord
from harness.store.run_folder import RunFolder

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def device(index, allocated):
    facts = dict.fromkeys(("allocated_peak", "reserved", "reserved_peak", "device_used"), 2 * allocated)
    return {"index": index, "name": "GPU", "allocated": allocated, **facts}


def test_a_phase_becomes_figures_and_devices_are_added_up():
    found = digest(
        [
            {"event": "phase_start", "phase": "load", "host": {"anon": 100}},
            {
                "event": "phase_end",
                "phase": "load",
                "seconds": 1.5,
                "host": {"anon": 350, "file": 7, "anon_peak": 400},
                "cuda": [device(0, 10), device(1, 5)],
                "cuda_emptied": [{"reserved": 4}, {"reserved": 3}],
            },
        ]
    )
    assert found.figures["host_anon_added.load"] == 250
    assert found.figures["cuda_allocated.load"] == 15
    assert found.figures["cuda1_reserved.load"] == 10
    assert found.figures["cuda_reserved_emptied.load"] == 7
    assert found.figures["seconds.load"] == 1.5
    assert found.open_phase is None


def test_a_killed_attempt_leaves_its_open_phase_and_what_it_said_before():
    found = digest(
        [
            {"event": "record", "name": "same", "value": True},
            {"event": "record", "name": "label", "value": "X"},
            {"event": "expect", "text": "holds", "held": True},
            {"event": "phase_start", "phase": "load", "host": {}},
        ]
    )
    assert found.open_phase["phase"] == "load"
    assert found.figures == {"x.same": 1}
    assert found.notes == {"label": "X"}
    assert not found.finished


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
    frame = table.build(run_record(), rows)
    assert list(frame["attempt"]) == [1, 2]
    assert frame["cuda_allocated.load"].dtype == "Int64"
    assert frame["x.cosine"].dtype == "Float64"
    assert list(frame["reason"].fillna("-")) == ["-", "oom"]
    assert list(frame["transformers"]) == ["5.0.0", "5.0.0"]
    assert list(frame["MODE"]) == ["x", "x"]
    assert str(frame["started"].dt.tz) == "UTC"


def test_a_run_without_attempts_is_an_empty_table_with_all_its_columns():
    frame = table.build(run_record(), [])
    assert frame.empty
    assert {"cell", "transformers", "torch", "gpu", "MODE", "outcome", "seconds"} <= set(frame.columns)


def test_load_reads_what_write_wrote_and_rebuilds_when_the_journal_moved_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_record(run_record())
    journal = Journal(folder.journal_file)
    journal.attempt(attempt(1, figures={"x.n": 3}))
    written = table.write(folder.read_record(), folder.attempts(), tmp_path)
    pd.testing.assert_frame_equal(table.load(tmp_path), written)
    assert len(pd.read_csv(tmp_path / "results.csv")) == 1
    journal.attempt(attempt(2))
    journal.write("versions", cell="c1", versions={"transformers": "5.0.0.dev1", "unlocked": "1"})
    journal.close()
    later = tmp_path.stat().st_mtime + 60
    import os

    os.utime(folder.journal_file, (later, later))
    frame = table.load(tmp_path)
    assert list(frame["attempt"]) == [1, 2]
    assert set(frame["transformers"]) == {"5.0.0.dev1"}, "the version that was really installed"
