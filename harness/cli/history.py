"""``harness history``: results and metrics over runs, as text, HTML page or table; removal of old logs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from harness.cli.arguments import add_json, add_reports, age
from harness.errors import ConfigError, ExitCode, NothingSelectedError
from harness.history.query import History, SeriesKey, open_history
from harness.history.retention import TrimResult, trim
from harness.history.trend import Trend, trend
from harness.matrix.paths import nearest, short_path
from harness.redact.text import redact
from harness.report.history_html import page, render
from harness.report.history_text import as_rows, print_trends
from harness.reporter import counted
from harness.session.private import private_of
from harness.store.files import write_bytes, write_text
from harness.store.runs import find_run
from harness.verdict.figures import human_bytes
from harness.verdict.signature import recognise

ACTIONS = ("html", "export", "trim")
ACTION_OPTIONS = {  # option → the actions that take it
    "output": ("html", "export"),
    "older_than": ("trim",),
    "dry_run": ("trim",),
    "all_logs": ("trim",),
}
FILTERS = ("line", "matrix", "gpu", "since")
DESCRIPTION = """\
harness history [SCENARIO]             show outcomes, streaks and metrics on the terminal
harness history html [SCENARIO]        write one HTML file with trend charts
harness history export -o FILE         write one row per result, as .parquet or .csv
harness history trim --older-than AGE  remove old logs; journals, results and metrics stay"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.description = DESCRIPTION
    verb.add_argument(
        "words", nargs="*", metavar="[ACTION] [SCENARIO]", help="html, export or trim; part of a scenario id"
    )
    verb.add_argument(
        "--line", metavar="SERIES", help="only cell series that contain this text, such as transformers=latest"
    )
    verb.add_argument("--matrix", metavar="NAME", help="only runs of this matrix")
    verb.add_argument(
        "--gpu", metavar="NAME", help="only this GPU model, or part of its name; '' selects runs without a GPU"
    )
    verb.add_argument("--since", type=day, metavar="DATE", help="only runs since DATE, such as 2026-01-31")
    verb.add_argument("--rebuild", action="store_true", help="rebuild the index from the run folders")
    verb.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="html, export: file to write (default of html: history.html below --reports)",
    )
    verb.add_argument("--older-than", type=age, metavar="AGE", help="trim: only runs older than AGE, such as 30d")
    verb.add_argument(
        "--all-logs", action="store_true", help="trim: also logs of failed attempts, except the newest per signature"
    )
    verb.add_argument("--dry-run", action="store_true", help="trim: only show what would be removed")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=history)


def day(text: str) -> datetime:
    """Parse a date or time; a date is its beginning, and times without an offset are in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not a date (for example 2026-01-31)") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def history(options: argparse.Namespace) -> ExitCode:
    """Update the index and perform the action."""
    action, scenario = _words(options)
    if action == "trim":
        return _trim(options)
    found, refreshed = open_history(options.reports, rebuild=options.rebuild)
    for note in refreshed.notes:
        sys.stderr.write(f"note: {note}\n")
    if action == "export":
        return _export(found, options)
    keys = _selected(found, scenario, options)
    names = {key: rule.name for key, failure in found.failures().items() if (rule := recognise(failure))}
    trends = [
        trend(key, results, lambda signature: names.get(signature, signature))
        for key, results in found.all_results(keys, since=options.since)
    ]
    if not trends:
        raise NothingSelectedError(f"no run since {options.since:%Y-%m-%d} below {options.reports}")
    trends.sort(key=lambda each: (each.key.matrix, each.key.scenario, each.key))
    return _page(trends, scenario, options) if action == "html" else _show(trends, options)


def _words(options: argparse.Namespace) -> tuple[str, str]:
    """Return the action and the scenario, each empty if not given, and check that the options fit the action."""
    words = list(options.words)
    action = words.pop(0) if words and words[0] in ACTIONS else ""
    if len(words) > 1:
        raise ConfigError(f"history takes one SCENARIO, not {' and '.join(words)}")
    for name, actions in ACTION_OPTIONS.items():
        if getattr(options, name) and action not in actions:
            raise ConfigError(f"--{name.replace('_', '-')} is an option of harness history {' and '.join(actions)}")
    if action in {"export", "trim"}:
        given = [f"--{name}" for name in FILTERS if getattr(options, name) is not None] + words
        if given:
            raise ConfigError(f"harness history {action} applies to all runs: omit {', '.join(given)}")
    return action, words[0] if words else ""


def _selected(found: History, scenario: str, options: argparse.Namespace) -> list[SeriesKey]:
    every = found.all_keys()
    if not every:
        raise NothingSelectedError(f"there is no run below {options.reports}")
    chosen = [key for key in every if _matches(key, scenario, options)]
    if not chosen:
        names = {key.scenario for key in every}
        near = None if any(scenario in name for name in names) else nearest(scenario, _short_names(names))
        hint = f"; the nearest scenario is {near}" if near else ""
        raise NothingSelectedError(f"none of the {len(every)} series below {options.reports} is selected{hint}")
    return chosen


def _short_names(scenarios: Iterable[str]) -> set[str]:
    """Return ids, tests with parameters and test functions of scenarios."""
    tests = {name.partition("::")[2] or name for name in scenarios}
    return {*scenarios, *tests, *(test.partition("[")[0] for test in tests)}


def _matches(key: SeriesKey, scenario: str, options: argparse.Namespace) -> bool:
    """Return whether a series is selected; ``--gpu ''`` selects those without a GPU."""
    gpu = options.gpu
    return (
        scenario in key.scenario
        and (options.line or "") in key.series
        and options.matrix in {None, key.matrix}
        and (gpu is None or (gpu.lower() in key.gpu.lower() if gpu else not key.gpu))
    )


def _show(trends: list[Trend], options: argparse.Namespace) -> ExitCode:
    if options.json:
        print(json.dumps(as_rows(trends), indent=1))
    else:
        print_trends(trends, Console(highlight=False))
    return ExitCode.COMPLETE


def _page(trends: list[Trend], scenario: str, options: argparse.Namespace) -> ExitCode:
    output = options.output or options.reports / "history.html"
    matrices = sorted({each.key.matrix for each in trends})
    title = " · ".join(filter(None, [", ".join(matrices), scenario, options.line or ""]))
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, render(page(trends, title, _redaction(trends, options.reports))))
    return _print_written({"html": output}, options)


def _redaction(trends: list[Trend], reports: Path) -> Callable[[str], str]:
    """Return a function that redacts what is private about the newest run and this machine."""
    newest = max((each.results[-1] for each in trends), key=lambda one: one.started)
    folder = find_run(str(reports / newest.run), reports)
    private = private_of(folder.read_record(), folder.path)
    return lambda text: redact(text, private)


def _export(found: History, options: argparse.Namespace) -> ExitCode:
    if options.output is None or options.output.suffix not in {".parquet", ".csv"}:
        raise ConfigError("harness history export needs -o FILE.parquet or -o FILE.csv")
    frame = found.table()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if options.output.suffix == ".csv":
        write_text(options.output, frame.to_csv(index=False))
    else:
        write_bytes(options.output, frame.to_parquet(index=False))
    return _print_written({"table": options.output, "rows": len(frame)}, options)


def _trim(options: argparse.Namespace) -> ExitCode:
    if options.older_than is None:
        raise ConfigError("harness history trim needs --older-than (for example 30d)")
    now = datetime.now(UTC)
    done = trim(options.reports, now=now, days=options.older_than, all_logs=options.all_logs, dry_run=options.dry_run)
    if options.json:
        print(json.dumps(asdict(done)))
    else:
        print(_trim_sentence(done, dry_run=options.dry_run))

    return ExitCode.COMPLETE


def _trim_sentence(done: TrimResult, *, dry_run: bool) -> str:
    logs = f"{counted(done.files, 'log')} of {counted(done.runs, 'run')}"
    verb = "would be removed" if dry_run else "removed"
    return f"{logs} ({human_bytes(done.bytes)}) {verb}, {human_bytes(done.kept_bytes)} of logs kept"


def _print_written(facts: dict[str, Path | int], options: argparse.Namespace) -> ExitCode:
    if options.json:
        print(json.dumps({name: str(fact) if isinstance(fact, Path) else fact for name, fact in facts.items()}))
        return ExitCode.COMPLETE
    for name, fact in facts.items():
        print(f"{name:9} {short_path(fact) if isinstance(fact, Path) else fact}")
    return ExitCode.COMPLETE
