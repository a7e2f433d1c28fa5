"""The whole history as a table, and how long a small season takes; ``benchmarks/history.py`` measures a year."""

import importlib.util
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from harness.history.query import open_history

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "history.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_history", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def season(benchmark, tmp_path_factory):
    reports = tmp_path_factory.mktemp("season")
    benchmark.write_season(reports, benchmark.Season(nights=30, cells=10, scenarios=8))
    return reports


def test_a_small_season_is_indexed_and_loaded_in_time(season):
    began = time.perf_counter()
    history, done = open_history(season)
    built = time.perf_counter()
    nights = history.line("transformers=latest accelerate=1.13.0", "load_4bit::test_case_0")
    loaded = time.perf_counter()
    frame = history.table()
    ended = time.perf_counter()
    assert (done.read, len(nights), len(frame)) == (30, 30, 2400)
    assert (season / "history.sqlite").stat().st_size < 2400 * 600
    # A year's bounds are 60 s, 0.2 s and 2 s for 152 times as many boxes; these leave room for a slow machine.
    assert built - began < 20
    assert loaded - built < 0.5
    assert ended - loaded < 5


def test_the_table_has_what_the_lines_have(season):
    history, _ = open_history(season)
    frame = history.table()
    some = [track for track in history.lines() if track.scenario == "load_4bit::test_case_0"][:3]
    for track, nights in history.tracks(some):
        rows = frame[(frame["line"] == track.line) & (frame["scenario"] == track.scenario)].sort_values("started")
        assert list(rows["gpu"]) == [track.gpu] * len(nights)
        assert list(rows["run"]) == [night.run for night in nights]
        assert list(rows["started"]) == [pd.Timestamp(night.started) for night in nights]
        assert list(rows["outcomes"].astype(object).fillna("")) == [
            " ".join(map(str, night.outcomes)) for night in nights
        ]
        assert list(rows["transformers"]) == [night.versions["transformers"] for night in nights]
        for figure in ("seconds", "cuda_reserved.load"):
            expected = [night.figures[figure].median if figure in night.figures else None for night in nights]
            assert [None if pd.isna(value) else value for value in rows[figure]] == expected
    assert set(frame["status"]) == {"pass", "fail", "miss"}


def test_no_run_at_all_is_an_empty_table(tmp_path):
    frame = open_history(tmp_path)[0].table()
    assert frame.empty
    assert {"run", "started", "line", "gpu", "scenario", "status"} <= set(frame.columns)
