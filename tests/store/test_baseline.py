"""Baselines: what is kept, what counts, and runs by the names a person gives them."""

import json
import multiprocessing
from datetime import UTC, datetime

import pytest

from harness.errors import ConfigError
from harness.store.baseline import Acceptance, accept, current, file_of, kept, matrices, set_baseline

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def acceptance(scenario="f::t", reason="upstream means it"):
    return Acceptance(line="a=latest", scenario=scenario, kind="new failure", reason=reason, run="r2", date=NOW)


def test_a_baseline_keeps_run_reason_and_date_and_what_was_accepted(tmp_path):
    before = datetime.now(UTC)
    set_baseline(tmp_path, "nightly", "r1", "first  good\nnight")
    accept(tmp_path, "nightly", [acceptance("f::t"), acceptance("g::u")])
    found = current(tmp_path, "nightly")
    assert (found.run, found.reason) == ("r1", "first good night")
    assert before <= found.date <= datetime.now(UTC)
    assert [one.scenario for one in found.accepted] == ["f::t", "g::u"]
    assert matrices(tmp_path) == ("nightly",)


def test_a_new_baseline_ends_what_was_accepted_and_the_old_one_is_kept(tmp_path):
    set_baseline(tmp_path, "nightly", "r1", "one")
    accept(tmp_path, "nightly", [acceptance()])
    set_baseline(tmp_path, "nightly", "r2", "two")
    assert current(tmp_path, "nightly").accepted == ()
    assert [(one.run, len(one.accepted)) for one in kept(tmp_path, "nightly")] == [("r1", 1), ("r2", 0)]


def test_nothing_is_accepted_without_a_baseline_or_a_reason(tmp_path):
    assert current(tmp_path, "nightly") is None
    with pytest.raises(ConfigError, match="nightly has no baseline"):
        accept(tmp_path, "nightly", [acceptance()])
    with pytest.raises(ConfigError, match="--reason is empty"):
        set_baseline(tmp_path, "nightly", "r1", " \n")
    set_baseline(tmp_path, "nightly", "r1", "one")
    with pytest.raises(ConfigError, match="--reason is empty"):
        accept(tmp_path, "nightly", [acceptance(reason="")])
    assert current(tmp_path, "nightly").accepted == ()


def test_a_torn_last_line_is_passed_over_and_does_not_spoil_the_next(tmp_path):
    set_baseline(tmp_path, "nightly", "r1", "one")
    with file_of(tmp_path, "nightly").open("a") as file:
        file.write('{"event": "set", "matrix": "nightly", "ru')
    assert current(tmp_path, "nightly").run == "r1"
    accept(tmp_path, "nightly", [acceptance()])
    assert len(current(tmp_path, "nightly").accepted) == 1


def test_a_line_of_another_schema_is_one_sentence(tmp_path):
    file_of(tmp_path, "nightly").parent.mkdir()
    file_of(tmp_path, "nightly").write_text(json.dumps({"event": "set", "matrix": "nightly", "run": 3}) + "\n")
    with pytest.raises(ConfigError, match=r"nightly\.jsonl: run: "):
        current(tmp_path, "nightly")


def write_many(reports, name):
    for number in range(50):
        accept(reports, "nightly", [acceptance(f"{name}::{number}", "x" * 3000)])


def test_two_writers_do_not_mix_their_lines(tmp_path):
    set_baseline(tmp_path, "nightly", "r1", "one")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(tmp_path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({one.scenario for one in current(tmp_path, "nightly").accepted}) == 100
