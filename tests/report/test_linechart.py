"""The chart of a scan: where everything lies, and a page that stands alone."""

import re
from datetime import UTC, datetime

import pytest

from harness.report.linechart import axis, chart
from harness.report.scanpage import write_chart
from harness.search.answer import Judged
from harness.search.question import Question
from harness.search.scan import scanned
from harness.store.records import AttemptRecord, HostRecord, RunRecord
from harness.store.run_folder import RunFolder

GIB = 2**30


def attempt(value):
    facts = {"cell": "c", "started": datetime.now(UTC), "seconds": 1, "outcome": "pass:check", "attempt": 1}
    return AttemptRecord(scenario="s::t", figures={"cuda_reserved.load": value}, **facts)


def scan(values, bound=None, answers=None):
    """Return a scan over releases 1.0, 1.1 … with one figure each (GiB), or with answers alone."""
    releases = tuple(f"1.{number}" for number in range(len(values or answers)))
    metric = "cuda_reserved.load" if values else None
    facts = {"package": "p", "releases": releases, "scenario": "s.py::test_x", "matrix": "m", "scan": True}
    asked = Question(metric=metric, limit=bound and int(bound * GIB), **facts)
    told = answers or [None if value is None or bound is None else value > bound for value in values]
    judged = {one: Judged(bad, f"<{bad}> & so on") for one, bad in zip(releases, told, strict=True)}
    rows = {
        one: [attempt(value * GIB)] for one, value in zip(releases, values or (), strict=False) if value is not None
    }
    return scanned(asked, rows, judged, bound and bound * GIB)


def test_larger_figures_lie_higher_and_the_bound_between_good_and_bad():
    found = chart(scan([5.0, 5.1, 13.0], bound=8))
    heights = [dot.y for dot in found.dots]
    assert heights[2] < found.bound.y < heights[1] < heights[0]
    assert all(found.top <= height <= found.bottom for height in heights)
    assert [dot.word for dot in found.dots] == ["good", "good", "bad"]
    assert [(band.level, band.title) for band in found.bands] == [
        ("bad", "p turns bad at 1.2, 1.1 is the last before: 5.10 GiB → 13.00 GiB")
    ]


def test_a_release_without_a_figure_is_marked_and_the_line_over_it_is_vague():
    found = chart(scan([5.0, None, 5.0], bound=8))
    assert found.dots[1].y is None
    assert [one.vague for one in found.segments] == [True]
    assert "cannot tell" in found.dots[1].title


def test_answers_alone_lie_on_two_levels():
    found = chart(scan(None, answers=[False, True, None]))
    assert [tick.label for tick in found.ticks] == ["good", "bad"]
    assert [dot.y for dot in found.dots] == [found.bottom, found.top, None]


@pytest.mark.parametrize("count", [1, 2, 17, 60, 200])
def test_releases_stand_in_their_order_inside_the_plot_however_many_there_are(count):
    found = chart(scan([5.0] * count))
    places = [dot.x for dot in found.dots]
    assert places == sorted(set(places))
    assert found.left < places[0]
    assert places[-1] < found.right < found.width
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
    assert axis(values, unit) == pytest.approx(ticks)


@pytest.mark.parametrize(
    "found",
    [
        scan([5.0, 5.1, 13.0], bound=8),
        scan([None, None], bound=8),
        scan([5.0]),
        scan(None, answers=[False, None, True]),
    ],
)
def test_the_page_stands_alone_and_every_release_has_a_text(tmp_path, found):
    folder = RunFolder(tmp_path)
    folder.write_record(
        RunRecord(
            name="m",
            started=datetime(2026, 1, 2, tzinfo=UTC),
            matrix={},
            matrix_file="m.toml",
            cells=(),
            axes=(),
            host=HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=1),
            harness_version="1",
            command=("harness", "bisect", "p", "--matrix", f"{tmp_path}/m.toml"),
        )
    )
    text = write_chart(folder, found).read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert str(tmp_path) not in text
    assert "<None>" not in text
    for point in found.points:
        assert re.search(rf"<title>{re.escape(point.release)}: [^<]", text)
        assert f"<th>{point.release}</th>" in text
