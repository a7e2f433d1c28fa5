"""The history as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from harness.history.query import SeriesResult
from harness.history.trend import RESULT, Trend, TrendChange
from harness.report.charts import TREND, Chart, Period, Stretch, strip, style_of, trend_charts
from harness.report.history_text import short, since
from harness.report.templates import environment
from harness.store.records import Status
from harness.verdict.figures import figure_title, human
from harness.verdict.statistics import OWN, unit_of

DRAWN = 150  # series with charts, about 15 kB each over a year
LISTED = 150  # changes in the table
OPEN = 3  # series that are unfolded when the page opens


@dataclass(frozen=True)
class RunChanges:
    """The changes of one series in one run; figures that are not charted are only counted, in ``more``."""

    result: SeriesResult
    style: str
    sentences: tuple[str, ...]
    more: int
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One series of the page."""

    trend: Trend
    since: str
    changes: tuple[RunChanges, ...]  # newest first
    strip: tuple[Stretch, ...]
    charts: tuple[Chart, ...]
    figures: tuple[tuple[str, str, str], ...]  # name, newest value, value before the last change


@dataclass(frozen=True)
class CommonChange:
    """One change on one day, with every series of the scenario that has it."""

    change: TrendChange
    series: tuple[str, ...]

    @property
    def style(self) -> str:
        """Return ``worse``, ``better`` or ``other``."""
        return style_of([self.change])


@dataclass(frozen=True)
class Page:
    """Everything that the page shows."""

    title: str
    first: datetime
    last: datetime
    runs: int
    gpus: tuple[str, ...]
    notable: tuple[Entry, ...]
    unchanged: tuple[tuple[str, tuple[Entry, ...]], ...]  # by scenario
    changes: tuple[CommonChange, ...]
    more_changes: int
    undrawn: int  # series without charts
    counts: dict[Status, int]


def page(trends: Sequence[Trend], title: str, redact: Callable[[str], str] = str) -> Page:
    """Return the page of at least one trend; ``redact`` is applied to outcomes and signatures."""
    trends = [replace(each, changes=tuple(_redacted(change, redact) for change in each.changes)) for each in trends]
    moments = [one.started for each in trends for one in each.results]
    period = Period(min(moments), max(moments))
    notable = sorted((each for each in trends if each.is_notable), key=_urgency, reverse=True)
    unchanged = [each for each in trends if not each.is_notable]
    unchanged.sort(key=lambda each: (each.key.scenario, each.key))
    drawn = {each.key for each in [*notable, *unchanged][:DRAWN]}
    changes = _common_changes(notable)
    entries = {each.key: _entry(each, period, drawn=each.key in drawn) for each in [*notable, *unchanged]}
    return Page(
        title=title,
        first=period.first,
        last=period.last,
        runs=len({one.run for each in trends for one in each.results}),
        gpus=tuple(sorted({each.key.gpu for each in trends} - {""})),
        notable=tuple(entries[each.key] for each in notable),
        unchanged=tuple(
            (scenario, tuple(entries[each.key] for each in group))
            for scenario, group in groupby(unchanged, key=lambda each: each.key.scenario)
        ),
        changes=changes[:LISTED],
        more_changes=max(len(changes) - LISTED, 0),
        undrawn=len(trends) - len(drawn),
        counts={status: sum(each.status is status for each in trends) for status in Status},
    )


def _redacted(change: TrendChange, redact: Callable[[str], str]) -> TrendChange:
    return replace(change, before=redact(change.before), after=redact(change.after))


def _urgency(trend: Trend) -> tuple[bool, datetime]:
    """Return a key that sorts failures last, and by the time of their last change."""
    moments = [change.result.started for change in trend.changes]
    return trend.status in {Status.FAIL, Status.ERROR}, max(moments, default=trend.results[0].started)


def _entry(trend: Trend, period: Period, *, drawn: bool) -> Entry:
    figures = []
    for name in trend.figures:
        value, change = trend.newest(name), trend.last_change(name)
        if value is not None:
            before = f"was {change.before} until {change.result.started:%Y-%m-%d}" if change else ""
            figures.append((figure_title(name), human(value.median, unit_of(name)), before))

    return Entry(
        trend=trend,
        since=since(trend),
        changes=_run_changes(trend),
        strip=strip(trend, period),
        charts=trend_charts(trend, period) if drawn else (),
        figures=tuple(figures),
    )


def _run_changes(trend: Trend) -> tuple[RunChanges, ...]:
    """Return the changes by run, outcomes before figures."""
    order = (*RESULT, *trend.figures)
    found = []
    for index, group in groupby(trend.changes, key=lambda change: change.index):
        changes = list(group)
        shown = [each for each in changes if each.name in order or each.name.startswith(f"{OWN}.")] or changes
        shown.sort(key=lambda each: order.index(each.name) if each.name in order else len(order))
        found.append(
            RunChanges(
                result=trend.results[index],
                style=style_of(changes),
                sentences=tuple(each.sentence for each in shown),
                more=len(changes) - len(shown),
                versions=changes[0].versions,
            )
        )

    return tuple(reversed(found))


def _common_changes(trends: Sequence[Trend]) -> tuple[CommonChange, ...]:
    """Return the changes newest first; equal changes of several series of a scenario on one day are one entry.

    Only charted figures are listed: the phases of one load move together.
    """
    found: dict[tuple[str, ...], list[tuple[TrendChange, str]]] = {}
    for each in trends:
        for change in each.changes:
            if change.name in {*RESULT, *each.figures}:
                sides = (change.before, change.after) if change.name in RESULT else (str(change.worse),)
                day, scenario = f"{change.result.started:%Y-%m-%d}", each.key.scenario
                key = (day, scenario, change.name, *sides, *change.versions[:1])
                found.setdefault(key, []).append((change, each.key.label))

    merged = [CommonChange(group[0][0], tuple(series for _, series in group)) for group in found.values()]
    return tuple(sorted(merged, key=lambda each: each.change.result.started, reverse=True))


def render(shown: Page) -> str:
    """Return the file's text."""
    template = environment(escape=True).get_template("history.html.j2")
    return template.render(page=shown, statuses=list(Status), plot=TREND, short=short, open=OPEN)
