"""Charts as positions in pixels: the releases of a scan, and the runs of a series."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from harness.history.trend import RESULT, SECONDS, Trend, TrendChange
from harness.report.model import GLYPHS
from harness.search.conclusions import change_sentence
from harness.search.records import ReleaseChange
from harness.search.scan import Point, Scan
from harness.store.records import Status
from harness.verdict.figures import KIB, figure_name, human
from harness.verdict.statistics import unit_of

ZOOM = 0.5  # the axis begins at zero unless all values lie above this share of the largest
DAY = timedelta(days=1)  # a result is drawn until the next one, for a day at most

# A scan: one column a release.
SCAN_LEFT, SCAN_RIGHT, SCAN_TOP = 92.0, 28.0, 34.0  # around the plot
COLUMN_MIN, COLUMN_MAX, COLUMNS = 19.0, 120.0, 840.0  # width of one, and of all where it lies between these
FIGURE_HEIGHT, ANSWER_HEIGHT = 280.0, 96.0  # of a plot with figures, and of one with good and bad alone
HORIZONTAL, SLANTED = 30.0, 66.0  # height of the release labels
CHARACTER = 7.0  # width of one in a label
SCAN_INTERVALS = 5

# A trend: one column of pixels serves every chart of a page.
TREND_INTERVALS = 3
STYLES = {"cuda_reserved": "r", "cuda_allocated": "a", "cuda_allocated_peak": "p", "host_anon_peak": "a", SECONDS: "s"}
VERSION_WIDTH = 90.0  # of a marker's label
DAY_LABELS = 6
NARROWEST = 6.0  # width of a stretch of results, where there are not too many

XY = tuple[float, float]


@dataclass(frozen=True)
class Plot:
    """The size of a chart and the edges of the plot in it, in pixels."""

    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float


TREND = Plot(width=860, height=170, left=70, top=16, right=848, bottom=148)


@dataclass(frozen=True)
class Scale:
    """A linear scale from the values ``low`` … ``high`` to the pixels ``start`` … ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


@dataclass(frozen=True)
class Label:
    """A text on an axis."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Line:
    """A line as the ``d`` of a path; a named one has a legend with the newest value, and a dot at its end."""

    style: str
    path: str
    name: str = ""
    value: str = ""
    end: XY | None = None


@dataclass(frozen=True)
class Dot:
    """One release. ``y`` is None without a value; ``low`` and ``high`` are set where attempts differ."""

    x: float
    label: str
    style: str
    title: str
    y: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Band:
    """A change between two releases."""

    x1: float
    x2: float
    style: str
    title: str


@dataclass(frozen=True)
class Marker:
    """A run in which something changed. ``style`` is ``worse``, ``better`` or ``other``."""

    x: float
    style: str
    label: str
    anchor: str
    title: str


@dataclass(frozen=True)
class Chart:
    """One drawing. ``ticks`` are lines across the plot, ``bound`` is one more; ``labels`` lie below the plot."""

    plot: Plot
    title: str
    ticks: tuple[Label, ...]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...] = ()
    dots: tuple[Dot, ...] = ()
    bands: tuple[Band, ...] = ()
    markers: tuple[Marker, ...] = ()
    bound: Label | None = None
    slanted: bool = False
    from_zero: bool = True


@dataclass(frozen=True)
class Stretch:
    """Neighbouring results with one status."""

    status: Status
    x: float
    width: float
    title: str


def path(points: Sequence[XY]) -> str:
    """Return the ``d`` of a path through at least one point.

    A horizontal or vertical part takes one number, and neighbouring parts in one such direction are one.
    """
    parts: list[tuple[str, str]] = []
    for (x1, y1), (x2, y2) in pairwise(points):
        if (x1, y1) == (x2, y2):
            continue
        command, numbers = ("H", f"{x2:g}") if y1 == y2 else ("V", f"{y2:g}") if x1 == x2 else ("L", f"{x2:g} {y2:g}")
        if parts and parts[-1][0] == command != "L":
            parts.pop()
        parts.append((command, numbers))

    return f"M{points[0][0]:g} {points[0][1]:g}" + "".join(command + numbers for command, numbers in parts)


def stepped(points: Sequence[XY], end: float) -> Iterator[XY]:
    """Yield the corners of a line that keeps each value until the next one, the last one until ``end``."""
    for (x1, y1), (x2, _) in pairwise([*points, (end, 0.0)]):
        yield (x1, y1)
        yield (x2, y1)


def axis(values: Sequence[float], unit: str, intervals: int, *, from_zero: bool = False) -> tuple[float, ...]:
    """Return round values that span all others in about so many intervals.

    The axis begins at zero unless the values lie close together far above it, and always with ``from_zero``.
    """
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    zoomed = low > ZOOM * high > 0 and high > low and not from_zero
    start = low if zoomed else min(0.0, low)
    reach = max(abs(low), abs(high)) or 1.0
    factor = float(KIB) ** math.floor(math.log(max(reach, 1.0), KIB)) if unit == "bytes" else 1.0
    size = _round_up((high - start or reach) / intervals / factor) * factor
    first, last = math.floor(start / size), math.ceil(high / size)
    if last == first:
        last += 1
    return tuple(number * size for number in range(first, last + 1))


def _round_up(value: float) -> float:
    """Return the next of … 0.1, 0.2, 0.25, 0.5, 1, 2 and so on."""
    digit = 10.0 ** math.floor(math.log10(value))
    return next(digit * one for one in (1, 2, 2.5, 5, 10) if digit * one >= value)


def _ticks(values: Sequence[float], scale: Scale, unit: str) -> tuple[Label, ...]:
    return tuple(Label(scale(value), human(value, unit), "end") for value in values)


# Scans


def scan_chart(scan: Scan) -> Chart:
    """Lay out a scan: one dot a release, the changes as bands."""
    metric = scan.question.metric
    unit = unit_of(metric or "")
    column = min(COLUMN_MAX, max(COLUMN_MIN, COLUMNS / len(scan.points)))
    slanted = max(len(point.release) for point in scan.points) * CHARACTER > column
    right = SCAN_LEFT + column * len(scan.points)
    bottom = SCAN_TOP + (FIGURE_HEIGHT if metric else ANSWER_HEIGHT)
    plot = Plot(
        width=round(right + SCAN_RIGHT, 1),
        height=bottom + (SLANTED if slanted else HORIZONTAL),
        left=SCAN_LEFT,
        top=SCAN_TOP,
        right=right,
        bottom=bottom,
    )
    centres = {point.release: plot.left + column * (number + 0.5) for number, point in enumerate(scan.points)}
    values = axis(_scan_values(scan), unit, SCAN_INTERVALS) if metric else (0.0, 1.0)
    scale = Scale(values[0], values[-1], plot.bottom, plot.top)
    dots = tuple(_dot(scan, point, centres[point.release], scale) for point in scan.points)
    levels = (Label(scale(0), "good", "end"), Label(scale(1), "bad", "end"))
    bound = Label(scale(scan.bound), f"bound {human(scan.bound, unit)}") if metric and scan.bound is not None else None
    return Chart(
        plot=plot,
        title=metric or "",
        ticks=_ticks(values, scale, unit) if metric else levels,
        lines=tuple(_segments(dots)),
        dots=dots,
        bands=tuple(
            Band(centres[each.before], centres[each.after], change_style(each), change_sentence(scan.question, each))
            for each in scan.changes
        ),
        bound=bound,
        slanted=slanted,
    )


def _scan_values(scan: Scan) -> list[float]:
    found = [value for point in scan.points if point.figure for value in (point.figure.low, point.figure.high)]
    return found + ([scan.bound] if scan.bound is not None else [])


def _dot(scan: Scan, point: Point, x: float, scale: Scale) -> Dot:
    metric, figure, bad = scan.question.metric, point.figure, point.evaluation.bad
    style = answer(scan, point)
    title = f"{point.release}: {style} ({point.evaluation.reason})"
    if metric is None:
        return Dot(x, point.release, style, title, None if bad is None else scale(float(bad)))
    if figure is None:
        return Dot(x, point.release, style, title, None)
    unit = unit_of(metric)
    title = f"{point.release}: {human(figure.median, unit)}, {style}"
    if figure.count == 1:
        return Dot(x, point.release, style, title, scale(figure.median))
    title += f" ({human(figure.low, unit)} to {human(figure.high, unit)} in {figure.count} attempts)"
    return Dot(x, point.release, style, title, scale(figure.median), scale(figure.low), scale(figure.high))


def _segments(dots: Sequence[Dot]) -> Iterator[Line]:
    """Yield the lines between neighbouring values; one across a release without a value is dashed."""
    known = [(number, (dot.x, dot.y)) for number, dot in enumerate(dots) if dot.y is not None]
    for (before, start), (after, end) in pairwise(known):
        yield Line("gap" if after - before > 1 else "segment", path([start, end]))


def change_style(change: ReleaseChange) -> str:
    """Return the style of a change: what the releases after it are, or ``moved`` for a figure."""
    return {True: "bad", False: "good", None: "moved"}[change.bad]


def answer(scan: Scan, point: Point) -> str:
    """Return ``good``, ``bad``, ``undecided`` or, for a metric without a bound, ``measured``."""
    only_measured = scan.question.metric is not None and scan.bound is None and point.figure is not None
    return "measured" if only_measured else point.evaluation.word


# Trends


@dataclass(frozen=True)
class Period:
    """The time span of a page: the first run begins at the left of every chart, the last one ends at the right."""

    first: datetime
    last: datetime

    @functools.cached_property
    def scale(self) -> Scale:
        """Return the scale of times, in seconds since the epoch."""
        return Scale(
            self.first.timestamp(),
            (self.last + DAY).timestamp(),
            TREND.left,
            TREND.right,
        )

    def x(self, moment: datetime) -> float:
        """Return the pixel of a moment."""
        return self.scale(moment.timestamp())


def strip(trend: Trend, period: Period) -> tuple[Stretch, ...]:
    """Return the results as coloured stretches, each as wide as the time to the next one, a day at most.

    A stretch that would be too narrow to see, as one of several runs in a day, is widened and moves its neighbours.
    """
    starts = [period.x(one.started) for one in trend.results]
    latest = [period.x(one.started + DAY) for one in trend.results]
    ends = [min(pair) for pair in zip(latest, [*starts[1:], latest[-1]], strict=True)]
    grouped = [
        (status, list(group)) for status, group in groupby(range(len(starts)), key=lambda at: trend.statuses[at])
    ]
    spans = spread_out([(starts[own[0]], ends[own[-1]]) for _, own in grouped], TREND.left, TREND.right)
    found = []
    for (status, own), (start, end) in zip(grouped, spans, strict=True):
        first, last = trend.results[own[0]].started, trend.results[own[-1]].started
        days = f"{first:%Y-%m-%d}" + (f" – {last:%Y-%m-%d}, {len(own)} runs" if len(own) > 1 else "")
        x = round(start, 1)
        found.append(Stretch(status, x, round(end - x, 1), f"{GLYPHS[status]} {status} · {days}"))

    return tuple(found)


def spread_out(spans: Sequence[XY], left: float, right: float) -> list[XY]:
    """Return spans, in order and apart, widened to be visible; none overlaps another or crosses the edges."""
    least = min(NARROWEST, (right - left) / max(len(spans), 1))
    widened, cursor = [], left
    for wanted, end in spans:
        start = max(wanted, cursor)
        cursor = max(end, start + least)
        widened.append((start, cursor))

    found, limit = [], right
    for start, wanted in reversed(widened):
        end = min(wanted, limit)
        limit = min(start, end - least)
        found.append((limit, end))

    return found[::-1]


def trend_charts(trend: Trend, period: Period) -> tuple[Chart, ...]:
    """Return the panels of a trend: memory of one phase, and seconds."""
    memory = [name for name in trend.figures if name != SECONDS]
    panels = [_trend_chart(trend, names, period) for names in (memory, [SECONDS]) if names]
    return tuple(panel for panel in panels if panel is not None)


def _trend_chart(trend: Trend, names: Sequence[str], period: Period) -> Chart | None:
    values = {
        name: [(one.started, one.figures[name].median) for one in trend.results if name in one.figures]
        for name in names
    }
    known = [value for found in values.values() for _, value in found]
    if not known:
        return None
    unit = unit_of(names[0])
    ticks = axis(known, unit, TREND_INTERVALS, from_zero=unit == "s")
    scale = Scale(ticks[0], ticks[-1], TREND.bottom, TREND.top)
    phase = names[0].partition(".")[2]
    return Chart(
        plot=TREND,
        title=f"Memory, {phase}" if unit == "bytes" else "Seconds of the attempt",
        ticks=_ticks(ticks, scale, unit),
        lines=tuple(_trend_line(name, found, period, scale) for name, found in values.items() if found),
        labels=_day_labels(period),
        markers=_markers(trend, names, period),
        from_zero=ticks[0] == 0,
    )


def _trend_line(name: str, values: Sequence[tuple[datetime, float]], period: Period, scale: Scale) -> Line:
    """Draw steps: each value is kept until the next one."""
    points = [(period.x(moment), scale(value)) for moment, value in values]
    last, newest = values[-1]
    end = period.x(last + DAY)
    head = name.partition(".")[0]
    return Line(
        style=STYLES.get(head, "s"),
        path=path(list(stepped(points, end))),
        name=figure_name(head).removeprefix("CUDA "),
        value=human(newest, unit_of(name)),
        end=(end, points[-1][1]),
    )


def _markers(trend: Trend, names: Sequence[str], period: Period) -> tuple[Marker, ...]:
    """Return the changes of these figures and of the outcome, one marker a run."""
    wanted = [change for change in trend.changes if change.name in {*names, *RESULT}]
    found = []
    for index, group in groupby(wanted, key=lambda change: change.index):
        changes = list(group)
        started, versions = trend.results[index].started, changes[0].versions
        x = period.x(started)
        title = [f"{started:%Y-%m-%d}", *(change.sentence for change in changes), *versions[:6]]
        label = versions[0].rpartition(" → ")[2] if versions else ""
        anchor = "end" if x > TREND.width - VERSION_WIDTH else "start"
        found.append(Marker(x, style_of(changes), label, anchor, "\n".join(title)))

    return tuple(found)


def style_of(changes: Sequence[TrendChange]) -> str:
    """Return ``worse`` if any change is, else ``better`` if any is, else ``other``."""
    directions = {change.worse for change in changes}
    return "worse" if True in directions else "better" if False in directions else "other"


def _day_labels(period: Period) -> tuple[Label, ...]:
    """Return a few days below the plot, evenly spread."""
    span = period.last - period.first
    count = min(DAY_LABELS, span.days + 1)
    moments = [period.first + span * step / max(count - 1, 1) for step in range(count)]
    anchors = ["start", *["middle"] * (count - 2), "end"][:count]
    return tuple(
        Label(period.x(moment), f"{moment:%Y-%m-%d}", anchor) for moment, anchor in zip(moments, anchors, strict=True)
    )
