"""A scan as one self-contained HTML file: its chart, every change, and the table of releases."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass

from harness.report.charts import Chart, answer, change_style, scan_chart
from harness.report.templates import environment
from harness.search.conclusions import change_sentence
from harness.search.scan import Point, Scan
from harness.store.records import RunRecord
from harness.verdict.figures import human
from harness.verdict.statistics import unit_of

ANSWERS = ("good", "bad", "measured", "undecided")


@dataclass(frozen=True)
class Release:
    """One row of the table."""

    name: str
    answer: str
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
    metric: str
    chart: Chart
    changes: tuple[tuple[str, str], ...]  # style, sentence
    releases: tuple[Release, ...]
    counts: tuple[tuple[str, int], ...]  # answer, number


def page(scan: Scan, run: RunRecord) -> Page:
    """Build the page of a scan."""
    question = scan.question
    gpus = ", ".join(dict.fromkeys(gpu.name for gpu in run.host.gpus)) or "no GPU"
    counts = Counter(answer(scan, point) for point in scan.points)
    test = question.scenario.rpartition("::")[2]
    return Page(
        title=f"{question.package} {question.releases[0]} … {question.releases[-1]}: {test}",
        started=f"{run.started:%Y-%m-%d %H:%M} UTC",
        machine=f"{run.host.platform}, {gpus}",
        version=run.harness_version,
        criterion=_criterion(scan),
        command=shlex.join(run.command),
        metric=question.metric or "",
        chart=scan_chart(scan),
        changes=tuple((change_style(each), change_sentence(scan.question, each)) for each in scan.changes),
        releases=tuple(_release(scan, point) for point in scan.points),
        counts=tuple((each, counts[each]) for each in ANSWERS if each in counts),
    )


def render(shown: Page) -> str:
    """Return the file's text."""
    return environment(escape=True).get_template("scan.html.j2").render(page=shown)


def _criterion(scan: Scan) -> str:
    question = scan.question
    if question.metric is None:
        return f"bad is {question.signature}" if question.signature else "bad is any failure"
    if scan.bound is None:
        return f"{question.metric}, without a bound"
    return f"bad is {question.metric} above {human(scan.bound, unit_of(question.metric))}"


def _release(scan: Scan, point: Point) -> Release:
    unit, figure = unit_of(scan.question.metric or ""), point.figure
    spread = ""
    if figure is not None and figure.count > 1:
        spread = f"{human(figure.low, unit)} to {human(figure.high, unit)}, {figure.count} attempts"
    return Release(
        name=point.release,
        answer=answer(scan, point),
        figure=human(figure.median, unit) if figure else "",
        spread=spread,
        reason=point.evaluation.reason,
        changes=tuple(change_style(each) for each in scan.changes if each.after == point.release),
    )
