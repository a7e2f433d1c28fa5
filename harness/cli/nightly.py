"""``harness nightly``: run a matrix every night, and report what is new."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex

from rich.console import Console

from harness.cli.arguments import REPORTS, add_gpu_busy, add_jobs, add_json, add_reports, day, default_jobs, duration
from harness.cli.progress import RunProgress, open_screen
from harness.envs.cache_dir import CacheDir
from harness.errors import ExitCode, InfrastructureError, Interrupted
from harness.matrix.paths import short_path
from harness.matrix.schema import Matrix, load_matrix
from harness.nightly.evaluate import evaluate, find_run_to_evaluate
from harness.nightly.night import NightlyOptions, begin, call_hook, exclusive, resume
from harness.nightly.record import NightlyReport
from harness.nightly.summary import terminal_lines
from harness.reporter import Reporter
from harness.session.context import Options
from harness.store.run_folder import RunFolder

DEFAULT = "nightly"
BISECT_BUDGET = 40 * 60.0  # seconds
EPILOG = """\
exit codes: 0 nothing new · 1 a confirmed new regression, or a remaining difference from the baseline ·
2 usage or configuration · 4 inconclusive: machine drift, or results missing or unconfirmed · 130 interrupted"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument(
        "matrix",
        nargs="?",
        default=DEFAULT,
        metavar="MATRIX",
        help="matrix file, or name of one in matrices/ (default: nightly)",
    )
    verb.add_argument("--all", action="store_true", help="run every cell, not only those that changed")
    verb.add_argument(
        "--bisect-budget",
        type=duration,
        metavar="TIME",
        help="maximum time spent bisecting new regressions (default: 40m; 0 disables; default 0 with --judge)",
    )
    verb.add_argument(
        "--hook", metavar="COMMAND", help="run COMMAND at the end, with nightly.json on its standard input"
    )
    verb.add_argument(
        "--as-of",
        type=day,
        metavar="DATE",
        help="resolve 'latest' and version ranges against the package index as of DATE",
    )
    add_jobs(verb)
    add_gpu_busy(verb)
    verb.add_argument(
        "--strict",
        action="store_true",
        help="also exit with 1 for changed signatures, for known issues that are gone, changed or overdue, and for "
        "failures that differ from the baseline's",
    )
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--resume", action="store_true", help="resume the last nightly run after an interruption")
    what.add_argument("--judge", metavar="RUN", help="evaluate an existing (e.g. merged) run instead of running cells")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=nightly)


def nightly(options: argparse.Namespace) -> ExitCode:
    """Make a nightly run, or evaluate a run as one; print the summary, the verdict last."""
    console, print_line = open_screen(errors=options.json)
    try:
        found = _evaluate(options, console, print_line) if options.judge else _run(options, console, print_line)
    except OSError as error:
        raise InfrastructureError(f"the nightly run cannot be finished and claims nothing: {error}") from error

    if found is None:
        print_line(f"interrupted, nothing is claimed; continue with: {_command_to_continue(options)}")
        return ExitCode.INTERRUPTED
    report, folder = found
    *lines, verdict = terminal_lines(report)
    lines += [
        f"HTML      {short_path(folder.path / 'matrix.html')}",
        f"Markdown  {short_path(folder.path / 'nightly.md')}",
    ]
    for line in (*lines, verdict):
        print_line(line)
    text = report.model_dump_json(indent=1)
    if options.hook and (problem := call_hook(options.hook, text)):
        print_line(f"note: {problem}")
    if options.json:
        print(text)
    return ExitCode(report.code)


def _run(options: argparse.Namespace, console: Console, print_line: Reporter) -> tuple[NightlyReport, RunFolder] | None:
    """Begin or resume a nightly run and complete it; None if the user stopped it."""
    matrix = _read_matrix(options)
    begin_or_resume = resume if options.resume else begin
    with exclusive(options.reports, matrix.name), RunProgress(console, 0) as progress:
        run = begin_or_resume(matrix, _options(options), CacheDir.of_user(), progress, print_line)
        try:
            return run.complete(), run.folder
        except (Interrupted, KeyboardInterrupt):
            return None


def _evaluate(
    options: argparse.Namespace, console: Console, print_line: Reporter
) -> tuple[NightlyReport, RunFolder] | None:
    """Evaluate a run; None if the user stopped a search."""
    folder = find_run_to_evaluate(options.judge, options.reports)
    with RunProgress(console, 0) as progress:
        try:
            report = evaluate(folder, _options(options), CacheDir.of_user(), progress, print_line)
        except (Interrupted, KeyboardInterrupt):
            return None
    return report, folder


def _read_matrix(options: argparse.Namespace) -> Matrix:
    """Read the matrix; the run folder keeps ``--as-of`` in it, so that a resumed run has the same day."""
    matrix = load_matrix(options.matrix)
    if options.as_of is None:
        return matrix
    raw = {**matrix.raw, "as_of": options.as_of}
    return matrix.model_copy(update={"as_of": options.as_of, "raw": raw})


def _options(options: argparse.Namespace) -> NightlyOptions:
    default_budget = 0.0 if options.judge else BISECT_BUDGET
    return NightlyOptions(
        reports=options.reports,
        today=options.as_of or dt.datetime.now(dt.UTC).date(),
        bisect_budget=default_budget if options.bisect_budget is None else options.bisect_budget,
        attempts=Options(jobs=options.jobs or default_jobs(), busy_bytes=options.gpu_busy),
        run_all=options.all,
        strict=options.strict,
    )


def _command_to_continue(options: argparse.Namespace) -> str:
    """Return the command that continues after an interrupt, with the options that no run folder keeps."""
    words = ["harness", "nightly"]
    words += ["--judge", options.judge] if options.judge else [short_path(load_matrix(options.matrix).path), "--resume"]
    words += [] if options.bisect_budget is None else ["--bisect-budget", f"{options.bisect_budget:.0f}s"]
    words += [] if options.hook is None else ["--hook", options.hook]
    words += ["--strict"] if options.strict else []
    words += [] if options.reports == REPORTS else ["--reports", str(options.reports)]
    return shlex.join(words)
