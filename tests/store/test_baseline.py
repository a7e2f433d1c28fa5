"""Baselines: what is kept, what counts, and runs by the names a person gives them."""

import json
import multiprocessing
from datetime import UTC, datetime

import pytest

from harness.errors import ConfigError
from harness.store.baseline import Acceptance, accept, current, file_of, kept, matrices, set_baseline
from harness.store.series import named, runs_of

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


@pytest.fixture
def reports(tmp_path):
    """Four runs of two matrices, a bisect between them, and a folder that is none."""
    for name, matrix, day in (
        ("1-a", "a", 1),
        ("2-b", "b", 2),
        ("3-a", "a", 3),
        ("4-a", "a", 4),
        ("5-a-search", "a", 5),
    ):
        run = tmp_path / name
        run.mkdir()
        (run / "run.json").write_text(json.dumps({"name": matrix, "started": f"2026-03-0{day}T00:00:00Z"}))
    (tmp_path / "5-a-search" / "bisect.json").write_text("{}")
    (tmp_path / "6-torn").mkdir()
    (tmp_path / "6-torn" / "run.json").write_text('{"name": ')
    return tmp_path


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("latest", "4-a"),
        ("latest~0", "4-a"),
        ("latest~1", "3-a"),
        ("latest~2", "1-a"),
        ("3-a~1", "1-a"),
        ("latest~1~1", "1-a"),
        ("2", "2-b"),
    ],
)
def test_runs_are_counted_back_within_their_matrix_without_searches(reports, text, run):
    assert named(text, reports).path.name == run


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("latest~3", "a has 2 before 4-a"),
        ("2-b~1", "b has 0 before 2-b"),
        ("nothing~1", "no run named 'nothing'"),
        ("5-a-search~1", "is no run below the reports folder"),
    ],
)
def test_a_run_that_is_not_there_is_one_sentence(reports, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        named(text, reports)


def test_a_run_is_meant_by_its_path_and_no_run_at_all_is_said(reports, tmp_path):
    assert named(str(reports / "2-b"), tmp_path / "elsewhere").path == reports / "2-b"
    with pytest.raises(ConfigError, match="there is no run below"):
        named("latest", tmp_path / "elsewhere")
    assert [run.name for run in runs_of(reports)] == ["1-a", "2-b", "3-a", "4-a"]
