"""Trends on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.history.trend import NOT_GREEN, Trend, TrendChange
from harness.report.model import GLYPHS
from harness.report.terminal import STYLES
from harness.store.records import Status
from harness.verdict.figures import figure_title, human
from harness.verdict.statistics import unit_of

NIGHTS = 40  # glyphs in a strip
VERSIONS = 3  # version changes on one line
INDENT = "    "


def glyphs(trend: Trend, length: int = NIGHTS) -> Text:
    """Return the last nights as one glyph each, oldest first."""
    text = Text("…" if len(trend.statuses) > length else "", style="dim")
    for status in trend.statuses[-length:]:
        text.append(GLYPHS[status], style=STYLES[status])
    return text


def since(trend: Trend) -> str:
    """Return the length of the streak, its first night, and the version changes of that night."""
    if trend.since is None:
        return "no result in any night"
    nights = f"{trend.status} for {trend.streak} night{'' if trend.streak == 1 else 's'}"
    first = next(night for night, status in zip(trend.nights, trend.statuses, strict=True) if status is not Status.MISS)
    always = not trend.changed_by and trend.since is first
    when = "since the first night" if always else f"since {trend.since.started:%Y-%m-%d}"
    return f"{nights}, {when}{f' ({short(trend.changed_by)})' if trend.changed_by else ''}"


def short(versions: Sequence[str]) -> str:
    """Return the first few version changes, and the number of the others."""
    more = len(versions) - VERSIONS
    return ", ".join(versions[:VERSIONS]) + (f" and {more} more" if more > 0 else "")


def figure_line(trend: Trend, figure: str) -> str:
    """Return the newest value of a figure, and its value before the last change; empty if never measured."""
    value = trend.newest(figure)
    if value is None:
        return ""
    change = trend.last_change(figure)
    text = f"{figure_title(figure)} {human(value.median, unit_of(figure))}"
    return f"{text} (was {change.before} until {change.night.started:%Y-%m-%d})" if change else text


def print_trends(trends: Sequence[Trend], console: Console) -> None:
    """Print one entry per track, the tracks of a scenario below its name."""
    shown = None
    for each in trends:
        track = each.track
        if shown != (track.matrix, track.scenario):
            shown = (track.matrix, track.scenario)
            gap = "" if each is trends[0] else "\n"
            console.print(Text.assemble(gap, (track.scenario, "bold"), f"  {track.matrix}"))
        series = f"  {track.line}" + (f" · {track.gpu}" if track.gpu else "")
        console.print(Text(series), soft_wrap=True)
        console.print(Text.assemble(INDENT, glyphs(each), "  ", since(each)), soft_wrap=True)
        for line in filter(None, (figure_line(each, figure) for figure in each.figures)):
            console.print(Text(f"{INDENT}{line}"), soft_wrap=True)
        remark = _remark(each)
        if remark:
            console.print(Text(f"{INDENT}{remark}", style="dim"), soft_wrap=True)


def _remark(trend: Trend) -> str:
    """Return the signature of a red trend, else the last change."""
    if trend.status in NOT_GREEN:
        return next((night.signature for night in reversed(trend.nights) if night.signature), "")
    last = trend.changes[-1] if trend.changes else None
    return f"{last.night.started:%Y-%m-%d} {last.sentence}" if last else ""


def as_rows(trends: Sequence[Trend]) -> list[dict[str, Any]]:
    """Return one JSON object per track; figures in bytes and seconds."""
    return [
        {
            "matrix": each.track.matrix,
            "line": each.track.line,
            "scenario": each.track.scenario,
            "gpu": each.track.gpu,
            "nights": [
                {
                    "run": night.run,
                    "started": night.started.isoformat(),
                    "result": status.value,
                    "outcomes": [str(outcome) for outcome in night.outcomes],
                    "signature": night.signature,
                }
                for night, status in zip(each.nights, each.statuses, strict=True)
            ],
            "result": each.status.value,
            "streak": each.streak,
            "since": each.since.started.isoformat() if each.since else None,
            "changed_by": list(each.changed_by),
            "figures": {name: value.median for name in each.figures if (value := each.newest(name)) is not None},
            "changes": [_change(change) for change in each.changes],
        }
        for each in trends
    ]


def _change(change: TrendChange) -> dict[str, Any]:
    return {
        "what": change.name,
        "run": change.night.run,
        "started": change.night.started.isoformat(),
        "before": change.before,
        "after": change.after,
        "versions": list(change.versions),
        "worse": change.worse,
    }
