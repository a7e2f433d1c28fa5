"""``harness nightly``: one night of a matrix, from what changed to what is claimed."""

from __future__ import annotations

import argparse
import shlex

from rich.console import Console

from harness.cli.arguments import REPORTS, add_gpu_busy, add_jobs, add_json, add_reports, day, duration
from harness.cli.night import Asked, judge, matrix_of, spend, to_judge
from harness.envs.cache_dir import CacheDir
from harness.errors import ExitCode, InfrastructureError
from harness.matrix.paths import short_path
from harness.nightly.night import alone, call_hook, end_lines

DEFAULT = "nightly"
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
        help="also exit with 1 for changed signatures, and known issues that are gone, changed or overdue",
    )
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--resume", action="store_true", help="resume the last nightly run after an interruption")
    what.add_argument("--judge", metavar="RUN", help="evaluate an existing (e.g. merged) run instead of running cells")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=nightly)


def nightly(options: argparse.Namespace) -> ExitCode:
    """Spend one night; what is said last is its verdict."""
    asked = Asked(options, Console(stderr=True) if options.json else Console(), CacheDir.of_user())
    try:
        if options.judge:
            folder = to_judge(options)
            ended = judge(asked, folder)
        else:
            with alone(options.reports, matrix_of(asked).name):
                ended, folder = spend(asked)
    except OSError as error:
        raise InfrastructureError(f"the night could not be ended, and claims nothing: {error}") from error
    if ended is None:
        again = ["--judge", options.judge] if options.judge else [short_path(matrix_of(asked).path), "--resume"]
        words = ["harness", "nightly", *again, *_said(options), *_places(options)]
        asked.echo(f"interrupted, nothing is claimed; to go on: {shlex.join(words)}")
        return ExitCode.INTERRUPTED
    for line in end_lines(folder, ended):
        asked.echo(line)
    text = ended.model_dump_json(indent=1)
    if options.hook and (wrong := call_hook(options.hook, text)):
        asked.echo(f"note: {wrong}")
    if options.json:
        print(text)
    return ExitCode(ended.code)


def _said(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the options that no run folder keeps; a judge without its budget would search nothing."""
    budget = () if options.bisect_budget is None else ("--bisect-budget", f"{options.bisect_budget:.0f}s")
    hook = () if options.hook is None else ("--hook", options.hook)
    return (*budget, *hook, *(("--strict",) if options.strict else ()))


def _places(options: argparse.Namespace) -> tuple[str, ...]:
    return () if options.reports == REPORTS else ("--reports", str(options.reports))
