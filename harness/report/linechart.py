"""The line chart of a scan, as positions in pixels: pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.report.figures import KIB, human
from harness.search.scan import Change, Point, Scan
from harness.verdict.measures import unit_of

LEFT, RIGHT, TOP = 92.0, 28.0, 34.0  # around the plot
STEP_MIN, STEP_MAX, WIDTH = 19.0, 120.0, 960.0
HEIGHT, LEVELS = 280.0, 96.0  # of a plot with figures, of one with good and bad alone
FLAT, SLANTED = 30.0, 66.0  # room for the labels of the releases
CHARACTER = 7.0  # width of one in a label
TICKS = 5
ZOOM = 0.5  # figures that all lie above this share of the largest are not drawn from zero


@dataclass(frozen=True)
class Dot:
    """One release; ``y`` is None where there is nothing to draw, ``low`` and ``high`` where attempts lie apart."""

    x: float
    label: str
    word: str
    title: str
    y: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tick:
    """A line across the plot with its label."""

    y: float
    label: str


@dataclass(frozen=True)
class Segment:
    """The line between two dots; ``vague`` where a release between them cannot be told."""

    x1: float
    y1: float
    x2: float
    y2: float
    vague: bool


@dataclass(frozen=True)
class Band:
    """A change, from the last release before it to the first after it."""

    x1: float
    x2: float
    level: str
    title: str


@dataclass(frozen=True)
class Chart:
    """The whole drawing; the plot lies between ``left``, ``top``, ``right`` and ``bottom``."""

    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float
    slanted: bool
    measure: str
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    segments: tuple[Segment, ...]
    bands: tuple[Band, ...]
    bound: Tick | None


@dataclass(frozen=True)
class _Scale:
    """From a figure to a height; ``low`` and ``high`` are the ends of the axis."""

    low: float
    high: float
    bottom: float

    def __call__(self, value: float) -> float:
        return round(self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - TOP), 1)


def chart(scan: Scan) -> Chart:
    """Lay a scan out."""
    count, metric = len(scan.points), scan.question.metric
    step = min(STEP_MAX, max(STEP_MIN, (WIDTH - LEFT - RIGHT) / max(1, count)))
    bottom = TOP + (HEIGHT if metric else LEVELS)
    right = LEFT + step * count
    places = {point.release: LEFT + step * (number + 0.5) for number, point in enumerate(scan.points)}
    slanted = max(len(release) for release in places) * CHARACTER > step
    steps = axis(_values(scan), unit_of(metric)) if metric else (0.0, 1.0)
    scale = _Scale(steps[0], steps[-1], bottom)
    dots = tuple(_dot(scan, point, places[point.release], scale) for point in scan.points)
    unit = unit_of(metric or "")
    return Chart(
        width=round(right + RIGHT, 1),
        height=bottom + (SLANTED if slanted else FLAT),
        left=LEFT,
        top=TOP,
        right=right,
        bottom=bottom,
        slanted=slanted,
        measure=metric or "",
        dots=dots,
        ticks=tuple(
            Tick(scale(value), human(value, unit) if metric else "bad" if value else "good") for value in steps
        ),
        segments=_segments(dots),
        bands=tuple(
            Band(places[one.before], places[one.after], level(one), change_words(scan, one)) for one in scan.changes
        ),
        bound=None if scan.bound is None or not metric else Tick(scale(scan.bound), f"bound {human(scan.bound, unit)}"),
    )


def level(change: Change) -> str:
    """Name a change for its colour."""
    return {True: "bad", False: "good", None: "moved"}[change.bad]


def change_words(scan: Scan, change: Change) -> str:
    """Say a change in one line, with the figures on both sides."""
    asked, unit = scan.question, unit_of(scan.question.metric or "")
    subject = asked.package if change.bad is not None else asked.metric
    verb = {True: "turns bad", False: "turns good", None: "moves"}[change.bad]
    said = f"{subject} {verb} at {change.after}, {change.before} is the last before"
    if change.between:
        names = ", ".join(change.between)
        said = f"{subject} {verb} between {change.before} and {change.after} ({names} cannot be told)"
    if change.figures is None:
        return said
    was, now = (human(one, unit) for one in change.figures)
    return f"{said}: {was} → {now}"


def word(scan: Scan, point: Point) -> str:
    """Name what a release answered; a figure without a bound is neither good nor bad."""
    free = scan.question.metric is not None and scan.bound is None
    return "measured" if free and point.figure is not None else point.judged.word


def axis(values: Sequence[float], unit: str) -> tuple[float, ...]:
    """Return round figures that span all values, from zero unless they lie close together far above it."""
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    start = low if low > ZOOM * high > 0 and high > low else min(0.0, low)
    reach = max(abs(low), abs(high)) or 1.0
    scale = float(KIB) ** math.floor(math.log(max(reach, 1.0), KIB)) if unit == "bytes" else 1.0
    size = _round_up((high - start or reach) / TICKS / scale) * scale
    first, last = math.floor(start / size), math.ceil(high / size)
    if last == first:
        last += 1
    return tuple(number * size for number in range(first, last + 1))


def _round_up(value: float) -> float:
    """Return the next of … 0.1, 0.2, 0.25, 0.5, 1, 2 and so on."""
    digit = 10.0 ** math.floor(math.log10(value))
    return next(digit * one for one in (1, 2, 2.5, 5, 10) if digit * one >= value)


def _values(scan: Scan) -> list[float]:
    found = [value for point in scan.points if point.figure for value in (point.figure.low, point.figure.high)]
    return found + ([scan.bound] if scan.bound is not None else [])


def _dot(scan: Scan, point: Point, x: float, scale: _Scale) -> Dot:
    said, metric = word(scan, point), scan.question.metric
    title = f"{point.release}: {said} ({point.judged.reason})"
    if metric is None:
        bad = point.judged.bad
        return Dot(x, point.release, said, title, None if bad is None else scale(float(bad)))
    if point.figure is None:
        return Dot(x, point.release, said, title, None)
    figure, unit = point.figure, unit_of(metric)
    title = f"{point.release}: {human(figure.median, unit)}, {said}"
    if figure.count == 1:
        return Dot(x, point.release, said, title, scale(figure.median))
    title += f" ({human(figure.low, unit)} to {human(figure.high, unit)} in {figure.count} attempts)"
    return Dot(x, point.release, said, title, scale(figure.median), scale(figure.low), scale(figure.high))


def _segments(dots: Sequence[Dot]) -> tuple[Segment, ...]:
    drawn = [(number, dot.x, dot.y) for number, dot in enumerate(dots) if dot.y is not None]
    return tuple(Segment(x1, y1, x2, y2, there - here > 1) for (here, x1, y1), (there, x2, y2) in pairwise(drawn))
