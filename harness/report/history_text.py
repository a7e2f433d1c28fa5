"""Trends on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.history.trend import FAILING, Trend, TrendChange
from harness.report.model import GLYPHS
from harness.report.terminal import STYLES
from harness.reporter import counted, listed
from harness.store.records import Status
from harness.verdict.figures import figure_title, human
from harness.verdict.statistics import unit_of

GLYPHS_SHOWN = 40
VERSIONS = 3  # version changes on one line
INDENT = "    "


def glyphs(trend: Trend, length: int = GLYPHS_SHOWN) -> Text:
    """Return the last results as one glyph each, oldest first."""
    text = Text("…" if len(trend.statuses) > length else "", style="dim")
    for status in trend.statuses[-length:]:
        text.append(GLYPHS[status], style=STYLES[status])
    return text


def since(trend: Trend) -> str:
    """Return the length of the streak, its first day, and the version changes of that day."""
    if trend.since is None:
        return "no result in any run"
    runs = f"{trend.status} for {counted(trend.streak, 'run')}"
    first = next(one for one, status in zip(trend.results, trend.statuses, strict=True) if status is not Status.MISS)
    always = not trend.changed_by and trend.since is first
    when = "since the first run" if always else f"since {trend.since.started:%Y-%m-%d}"
    return f"{runs}, {when}{f' ({short(trend.changed_by)})' if trend.changed_by else ''}"


def short(versions: Sequence[str]) -> str:
    """Return the first few version changes, and the number of the others."""
    return listed(versions, VERSIONS)


def figure_line(trend: Trend, figure: str) -> str:
    """Return the newest value of a figure, and its value before the last change; empty if never measured."""
    value = trend.newest(figure)
    if value is None:
        return ""
    change = trend.last_change(figure)
    text = f"{figure_title(figure)} {human(value.median, unit_of(figure))}"
    return f"{text} (was {change.before} until {change.result.started:%Y-%m-%d})" if change else text


def print_trends(trends: Sequence[Trend], console: Console) -> None:
    """Print one entry per series, the series of a scenario below its name."""
    shown = None
    for each in trends:
        key = each.key
        if shown != (key.matrix, key.scenario):
            shown = (key.matrix, key.scenario)
            gap = "" if each is trends[0] else "\n"
            console.print(Text.assemble(gap, (key.scenario, "bold"), f"  {key.matrix}"))
        console.print(Text(f"  {key.label}"), soft_wrap=True)
        console.print(Text.assemble(INDENT, glyphs(each), "  ", since(each)), soft_wrap=True)
        for line in filter(None, (figure_line(each, figure) for figure in each.figures)):
            console.print(Text(f"{INDENT}{line}"), soft_wrap=True)
        remark = _remark(each)
        if remark:
            console.print(Text(f"{INDENT}{remark}", style="dim"), soft_wrap=True)


def _remark(trend: Trend) -> str:
    """Return the signature of a failing or flaky trend, else the last change."""
    if trend.status in FAILING:
        return next((one.signature for one in reversed(trend.results) if one.signature), "")
    last = trend.changes[-1] if trend.changes else None
    return f"{last.result.started:%Y-%m-%d} {last.sentence}" if last else ""


def as_rows(trends: Sequence[Trend]) -> list[dict[str, Any]]:
    """Return one JSON object per series; figures in bytes and seconds."""
    return [
        {
            "matrix": each.key.matrix,
            "line": each.key.series,
            "scenario": each.key.scenario,
            "gpu": each.key.gpu,
            "nights": [
                {
                    "run": one.run,
                    "started": one.started.isoformat(),
                    "result": status.value,
                    "outcomes": [str(outcome) for outcome in one.outcomes],
                    "signature": one.signature,
                }
                for one, status in zip(each.results, each.statuses, strict=True)
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
        "run": change.result.run,
        "started": change.result.started.isoformat(),
        "before": change.before,
        "after": change.after,
        "versions": list(change.versions),
        "worse": change.worse,
    }
