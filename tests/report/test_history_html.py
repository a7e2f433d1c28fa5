"""The page of the history: its order, its size, and escaped texts."""

import re

from harness.history.query import SeriesKey
from harness.history.trend import trend
from harness.report import history_html
from harness.report.history_html import page, render
from harness.store.records import Status
from tests.series import KEY, result


def test_version_changes_are_shown():
    made = [result(number, letter, version=f"5.{letter == 'f':d}.0") for number, letter in enumerate("ppff")]
    assert "transformers 5.0.0 → 5.1.0" in render(page([trend(KEY, made)], "Nightly"))


def season(count_of_series, count=30, failing=()):
    for index in range(count_of_series):
        key = SeriesKey("nightly", f"transformers=latest~{index}", "load_4bit::test_reserved", "NVIDIA H200")
        made = []
        for number in range(count):
            outcome = "f" if index in failing and number > 20 else "p"
            made.append(result(number, outcome, reserved=10 + (number * 7 + index) % 11 / 50, key=key))
        yield trend(key, made)


def test_a_failing_series_comes_first_and_an_unchanged_one_is_folded():
    shown = page(list(season(6, failing={4})), "Nightly")
    assert [entry.trend.key.series for entry in shown.notable] == ["transformers=latest~4"]
    assert [(scenario, len(entries)) for scenario, entries in shown.unchanged] == [("load_4bit::test_reserved", 5)]
    assert shown.counts[Status.FAIL] == 1
    text = render(shown)
    assert text.index("latest~4") < text.index("latest~0")
    assert "fail for 9 runs, since 2026-03-22" in text


def test_the_same_change_in_many_series_is_one_entry():
    shown = page(list(season(6, failing={1, 3, 5})), "Nightly")
    (change,) = shown.changes
    assert (change.change.name, change.style, len(change.series)) == ("outcome", "worse", 3)


def test_charts_are_limited_to_the_most_notable_series(monkeypatch):
    monkeypatch.setattr(history_html, "DRAWN", 3)
    shown = page(list(season(8, failing={6, 7})), "Nightly")
    assert [bool(entry.charts) for entry in shown.notable] == [True, True]
    assert sum(bool(entry.charts) for _, entries in shown.unchanged for entry in entries) == 1
    assert shown.undrawn == 5
    assert "5 series without charts" in render(shown)


def test_hundreds_of_series_over_a_year_stay_a_small_file():
    text = render(page(list(season(400, count=120, failing=set(range(40)))), "Nightly"))
    assert text.count('class="series"') == 400
    assert len(text.encode()) < 6_000_000


def test_the_page_loads_nothing_and_escapes_texts():
    key = SeriesKey("m", "six=<script>alert(1)</script>", "a::test_x[</svg>]")
    made = [result(number, "f" if number else "p", signature="<img src=x>", key=key) for number in range(3)]
    text = render(page([trend(key, made)], "A <b>title</b>"))
    assert not re.search(r"(?:src|href)=[\"'](?!data:,)", text)
    assert "https:" not in text
    assert "<script>alert" not in text
    assert "<b>title" not in text


def test_failures_are_redacted():
    made = [
        result(number, "f", signature="Error: /home/somebody" if number < 2 else "Error: other") for number in range(4)
    ]
    text = render(page([trend(KEY, made)], "t", lambda text: text.replace("/home/somebody", "<hidden>")))
    assert "/home/somebody" not in text
