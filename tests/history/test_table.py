"""The history as a table, and the time of a small season; ``benchmarks/history.py`` measures a year."""

import time

import pandas as pd
import pytest

from benchmarks.history import Season, write_season
from harness.history.query import open_history


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    reports = tmp_path_factory.mktemp("season")
    write_season(reports, Season(days=30, cells=10, scenarios=8))
    return reports


def test_a_small_season_is_indexed_and_loaded_in_time(season):
    began = time.perf_counter()
    history, done = open_history(season)
    built = time.perf_counter()
    results = history.series("transformers=latest accelerate=1.13.0", "load_4bit::test_case_0")
    loaded = time.perf_counter()
    frame = history.table()
    ended = time.perf_counter()
    assert (done.read, len(results), len(frame)) == (30, 30, 2400)
    assert (season / "history.sqlite").stat().st_size < 2400 * 600
    # A year has 152 times as many results and takes 60 s, 0.2 s and 2 s; these bounds allow for a slow machine.
    assert built - began < 20
    assert loaded - built < 0.5
    assert ended - loaded < 5


def test_the_table_has_the_results_of_the_series(season):
    history, _ = open_history(season)
    frame = history.table()
    some = [key for key in history.all_keys() if key.scenario == "load_4bit::test_case_0"][:3]
    for key, results in history.all_results(some):
        rows = frame[(frame["line"] == key.series) & (frame["scenario"] == key.scenario)].sort_values("started")
        assert list(rows["gpu"]) == [key.gpu] * len(results)
        assert list(rows["run"]) == [one.run for one in results]
        assert list(rows["started"]) == [pd.Timestamp(one.started) for one in results]
        assert list(rows["outcomes"].astype(object).fillna("")) == [" ".join(map(str, one.outcomes)) for one in results]
        assert list(rows["transformers"]) == [one.versions["transformers"] for one in results]
        for figure in ("seconds", "cuda_reserved.load"):
            expected = [one.figures[figure].median if figure in one.figures else None for one in results]
            assert [None if pd.isna(value) else value for value in rows[figure]] == expected
    assert set(frame["status"]) == {"pass", "fail", "miss"}


def test_without_runs_the_table_is_empty(tmp_path):
    frame = open_history(tmp_path)[0].table()
    assert frame.empty
    assert {"run", "started", "line", "gpu", "scenario", "status"} <= set(frame.columns)
