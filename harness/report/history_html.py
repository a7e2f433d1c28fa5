"""The history as one HTML file that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from harness.history.query import Night
from harness.report.charts import TREND, Chart, Period, Stretch, strip, trend_charts, turn_style
from harness.report.history_text import short, since
from harness.report.history_trend import Trend, Turn
from harness.report.templates import environment
from harness.store.records import Status
from harness.verdict.figures import figure_title, human
from harness.verdict.statistics import OWN, unit_of

DRAWN = 150  # lines that get charts, about 15 kB each over a year; what changed last comes first
LISTED = 150  # changes in the table at the top
OPEN = 3  # lines that are unfolded when the page opens


@dataclass(frozen=True)
class News:
    """Everything that changed on one night in one line; figures that are not charted are only counted."""

    night: Night
    style: str
    sentences: tuple[str, ...]
    more: int
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One line of the page."""

    trend: Trend
    since: str
    news: tuple[News, ...]  # newest first
    strip: tuple[Stretch, ...]
    charts: tuple[Chart, ...]
    figures: tuple[tuple[str, str, str], ...]  # name, newest value, what it was before it last moved
    folded: bool


@dataclass(frozen=True)
class Change:
    """One change on one night, with every line of the scenario that shows it."""

    turn: Turn
    lines: tuple[str, ...]

    @property
    def style(self) -> str:
        """Return ``worse``, ``better`` or ``other``."""
        return turn_style([self.turn])


@dataclass(frozen=True)
class Page:
    """Everything the page shows."""

    title: str
    first: datetime
    last: datetime
    runs: int
    gpus: tuple[str, ...]
    telling: tuple[Entry, ...]
    quiet: tuple[tuple[str, tuple[Entry, ...]], ...]  # by scenario
    changes: tuple[Change, ...]
    more_changes: int
    undrawn: int  # lines whose charts were left out
    counts: dict[Status, int]


def page(trends: Sequence[Trend], title: str, hide: Callable[[str], str] = str) -> Page:
    """Make the page of at least one trend; ``hide`` takes out what must not leave the machine."""
    trends = [replace(each, turns=tuple(_hidden(turn, hide) for turn in each.turns)) for each in trends]
    moments = [night.started for each in trends for night in each.nights]
    period = Period(min(moments), max(moments))
    telling = sorted((each for each in trends if each.telling), key=_newest, reverse=True)
    quiet = sorted((each for each in trends if not each.telling), key=lambda each: (each.track.scenario, each.track))
    drawn = {each.track for each in [*telling, *quiet][:DRAWN]}
    changes = _changes(telling)
    entries = {each.track: _entry(each, period, drawn=each.track in drawn) for each in [*telling, *quiet]}
    return Page(
        title=title,
        first=period.first,
        last=period.last,
        runs=len({night.run for each in trends for night in each.nights}),
        gpus=tuple(sorted({each.track.gpu for each in trends} - {""})),
        telling=tuple(entries[each.track] for each in telling),
        quiet=tuple(
            (scenario, tuple(entries[each.track] for each in group))
            for scenario, group in groupby(quiet, key=lambda each: each.track.scenario)
        ),
        changes=changes[:LISTED],
        more_changes=max(len(changes) - LISTED, 0),
        undrawn=len(trends) - len(drawn),
        counts={word: sum(each.word is word for each in trends) for word in Status},
    )


def _newest(trend: Trend) -> tuple[bool, datetime]:
    """Sort red lines before others, and among them what changed last first."""
    moments = [turn.night.started for turn in trend.turns]
    return trend.word in {Status.FAIL, Status.ERROR}, max(moments, default=trend.nights[0].started)


def _entry(trend: Trend, period: Period, *, drawn: bool) -> Entry:
    figures = []
    for name in trend.figures:
        value, turn = trend.last(name), trend.turn_of(name)
        if value is not None:
            was = f"was {turn.before} until {turn.night.started:%Y-%m-%d}" if turn else ""
            figures.append((figure_title(name), human(value.median, unit_of(name)), was))
    made = trend_charts(trend, period) if drawn else ()
    return Entry(trend, since(trend), _news(trend), strip(trend, period), made, tuple(figures), folded=not made)


def _news(trend: Trend) -> tuple[News, ...]:
    """Return what changed by night, answers before figures."""
    shown = ("outcome", "signature", *trend.figures)
    found = []
    for place, group in groupby(trend.turns, key=lambda turn: turn.place):
        turns = list(group)
        told = [turn for turn in turns if turn.what in shown or turn.what.startswith(f"{OWN}.")] or turns
        told.sort(key=lambda turn: shown.index(turn.what) if turn.what in shown else len(shown))
        sentences = tuple(turn.sentence for turn in told)
        more = len(turns) - len(told)
        found.append(News(trend.nights[place], turn_style(turns), sentences, more, turns[0].versions))
    return tuple(reversed(found))


def _changes(trends: Sequence[Trend]) -> tuple[Change, ...]:
    """Return the changes newest first; lines of one scenario that changed alike on one night are one entry.

    Of the figures only those that are charted are listed: the phases of one load move together.
    """
    found: dict[tuple[str, ...], list[tuple[Turn, str]]] = {}
    for each in trends:
        for turn in each.turns:
            if turn.what in {"outcome", "signature", *each.figures}:
                sides = (turn.before, turn.after) if turn.what in {"outcome", "signature"} else (str(turn.worse),)
                key = (f"{turn.night.started:%Y-%m-%d}", turn.night.scenario, turn.what, *sides, *turn.versions[:1])
                found.setdefault(key, []).append((turn, _line(each)))
    merged = [Change(group[0][0], tuple(line for _, line in group)) for group in found.values()]
    return tuple(sorted(merged, key=lambda each: each.turn.night.started, reverse=True))


def _line(trend: Trend) -> str:
    return trend.track.line + (f" · {trend.track.gpu}" if trend.track.gpu else "")


def _hidden(turn: Turn, hide: Callable[[str], str]) -> Turn:
    return replace(turn, before=hide(turn.before), after=hide(turn.after))


def render(shown: Page) -> str:
    """Return the page."""
    return (
        environment(escape=True)
        .get_template("history.html.j2")
        .render(
            page=shown,
            statuses=list(Status),
            plot=TREND,
            short=short,
            open=OPEN,
            figure_title=figure_title,
        )
    )
