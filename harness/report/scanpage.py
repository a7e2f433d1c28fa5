"""A scan as one HTML file that asks nothing of any network: its line chart, every change, and the table behind it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from harness.redact.values import redact_value
from harness.report.figures import human
from harness.report.html import environment
from harness.report.linechart import Chart, change_words, chart, level, word
from harness.search.scan import Point, Scan
from harness.session.private import private_of
from harness.store.records import RunRecord
from harness.store.run_folder import RunFolder
from harness.verdict.measures import unit_of

FILE = "scan.html"
WORDS = ("good", "bad", "measured", "cannot tell")


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    release: str
    word: str
    figure: str
    spread: str
    reason: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Everything that the page shows."""

    title: str
    started: str
    machine: str
    version: str
    criterion: str
    command: str
    chart: Chart
    changes: tuple[tuple[str, str], ...]  # level, sentence
    lines: tuple[Line, ...]
    counts: tuple[tuple[str, int], ...]


def write_chart(folder: RunFolder, scan: Scan) -> Path:
    """Write ``scan.html`` into the run folder, redacted."""
    run = folder.read_record()
    shown = redact_value(page(scan, run), private_of(run, folder.path))
    path = folder.path / FILE
    path.write_text(environment(escape=True).get_template("linechart.html.j2").render(page=shown), encoding="utf-8")
    return path


def page(scan: Scan, run: RunRecord) -> Page:
    """Build what is shown of a scan."""
    asked = scan.question
    cards = ", ".join(dict.fromkeys(gpu.name for gpu in run.host.gpus)) or "no GPU"
    words = [word(scan, point) for point in scan.points]
    return Page(
        title=f"{asked.package} {asked.releases[0]} … {asked.releases[-1]}: {asked.scenario.rpartition('::')[2]}",
        started=f"{run.started:%Y-%m-%d %H:%M} UTC",
        machine=f"{run.host.platform}, {cards}",
        version=run.harness_version,
        criterion=_criterion(scan),
        command=shlex.join(run.command),
        chart=chart(scan),
        changes=tuple((level(one), change_words(scan, one)) for one in scan.changes),
        lines=tuple(_line(scan, point) for point in scan.points),
        counts=tuple((one, words.count(one)) for one in WORDS if one in words),
    )


def _criterion(scan: Scan) -> str:
    asked = scan.question
    if asked.metric is None:
        return f"bad is {asked.signature}" if asked.signature else "bad is any failure"
    if scan.bound is None:
        return f"{asked.metric}, without a bound"
    return f"bad is {asked.metric} above {human(scan.bound, unit_of(asked.metric))}"


def _line(scan: Scan, point: Point) -> Line:
    unit, found = unit_of(scan.question.metric or ""), point.figure
    spread = ""
    if found is not None and found.count > 1:
        spread = f"{human(found.low, unit)} to {human(found.high, unit)}, {found.count} attempts"
    return Line(
        release=point.release,
        word=word(scan, point),
        figure=human(found.median, unit) if found else "",
        spread=spread,
        reason=point.judged.reason,
        changes=tuple(level(one) for one in scan.changes if one.after == point.release),
    )
