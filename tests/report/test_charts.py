"""The geometry of charts: the releases of a scan, and the runs of a series."""

from dataclasses import replace
from datetime import timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.trend import trend
from harness.report.charts import (
    TREND,
    Period,
    axis,
    path,
    scan_chart,
    spread_out,
    stepped,
    strip,
    trend_charts,
)
from harness.store.records import Status
from tests.series import KEY, START, result

GIB = 2**30


def test_larger_figures_lie_higher_and_the_bound_between_good_and_bad(make_scan):
    found = scan_chart(make_scan([5.0, 5.1, 13.0], bound=8))
    heights = [dot.y for dot in found.dots]
    assert heights[2] < found.bound.at < heights[1] < heights[0]
    assert all(found.plot.top <= height <= found.plot.bottom for height in heights)
    assert [dot.style for dot in found.dots] == ["good", "good", "bad"]
    assert [(band.style, band.title) for band in found.bands] == [
        ("bad", "p turns bad at 1.2, 1.1 is the last before: 5.10 GiB → 13.00 GiB")
    ]


def test_a_release_without_a_figure_is_marked_and_the_line_across_it_is_dashed(make_scan):
    found = scan_chart(make_scan([5.0, None, 5.0], bound=8))
    assert found.dots[1].y is None
    assert [line.style for line in found.lines] == ["gap"]
    assert "undecided" in found.dots[1].title


def test_answers_alone_lie_on_two_levels(make_scan):
    found = scan_chart(make_scan(None, answers=[False, True, None]))
    assert [tick.text for tick in found.ticks] == ["good", "bad"]
    assert [dot.y for dot in found.dots] == [found.plot.bottom, found.plot.top, None]


@pytest.mark.parametrize("count", [1, 2, 17, 60, 200])
def test_releases_stand_in_their_order_inside_the_plot_however_many_there_are(make_scan, count):
    found = scan_chart(make_scan([5.0] * count))
    places = [dot.x for dot in found.dots]
    assert places == sorted(set(places))
    assert found.plot.left < places[0]
    assert places[-1] < found.plot.right < found.plot.width
    assert found.slanted is (count > 40)


@pytest.mark.parametrize(
    ("values", "unit", "ticks"),
    [
        ([5 * GIB, 13.5 * GIB], "bytes", [0, 5 * GIB, 10 * GIB, 15 * GIB]),
        ([10 * GIB, 10.2 * GIB], "bytes", [10 * GIB, 10.05 * GIB, 10.1 * GIB, 10.15 * GIB, 10.2 * GIB]),
        ([0.16, 0.99], "", [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([7], "", [0, 2, 4, 6, 8]),
        ([0], "", [0, 0.2]),
        ([], "", [0, 1]),
    ],
)
def test_the_axis_has_round_figures(values, unit, ticks):
    assert axis(values, unit, 5) == pytest.approx(ticks)


def test_an_axis_from_zero_does_not_zoom():
    assert axis([3.9, 4.0], "s", 3, from_zero=True) == (0, 2, 4)
    assert axis([3.9, 4.0], "s", 3)[0] > 3


def test_a_path_takes_one_number_for_each_straight_part():
    assert path([(1, 2)]) == "M1 2"
    assert path([(0, 5), (1, 5), (2.5, 5), (2.5, 1), (3, 2), (4, 3)]) == "M0 5H2.5V1L3 2L4 3"
    assert path(list(stepped([(0, 5), (1, 5), (2, 1)], 3))) == "M0 5H2V1H3"


def test_one_green_run_among_several_of_a_day_can_be_seen():
    made = [
        replace(result(0, letter), started=START + timedelta(minutes=10 * number))
        for number, letter in enumerate("fpff")
    ]
    found = strip(trend(KEY, made), Period(made[0].started, made[-1].started))
    assert [each.status for each in found] == [Status.FAIL, Status.PASS, Status.FAIL]
    assert all(each.width >= 6 for each in found)
    assert all(one.x + one.width <= other.x + 0.11 for one, other in pairwise(found))


@given(st.lists(st.floats(0, 1), max_size=400))
def test_no_stretch_of_a_strip_covers_another_or_leaves_it(cuts):
    left, right = TREND.left, TREND.right
    edges = [left + (right - left) * cut for cut in sorted({0.0, 1.0, *cuts})]
    found = spread_out(list(pairwise(edges)), left, right)
    least = min(6.0, (right - left) / len(found))
    assert all(end - start >= least - 1e-6 for start, end in found)
    assert all(one[1] <= other[0] + 1e-6 for one, other in pairwise(found))
    assert found[0][0] >= left - 1e-6
    assert found[-1][1] <= right + 1e-6


@given(
    st.lists(st.sampled_from("pf-e"), min_size=1, max_size=40), st.lists(st.integers(1, 5), min_size=40, max_size=40)
)
def test_a_strip_covers_every_result_in_order_and_inside_the_chart(letters, gaps):
    places = [sum(gaps[:number]) for number in range(len(letters))]
    made = [result(place, letter) for place, letter in zip(places, letters, strict=True)]
    period = Period(made[0].started, made[-1].started)
    found = strip(trend(KEY, made), period)
    assert [each.status for each in found] == [status for status, _ in groupby(trend(KEY, made).statuses)]
    for one, other in pairwise(found):
        assert one.x < other.x
    assert period.x(period.first) <= found[0].x
    assert found[-1].x + found[-1].width <= period.x(period.last + timedelta(days=1)) + 1.3


def test_charts_mark_the_run_of_a_change_with_its_version():
    made = [
        result(number, reserved=10 if number < 5 else 13, version="5.0.0" if number < 5 else "5.1.0")
        for number in range(10)
    ]
    period = Period(made[0].started, made[-1].started)
    memory, seconds = trend_charts(trend(KEY, made), period)
    (marker,) = memory.markers
    assert (marker.style, marker.label, marker.x) == ("worse", "5.1.0", period.x(made[5].started))
    assert marker.title.startswith("2026-03-06\n")
    assert "CUDA reserved in load: 10.00 GiB → 13.00 GiB, +3.00 GiB (+30%)" in marker.title
    assert seconds.markers == ()
    assert {line.name for line in memory.lines} == {"allocated", "reserved"}
    assert all(line.path.count("V") == 1 for line in memory.lines), "a value that stands is not written again"
