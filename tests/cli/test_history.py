"""A user's session with the history: show, filter, write the page, export, trim."""

import json
import random

import pandas as pd
import pytest
from inline_snapshot import external_file

from benchmarks.history import Season, write_run, write_season
from harness.cli.main import main
from harness.errors import ExitCode

LATEST = "transformers=latest accelerate=1.13.0"


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """Sixteen runs; test_case_0 is out of memory in runs 5 to 8, test_case_1 takes more memory from run 9 on."""
    reports = tmp_path_factory.mktemp("season") / "reports"
    reports.mkdir()
    write_season(reports, Season(days=16, cells=3, scenarios=4))
    return reports


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def history(reports, *words):
    return main(["history", *words, "--reports", str(reports)])


def test_strips_streaks_and_figures_are_shown(season, capsys):
    assert history(season, "test_case_0", "--line", LATEST) == ExitCode.COMPLETE
    said = capsys.readouterr()
    assert "load_4bit::test_case_0  nightly" in said.out
    assert f"{LATEST} · NVIDIA H200" in said.out
    assert "?✔✔✔✘✘✘✘✔✔✔✔✔✔✔✔" in said.out
    assert "pass for 8 runs, since 2025-01-09" in said.out
    assert "CUDA reserved in load" in said.out
    assert said.err == ""


def test_json_is_one_value_with_every_series(season, capsys):
    assert history(season, "--json") == ExitCode.COMPLETE
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 3 * 4
    (row,) = [each for each in rows if (each["line"], each["scenario"]) == (LATEST, "adapters::test_case_1")]
    assert {change["what"] for change in row["changes"]} >= {"cuda_reserved.load"}
    assert all(change["started"].startswith("2025-01-09") for change in row["changes"])


def test_series_are_filtered_by_day_matrix_and_gpu(season, capsys):
    assert (
        history(season, "test_case_0", "--since", "2025-01-10", "--gpu", "h200", "--matrix", "nightly", "--json") == 0
    )
    rows = json.loads(capsys.readouterr().out)
    assert {len(row["nights"]) for row in rows} == {7}


MISTAKES = """\
history nothing
history test_csae_0
history --gpu ''
history --since 2030-01-01
history one two
history --dry-run
history trim
history export
history trim --output x.html
history export -o x.parquet --line a
"""


def test_each_mistake_is_one_sentence_and_an_exit_code(season, transcript):
    assert transcript(MISTAKES, "--reports", str(season)).replace(str(season), "REPORTS") == external_file(
        "golden/mistakes-history.txt"
    )


def test_a_wrong_date_is_a_usage_error(season, capsys):
    with pytest.raises(SystemExit) as exited:
        history(season, "--since", "yesterday")
    assert exited.value.code == 2
    assert "yesterday is not a date" in capsys.readouterr().err


def test_the_page_is_one_file(season, tmp_path, capsys):
    page = tmp_path / "deep" / "history.html"
    assert history(season, "html", "-o", str(page)) == ExitCode.COMPLETE
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert text.count('class="series"') == 12
    assert '<svg class="chart"' in text
    assert str(season) not in text
    assert history(season, "html") == ExitCode.COMPLETE
    assert (season / "history.html").exists()


@pytest.mark.parametrize(("name", "read"), [("x.parquet", pd.read_parquet), ("x.csv", pd.read_csv)])
def test_the_table_is_exported(season, tmp_path, name, read, capsys):
    assert history(season, "export", "-o", str(tmp_path / name), "--json") == ExitCode.COMPLETE
    assert json.loads(capsys.readouterr().out)["rows"] == 16 * 12
    frame = read(tmp_path / name)
    assert len(frame) == 16 * 12
    assert set(frame["transformers"]) >= {"5.30.0", "5.31.0"}
    assert frame["cuda_reserved.load"].notna().sum() > 180


def test_a_new_run_is_added_and_a_damaged_index_is_rebuilt(tmp_path, capsys):
    small = Season(days=2, cells=1, scenarios=1)
    write_season(tmp_path, small)
    assert history(tmp_path, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)[0]["nights"]) == 2
    write_run(tmp_path, small, 2, random.Random(1))  # noqa: S311  # made-up figures
    (tmp_path / "history.sqlite").write_text("gone")
    assert history(tmp_path, "--json") == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)[0]["nights"]) == 3
    assert said.err == "note: history.sqlite was damaged or of another version and was rebuilt\n"


def test_logs_are_trimmed_and_the_results_stay(tmp_path, capsys):
    write_season(tmp_path, Season(days=3, cells=1, scenarios=1))
    log = sorted(tmp_path.glob("*/run.json"))[2].parent / "cells" / "a" / "b" / "1" / "output.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 2048)
    assert history(tmp_path, "--json") == 0
    before = capsys.readouterr().out
    assert history(tmp_path, "trim", "--older-than", "1h", "--dry-run") == 0
    assert "1 log of 1 run (2.0 KiB) would be removed, 0 B of logs kept" in capsys.readouterr().out
    assert log.exists()
    assert history(tmp_path, "trim", "--older-than", "1h") == 0
    assert "1 log of 1 run (2.0 KiB) removed" in capsys.readouterr().out
    assert not log.exists()
    assert history(tmp_path, "--json") == 0
    assert capsys.readouterr().out == before
