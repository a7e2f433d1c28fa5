"""Trends on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.report.history_trend import RED, Trend, Turn
from harness.report.model import GLYPHS
from harness.store.records import Status
from harness.verdict.figures import figure_title, human
from harness.verdict.statistics import unit_of

STYLES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.ERROR: "yellow",
    Status.UNAVAILABLE: "yellow",
    Status.SKIP: "dim",
    Status.MISS: "magenta",
    Status.FLAKY: "cyan",
}
NIGHTS = 40  # glyphs in a strip
VERSIONS = 3  # versions named on one line
INDENT = "    "


def strip(trend: Trend, length: int = NIGHTS) -> Text:
    """Return the last nights as one glyph each, the newest at the right."""
    text = Text("…" if len(trend.words) > length else "", style="dim")
    for word in trend.words[-length:]:
        text.append(GLYPHS[word], style=STYLES[word])
    return text


def since(trend: Trend) -> str:
    """Say how long it has been as it is, and what changed on the first of these nights."""
    if trend.since is None:
        return "no result in any night"
    nights = f"{trend.word} for {trend.streak} night{'' if trend.streak == 1 else 's'}"
    whole = not trend.by and trend.since is next(
        night for night, word in zip(trend.nights, trend.words, strict=True) if word is not Status.MISS
    )
    when = "all there are" if whole else f"since {trend.since.started:%Y-%m-%d}"
    return f"{nights}, {when}{f' ({short(trend.by)})' if trend.by else ''}"


def short(versions: Sequence[str]) -> str:
    """Name the first few changed versions, and how many there are beside them."""
    more = len(versions) - VERSIONS
    return ", ".join(versions[:VERSIONS]) + (f" and {more} more" if more > 0 else "")


def figure_line(trend: Trend, figure: str) -> str:
    """Say the newest value of a figure and when it last moved beyond noise; empty where nobody measured it."""
    value = trend.last(figure)
    if value is None:
        return ""
    turn = trend.turn_of(figure)
    said = f"{figure_title(figure)} {human(value.median, unit_of(figure))}"
    return f"{said} (was {turn.before} until {turn.night.started:%Y-%m-%d})" if turn else said


def print_trends(trends: Sequence[Trend], console: Console) -> None:
    """Print one entry a track, tracks of one scenario below its name."""
    shown = None
    for each in trends:
        track = each.track
        if shown != (track.matrix, track.scenario):
            shown = (track.matrix, track.scenario)
            console.print(
                Text.assemble(("" if each is trends[0] else "\n"), (track.scenario, "bold"), f"  {track.matrix}")
            )
        where = f"  {track.line}" + (f" · {track.gpu}" if track.gpu else "")
        console.print(Text(where), soft_wrap=True)
        console.print(Text.assemble(INDENT, strip(each), "  ", since(each)), soft_wrap=True)
        for line in filter(None, (figure_line(each, figure) for figure in each.figures)):
            console.print(Text(f"{INDENT}{line}"), soft_wrap=True)
        news = _news(each)
        if news:
            console.print(Text(f"{INDENT}{news}", style="dim"), soft_wrap=True)


def _news(trend: Trend) -> str:
    """Say how a red line fails, and of another one what changed last."""
    if trend.word in RED:
        return next((night.signature for night in reversed(trend.nights) if night.signature), "")
    last = trend.turns[-1] if trend.turns else None
    return f"{last.night.started:%Y-%m-%d} {last.sentence}" if last else ""


def as_rows(trends: Sequence[Trend]) -> list[dict[str, Any]]:
    """Return one mapping a track, for JSON; figures in bytes and seconds."""
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
                    "result": word.value,
                    "outcomes": [str(outcome) for outcome in night.outcomes],
                    "signature": night.signature,
                }
                for night, word in zip(each.nights, each.words, strict=True)
            ],
            "result": each.word.value,
            "streak": each.streak,
            "since": each.since.started.isoformat() if each.since else None,
            "changed_by": list(each.by),
            "figures": {name: value.median for name in each.figures if (value := each.last(name)) is not None},
            "changes": [_turn(turn) for turn in each.turns],
        }
        for each in trends
    ]


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "what": turn.what,
        "run": turn.night.run,
        "started": turn.night.started.isoformat(),
        "before": turn.before,
        "after": turn.after,
        "versions": list(turn.versions),
        "worse": turn.worse,
    }
