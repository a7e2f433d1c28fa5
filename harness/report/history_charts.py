"""Where the lines of a trend chart run: pure geometry in pixels, small enough for hundreds of charts in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from harness.report.figures import figure_name, human
from harness.report.history_trend import SECONDS, Trend, Turn
from harness.report.model import Word
from harness.verdict.measures import unit_of

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 170, 70, 12, 16, 22
ZOOM = 0.5  # figures that all lie above this share of the largest are not drawn from zero
CLASSES = {"cuda_reserved": "r", "cuda_allocated": "a", "cuda_allocated_peak": "p", "host_anon_peak": "a", SECONDS: "s"}
NARROWEST = 6.0  # pixels of a stretch, where there are not too many
NIGHT = timedelta(days=1)  # at most; where there are more runs a day, until the next


@dataclass(frozen=True)
class Stretch:
    """Neighbouring nights that say one word."""

    word: Word
    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Line:
    """One figure over the nights, as the ``d`` of a path; ``dot`` is the newest value's place."""

    style: str
    name: str
    value: str
    path: str
    dot: tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """A night on which something changed; ``kind`` is ``worse``, ``better``, ``other`` or ``version``."""

    x: float
    kind: str
    label: str
    title: str


@dataclass(frozen=True)
class Chart:
    """One panel: figures of one unit over time."""

    title: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    days: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]
    from_zero: bool


@dataclass(frozen=True)
class Scale:
    """Time to x: the first night of the whole page begins at the left of every chart, the last ends at the right."""

    first: datetime
    last: datetime

    @property
    def end(self) -> datetime:
        """Return when the last night ends, a day after it began."""
        return self.last + NIGHT

    def x(self, moment: datetime) -> float:
        """Return pixels from the left edge of the chart."""
        return LEFT + (WIDTH - LEFT - RIGHT) * ((moment - self.first) / (self.end - self.first))


def strip(trend: Trend, scale: Scale) -> tuple[Stretch, ...]:
    """Return the nights as coloured stretches, each night as wide as the time to the next one, a day at most.

    A stretch that would be too narrow to be seen, of one of several runs in a day, moves its neighbours aside.
    """
    places = [scale.x(night.started) for night in trend.nights]
    day = [scale.x(night.started + NIGHT) for night in trend.nights]
    ends = [min(pair) for pair in zip(day, [*places[1:], day[-1]], strict=True)]
    grouped = [(word, list(group)) for word, group in groupby(range(len(places)), key=lambda at: trend.words[at])]
    found = []
    spans = spread_out([(places[own[0]], ends[own[-1]]) for _, own in grouped], LEFT, WIDTH - RIGHT)
    for (word, own), (start, end) in zip(grouped, spans, strict=True):
        first, last = trend.nights[own[0]].started, trend.nights[own[-1]].started
        span = f"{first:%Y-%m-%d}" + (f" – {last:%Y-%m-%d}, {len(own)} nights" if len(own) > 1 else "")
        x = round(start, 1)
        found.append(Stretch(word, x, round(end - x, 1), f"{word.glyph} {word} · {span}"))
    return tuple(found)


def spread_out(spans: Sequence[tuple[float, float]], left: float, right: float) -> list[tuple[float, float]]:
    """Return spans, in order and apart, widened so that each can be seen: none covers another or leaves the edges."""
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


def charts(trend: Trend, scale: Scale) -> tuple[Chart, ...]:
    """Return the panels of a trend: memory of one phase, and seconds."""
    memory = [name for name in trend.figures if name != SECONDS]
    panels = [_chart(trend, names, scale) for names in (memory, [SECONDS]) if names]
    return tuple(panel for panel in panels if panel is not None)


def _chart(trend: Trend, names: Sequence[str], scale: Scale) -> Chart | None:
    values = {name: _values(trend, name) for name in names}
    known = [value for found in values.values() for _, value in found]
    if not known:
        return None
    unit, high = unit_of(names[0]), max(known) or 1.0
    low = 0.0 if unit == "s" or min(known) < ZOOM * high else min(known) - (high - min(known) or high / 10) / 2
    room = (high - low) * 1.08

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / room)

    lines = tuple(_line(name, found, scale, y, unit) for name, found in values.items() if found)
    phase = names[0].partition(".")[2]
    return Chart(
        title=f"Memory, {phase}" if unit == "bytes" else "Seconds of the attempt",
        lines=lines,
        ticks=tuple((round(y(value), 1), human(value, unit)) for value in (low, low + room / 2.16, high)),
        days=_days(scale),
        marks=_marks(trend, names, scale),
        from_zero=low == 0,
    )


def _values(trend: Trend, name: str) -> list[tuple[datetime, float]]:
    return [(night.started, night.figures[name].median) for night in trend.nights if name in night.figures]


def _line(
    name: str, found: Sequence[tuple[datetime, float]], scale: Scale, y: Callable[[float], float], unit: str
) -> Line:
    """Draw steps: a value stands until the next one; pixels that do not move are not written."""
    points = [(round(scale.x(moment), 1), round(y(value), 1)) for moment, value in found]
    path = [f"M{points[0][0]:g} {points[0][1]:g}"]
    level = points[0][1]
    for x, height in points[1:]:
        if height != level:
            path.append(f"H{x:g}V{height:g}")
            level = height
    end = round(scale.x(found[-1][0] + NIGHT), 1)
    path.append(f"H{end:g}")
    head = name.partition(".")[0]
    words = figure_name(head).removeprefix("CUDA ")
    return Line(CLASSES.get(head, "s"), words, human(found[-1][1], unit), "".join(path), (end, level))


def _marks(trend: Trend, names: Sequence[str], scale: Scale) -> tuple[Mark, ...]:
    """Return the changes of these figures and of the outcome, one mark a night."""
    wanted = [turn for turn in trend.turns if turn.what in {*names, "outcome", "signature"}]
    found = []
    for place, group in groupby(sorted(wanted, key=lambda turn: turn.place), key=lambda turn: turn.place):
        turns = list(group)
        night = trend.nights[place]
        title = [f"{night.started:%Y-%m-%d}", *(turn.sentence for turn in turns), *turns[0].versions[:6]]
        label = turns[0].versions[0].rpartition(" → ")[2] if turns[0].versions else ""
        found.append(Mark(round(scale.x(night.started), 1), kind_of(turns), label, "\n".join(title)))
    return tuple(found)


def kind_of(turns: Sequence[Turn]) -> str:
    """Return ``worse`` where one of them is, else ``better``, else ``other``."""
    said = {turn.worse for turn in turns}
    return "worse" if True in said else "better" if False in said else "other"


def _days(scale: Scale) -> tuple[tuple[float, str], ...]:
    """Return up to six days under the axis, evenly spread."""
    span = scale.last - scale.first
    count = min(6, span.days + 1)
    moments = [scale.first + span * step / max(count - 1, 1) for step in range(count)]
    return tuple((round(scale.x(moment), 1), f"{moment:%Y-%m-%d}") for moment in moments)
