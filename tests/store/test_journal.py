"""The journal survives crashes; run folders are found and refused in one sentence."""

import json
import threading
from datetime import UTC, datetime

import pytest

from harness.errors import ConfigError
from harness.store.journal import Journal, read, read_journal
from harness.store.records import UNAVAILABLE_IN_SCHEMA_1, AttemptRecord, Outcome, Reason, Stage, Status
from harness.store.run_folder import RunFolder, create, folder_name

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def attempt(scenario="a::test", number=1, outcome="pass:check"):
    return AttemptRecord(
        cell="c", scenario=scenario, attempt=number, outcome=outcome, started=NOW, seconds=1.5, figures={"x.n": 3}
    )


@pytest.mark.parametrize("status", [status for status in Status if status not in {Status.PASS, Status.FLAKY}])
def test_outcomes_round_trip_through_their_text(status):
    for stage in Stage:
        for reason in Reason:
            outcome = Outcome(status, stage, reason)
            if str(outcome) not in UNAVAILABLE_IN_SCHEMA_1:
                assert Outcome.parse(str(outcome)) == outcome


@pytest.mark.parametrize("text", ["pass:run:oom", "fail:run", "fail:run:oom:x", "green:run"])
def test_what_is_no_outcome_is_refused(text):
    with pytest.raises(ValueError, match=r"outcome|not a valid|unpack"):
        Outcome.parse(text)


def test_records_come_back_as_they_were_written(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.attempt(attempt(outcome="fail:run:oom"))
    journal.close()
    found = read_journal(tmp_path / "journal.jsonl", AttemptRecord)
    assert found.attempts == (attempt(outcome="fail:run:oom"),)


def test_a_torn_last_line_is_passed_over_and_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "one"}\n{"event": "tw')
    journal = Journal(path)
    journal.write("three")
    journal.close()
    assert [event["event"] for event in read(path)] == ["one", "three"]


def test_threads_never_mix_their_lines_and_a_listener_hears_all(tmp_path):
    heard = []
    journal = Journal(tmp_path / "journal.jsonl", lambda event, fields: heard.append((event, fields["number"])))
    threads = [threading.Thread(target=lambda n=n: [journal.write("e", number=n) for _ in range(20)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert len(heard) == 80
    assert [event["number"] for event in read(tmp_path / "journal.jsonl")] == [number for _, number in heard]


def test_a_missing_journal_has_no_events(tmp_path):
    assert list(read(tmp_path / "nothing")) == []


def test_two_runs_in_one_second_get_two_folders(tmp_path):
    first, second = (create(tmp_path, "m", NOW, "abcdef99") for _ in range(2))
    assert first.path.name == "20260102T030405Z-m-abcdef"
    assert second.path.name == "20260102T030405Z-m-abcdef.2"


@pytest.mark.parametrize(
    ("text", "name"),
    [("load_4bit::test_x", "load_4bit.test_x"), ("plain", "plain")],
)
def test_faithful_names_are_kept(text, name):
    assert folder_name(text) == name


def test_names_that_would_collide_are_told_apart():
    names = [folder_name(text) for text in ("a::t[x y]", "a::t[x/y]", "a::t[x-y]", "a::t[" + "x" * 200 + "]")]
    assert len(set(names)) == 4
    assert all(len(name) <= 100 and "/" not in name for name in names)


def test_a_newer_schema_and_a_broken_record_are_one_sentence(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(ConfigError, match=r"is not a run folder: it has no run\.json"):
        folder.read_record()
    folder.record_file.write_text('{"name": 3}')
    with pytest.raises(ConfigError, match=r"run\.json: name: Input should be a valid string"):
        folder.read_record()
    host = {"platform": "Linux", "cpus": 2, "memory_bytes": 1}
    record = {"schema_version": 99, "name": "m", "started": NOW.isoformat(), "matrix": {}, "matrix_file": "m.toml"}
    folder.record_file.write_text(json.dumps({**record, "cells": [], "axes": [], "host": host, "harness_version": "1"}))
    with pytest.raises(ConfigError, match="has schema 99, newer than 2"):
        folder.read_record()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"outcome": "fail:run:martian"}, "line 2: outcome: "),
        ({"outcome": "weird"}, "line 2: outcome: "),
        ({"attempt": "first"}, "line 2: attempt: "),
        (None, "line 2: record: "),
    ],
)
def test_a_damaged_attempt_is_named_by_file_and_line(tmp_path, change, sentence):
    path = tmp_path / "journal.jsonl"
    record = AttemptRecord(
        cell="c", scenario="s::t", attempt=1, outcome="pass:check", started=NOW, seconds=1.0, isolation="fork"
    ).model_dump(mode="json")
    events = [{"event": "run_started"}, {"event": "attempt", "record": change and {**record, **change}}]
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    with pytest.raises(ConfigError) as error:
        read_journal(path, AttemptRecord)
    assert str(error.value).startswith(f"{path}: {sentence}")
    assert "\n" not in str(error.value)
