"""Trends as text and as JSON."""

import pytest

from harness.history.trend import trend
from harness.report.history_text import as_rows, glyphs, since
from tests.nights import TRACK, night, nights


def test_a_streak_has_its_first_night_and_version_changes():
    made = [
        night(number, letter, version="5.0.0" if letter == "p" else "5.1.0") for number, letter in enumerate("pf-f")
    ]
    found = trend(TRACK, made)
    assert since(found) == "fail for 2 nights, since 2026-03-02 (transformers 5.0.0 → 5.1.0)"
    assert glyphs(found).plain == "✔✘?✘"


@pytest.mark.parametrize(
    ("letters", "text"),
    [
        ("ppp", "pass for 3 nights, since the first night"),
        ("-p", "pass for 1 night, since the first night"),
        ("fp", "pass for 1 night, since 2026-03-02"),
        ("--", "no result in any night"),
    ],
)
def test_since_when(letters, text):
    assert since(trend(TRACK, nights(letters))) == text


def test_a_long_history_shows_its_newest_nights():
    assert glyphs(trend(TRACK, nights("f" * 30 + "p" * 40)), 41).plain == "…✘" + "✔" * 40


def test_json_has_every_night_and_every_change():
    (row,) = as_rows([trend(TRACK, nights("ppff"))])
    assert [each["result"] for each in row["nights"]] == ["pass", "pass", "fail", "fail"]
    assert (row["gpu"], row["streak"], row["changes"][0]["what"]) == ("NVIDIA H200", 2, "outcome")
