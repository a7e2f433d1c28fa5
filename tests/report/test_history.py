"""Trends over nights: steps that stay, streaks, and a page that stays small and asks nothing of any network."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.history.query import Measured, Night, Track
from harness.report import history_html
from harness.report.history_html import page, render
from harness.report.history_text import as_rows, since
from harness.report.history_text import strip as glyphs
from harness.report.history_trend import charted, trend, version_changes
from harness.store.records import Outcome, Status

GIB = 2**30
START = datetime(2026, 3, 1, 2, tzinfo=UTC)
TRACK = Track("nightly", "transformers=latest torch=2.13.0", "load_4bit::test_reserved", "NVIDIA H200")
SHORT = {"p": "pass:check", "f": "fail:run:oom", "g": "fail:check:assertion", "e": "error:run:exception"}


def night(number, outcomes="p", *, version="5.0.0", reserved=None, signature=None, track=TRACK, **figures):
    """Make a night; outcomes as letters, one an attempt, ``-`` for none."""
    values = {"seconds": 4.0, **figures} if outcomes != "-" else {}
    if reserved is not None:
        values |= {"cuda_reserved.load": reserved * GIB, "cuda_allocated.load": reserved * GIB * 0.9}
    red = outcomes[-1] in "fge"
    return Night(
        run=f"run{number}", started=START + timedelta(days=number), matrix=track.matrix, line=track.line,
        scenario=track.scenario, gpu=track.gpu, cell="c", versions={"transformers": version, "numpy": "2.0"},
        outcomes=tuple(Outcome.parse(SHORT[letter]) for letter in outcomes if letter != "-"),
        signature=(signature or SHORT[outcomes[-1]]) if red else "",
        figures={name: once(value) for name, value in values.items()},
    )  # fmt: skip


def once(value):
    return value if isinstance(value, Measured) else Measured(value, value, value, 1)


def nights(letters, **more):
    return [night(number, letter, **more) for number, letter in enumerate(letters)]


def test_a_streak_passes_over_missing_nights_and_names_what_changed_on_its_first():
    made = [
        night(0, "p"),
        night(1, "f", version="5.1.0"),
        night(2, "-", version="5.1.0"),
        night(3, "f", version="5.1.0"),
    ]
    found = trend(TRACK, made)
    assert (found.word, found.streak, found.since.run, found.by) == (
        Status.FAIL,
        2,
        "run1",
        ("transformers 5.0.0 → 5.1.0",),
    )
    assert since(found) == "fail for 2 nights, since 2026-03-02 (transformers 5.0.0 → 5.1.0)"
    assert glyphs(found).plain == "✔✘?✘"


@pytest.mark.parametrize(
    ("letters", "said"),
    [
        ("ppp", "pass for 3 nights, all there are"),
        ("-p", "pass for 1 night, all there are"),
        ("fp", "pass for 1 night, since 2026-03-02"),
        ("--", "no result in any night"),
    ],
)
def test_since_when(letters, said):
    assert since(trend(TRACK, nights(letters))) == said


def test_a_long_history_shows_its_newest_nights():
    assert glyphs(trend(TRACK, nights("f" * 30 + "p" * 40)), 41).plain == "…✘" + "✔" * 40


def test_a_new_outcome_is_a_change_and_one_red_night_among_green_ones_is_none():
    found = trend(TRACK, nights("ppfpppff"))
    assert [(turn.what, turn.place, turn.before, turn.after, turn.worse) for turn in found.turns] == [
        ("outcome", 6, "pass:check", "fail:run:oom", True)
    ]


def test_red_that_fails_in_another_way_is_a_change_of_signature_unless_a_rule_names_both():
    made = [night(number, "f", signature="one" if number < 2 else "other") for number in range(4)]
    (turn,) = trend(TRACK, made).turns
    assert (turn.what, turn.place, turn.before, turn.after, turn.worse) == ("signature", 2, "one", "other", None)
    assert trend(TRACK, made, {"one": "rule", "other": "rule"}.get).turns == ()


def test_memory_beyond_the_bounds_is_a_change_and_noise_is_none():
    made = [night(number, reserved=10 + number % 3 / 100, version="5.0.0") for number in range(5)]
    made += [night(number, reserved=13, version="5.1.0") for number in range(5, 8)]
    found = trend(TRACK, made)
    assert {(turn.what, turn.place, turn.worse) for turn in found.turns} == {
        ("cuda_reserved.load", 5, True),
        ("cuda_allocated.load", 5, True),
    }
    turn = found.turn_of("cuda_reserved.load")
    assert (
        turn.sentence == "CUDA reserved in load: 10.01 GiB → 13.00 GiB, +2.99 GiB (+30%)" or turn.before == "10.00 GiB"
    )
    assert turn.versions == ("transformers 5.0.0 → 5.1.0",)


def test_a_figure_that_spreads_by_itself_has_not_moved():
    wide = Measured(10 * GIB, 8 * GIB, 14 * GIB, 5)
    made = [night(number, **{"cuda_reserved.load": wide if number < 3 else 12 * GIB}) for number in range(6)]
    assert trend(TRACK, made).turns == ()


def test_a_slow_drift_is_seen():
    made = [night(number, reserved=10 * 1.01**number) for number in range(20)]
    assert [turn.place for turn in trend(TRACK, made).turns if turn.what == "cuda_reserved.load"] == [5, 10, 15]


def test_a_count_of_the_scenario_is_exact():
    made = [night(number, **{"x.linear4bit": 196 if number < 2 else 195}) for number in range(4)]
    (turn,) = trend(TRACK, made).turns
    assert (turn.what, turn.before, turn.worse) == ("x.linear4bit", "196", None)


def test_what_is_charted_is_memory_of_the_load_and_seconds():
    both = {f"{name}.{phase}": 1.0 for phase in ("forward", "load") for name in ("cuda_reserved", "host_anon_peak")}
    assert charted([night(0, **both)]) == ("cuda_reserved.load", "seconds")
    assert charted([night(0, **{"host_anon_peak.merge": 5.0, "host_anon_peak.import": 2.0})]) == (
        "host_anon_peak.merge",
        "seconds",
    )
    assert charted([night(0)]) == ("seconds",)


def test_changed_versions_name_the_line_s_own_package_first():
    before, after = night(0), night(1, version="5.1.0")
    changed = Night(**{**after.__dict__, "versions": {"transformers": "5.1.0", "aiohttp": "3"}})
    assert version_changes(before, changed) == (
        "transformers 5.0.0 → 5.1.0",
        "aiohttp not installed → 3",
        "numpy 2.0 → not installed",
    )


def test_of_what_is_built_from_a_commit_the_commits_are_told_where_the_version_stayed():
    gadget = replace(TRACK, line="own-gadget=dev")
    commits = ("git@69c9392b", "git@69c9392b", "git@7992ca89", "git@7992ca89")
    made = [
        replace(one, versions={"own-gadget": "1.0.0"}, built={"own-gadget": commit})
        for one, commit in zip(nights("ppff", track=gadget), commits, strict=True)
    ]
    found = trend(gadget, made)
    said = "own-gadget git@69c9392b → git@7992ca89"
    assert found.turns[0].versions == (said,)
    assert since(found) == f"fail for 2 nights, since 2026-03-03 ({said})"
    assert said in render(page([found], "Nightly"))


@pytest.mark.parametrize(
    ("was", "now", "versions", "said"),
    [
        ("path:gadget", "path:gadget", ("1.0", "1.1"), ("gadget 1.0 → 1.1",)),
        ("git@69c9392b", "git@7992ca89", ("1.0", "1.1"), ("gadget git@69c9392b → git@7992ca89",)),
        ("git@69c9392b", "git@69c9392b", ("1.0", "1.0"), ()),
        ("git@69c9392b", None, ("1.0", "1.0"), ("gadget git@69c9392b → 1.0",)),
    ],
)
def test_a_build_and_a_version_are_told_by_what_differs(was, now, versions, said):
    sides = [
        replace(night(number), versions={"gadget": version}, built={"gadget": built} if built else {})
        for number, (built, version) in enumerate(zip((was, now), versions, strict=True))
    ]
    assert version_changes(*sides) == said


def test_json_has_every_night_and_every_change():
    (row,) = as_rows([trend(TRACK, nights("ppff"))])
    assert [each["result"] for each in row["nights"]] == ["pass", "pass", "fail", "fail"]
    assert (row["gpu"], row["streak"], row["changes"][0]["what"]) == ("NVIDIA H200", 2, "outcome")


def season(lines, count=30, telling=()):
    for index in range(lines):
        track = Track("nightly", f"transformers=latest~{index}", "load_4bit::test_reserved", "NVIDIA H200")
        made = []
        for number in range(count):
            outcome = "f" if index in telling and number > 20 else "p"
            made.append(night(number, outcome, reserved=10 + (number * 7 + index) % 11 / 50, track=track))
        yield trend(track, made)


def test_a_line_that_is_red_comes_first_and_a_quiet_one_is_folded():
    shown = page(list(season(6, telling={4})), "Nightly")
    assert [entry.trend.track.line for entry in shown.telling] == ["transformers=latest~4"]
    assert [(scenario, len(entries)) for scenario, entries in shown.quiet] == [("load_4bit::test_reserved", 5)]
    assert shown.counts[Status.FAIL] == 1
    text = render(shown)
    assert text.index("latest~4") < text.index("latest~0")
    assert "fail for 9 nights, since 2026-03-22" in text


def test_the_same_change_in_many_lines_is_one_entry():
    shown = page(list(season(6, telling={1, 3, 5})), "Nightly")
    (change,) = shown.changes
    assert (change.turn.what, change.style, len(change.lines)) == ("outcome", "worse", 3)


def test_charts_are_limited_and_what_tells_most_has_them(monkeypatch):
    monkeypatch.setattr(history_html, "DRAWN", 3)
    shown = page(list(season(8, telling={6, 7})), "Nightly")
    assert [bool(entry.charts) for entry in shown.telling] == [True, True]
    assert sum(bool(entry.charts) for _, entries in shown.quiet for entry in entries) == 1
    assert shown.undrawn == 5
    assert "5 of them without charts" in render(shown)


def test_hundreds_of_lines_over_a_year_stay_a_file_that_opens():
    text = render(page(list(season(400, count=120, telling=set(range(40)))), "Nightly"))
    assert text.count('class="line"') == 400
    assert len(text.encode()) < 6_000_000


def test_the_page_asks_nothing_of_any_network_and_takes_no_text_for_markup():
    track = Track("m", "six=<script>alert(1)</script>", "a::test_x[</svg>]")
    made = [night(number, "f" if number else "p", signature="<img src=x>", track=track) for number in range(3)]
    text = render(page([trend(track, made)], "A <b>title</b>"))
    assert not re.search(r"(?:src|href)=[\"'](?!data:,)", text)
    assert "https:" not in text
    assert "<script>alert" not in text
    assert "<b>title" not in text


def test_what_must_not_leave_the_machine_is_hidden():
    made = [
        night(number, "f", signature="Error: /home/somebody" if number < 2 else "Error: other") for number in range(4)
    ]
    text = render(page([trend(TRACK, made)], "t", lambda said: said.replace("/home/somebody", "<hidden>")))
    assert "/home/somebody" not in text
