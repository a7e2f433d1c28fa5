"""Trends as text and as JSON."""

import pytest

from harness.history.trend import trend
from harness.report.history_text import as_rows, glyphs, since
from tests.series import KEY, result, results


def test_a_streak_has_its_first_day_and_version_changes():
    made = [
        result(number, letter, version="5.0.0" if letter == "p" else "5.1.0") for number, letter in enumerate("pf-f")
    ]
    found = trend(KEY, made)
    assert since(found) == "fail for 2 runs, since 2026-03-02 (transformers 5.0.0 → 5.1.0)"
    assert glyphs(found).plain == "✔✘?✘"


@pytest.mark.parametrize(
    ("letters", "text"),
    [
        ("ppp", "pass for 3 runs, since the first run"),
        ("-p", "pass for 1 run, since the first run"),
        ("fp", "pass for 1 run, since 2026-03-02"),
        ("--", "no result in any run"),
    ],
)
def test_the_start_of_a_streak(letters, text):
    assert since(trend(KEY, results(letters))) == text


def test_a_long_history_shows_its_newest_results():
    assert glyphs(trend(KEY, results("f" * 30 + "p" * 40)), 41).plain == "…✘" + "✔" * 40


def test_json_has_every_result_and_every_change():
    (row,) = as_rows([trend(KEY, results("ppff"))])
    assert [each["result"] for each in row["nights"]] == ["pass", "pass", "fail", "fail"]
    assert (row["gpu"], row["streak"], row["changes"][0]["what"]) == ("NVIDIA H200", 2, "outcome")
