"""``harness nightly``: one night of a matrix, from what changed to what is claimed."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from harness.cli.arguments import (
    REPORTS,
    Verbs,
    add_gpu_busy,
    add_json,
    add_reports,
    day,
    default_jobs,
    duration,
    positive,
)
from harness.cli.progress import Show
from harness.envs.places import Places
from harness.errors import ConfigError, ExitCode, InfrastructureError
from harness.matrix.model import Matrix, load_matrix
from harness.matrix.places import short
from harness.nightly.alone import alone
from harness.nightly.close import end_lines
from harness.nightly.drive import Nightly
from harness.nightly.finish import Finish
from harness.nightly.hook import call_hook
from harness.nightly.opening import How, start, take_up
from harness.nightly.record import Ended, torn_night
from harness.nightly.stages import Interrupted, Stages
from harness.session.context import Options
from harness.session.plan import Plan, make_plan
from harness.session.resume import plan_again
from harness.store.carried import NIGHT
from harness.store.folder import RunFolder, find

DEFAULT = "nightly"
BUDGET = 40 * 60.0  # seconds for the searches of a night
EPILOG = """\
exit codes: 0 nothing new · 1 a new regression, confirmed, or what still differs from the baseline (with --strict also a
changed signature, a known issue that is gone, changed or overdue) · 2 usage or configuration · 4 inconclusive: the
machine moved, or results are missing or not confirmed · 130 interrupted"""


def register(verbs: Verbs) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "nightly",
        help="run what changed since last night and say what is new",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_argument("matrix", nargs="?", default=DEFAULT, metavar="MATRIX", help="a matrix file or name (nightly)")
    verb.add_argument("--all", action="store_true", help="run every cell, not only what changed")
    verb.add_argument(
        "--bisect-budget", type=duration, metavar="TIME", help="for searches (40m; 0: none; with --judge: none)"
    )
    verb.add_argument(
        "--hook", metavar="COMMAND", help="gets nightly.json on its standard input when the night is over"
    )
    verb.add_argument("--as-of", type=day, metavar="DATE", help="latest and ranges as the index stood that day")
    verb.add_argument("--jobs", type=positive, metavar="N", help="cells at once (default: one a GPU; without, 2)")
    add_gpu_busy(verb)
    verb.add_argument("--strict", action="store_true", help="known issues and changed signatures make the code 1 too")
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--resume", action="store_true", help="go on with the last night, which was interrupted")
    what.add_argument("--judge", metavar="RUN", help="judge a run that is there, such as a merged one; run no cell")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=nightly)


@dataclass(frozen=True)
class Asked:
    """The command's arguments, where it speaks, and where things lie."""

    options: argparse.Namespace
    console: Console
    places: Places

    def say(self, text: str) -> None:
        """Say one line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @property
    def today(self) -> dt.date:
        """The day that is played, or today (UTC)."""
        return self.options.as_of or dt.datetime.now(dt.UTC).date()


def nightly(options: argparse.Namespace) -> ExitCode:
    """Spend one night; what is said last is its verdict."""
    asked = Asked(options, Console(stderr=True) if options.json else Console(), Places.of_user())
    try:
        if options.judge:
            folder = _to_judge(options)
            ended = _judge(asked, folder)
        else:
            with alone(options.reports, _matrix(asked).name):
                ended, folder = _spend(asked)
    except OSError as error:
        raise InfrastructureError(f"the night could not be ended, and claims nothing: {error}") from error
    if ended is None:
        again = ["--judge", options.judge] if options.judge else [short(_matrix(asked).path), "--resume"]
        words = ["harness", "nightly", *again, *_places(options)]
        asked.say(f"interrupted, nothing is claimed; to go on: {shlex.join(words)}")
        return ExitCode.INTERRUPTED
    for line in end_lines(folder, ended):
        asked.say(line)
    text = ended.model_dump_json(indent=1)
    if options.hook and (wrong := call_hook(options.hook, text)):
        asked.say(f"note: {wrong}")
    if options.json:
        print(text)
    return ExitCode(ended.code)


def _to_judge(options: argparse.Namespace) -> RunFolder:
    """Return the run to judge.

    Raises:
        ConfigError: it is a night of its own: it was judged at its end, by what only it knew then.
    """
    folder = find(options.judge, options.reports)
    if (folder.path / NIGHT).exists():
        raise ConfigError(
            f"{folder.path.name} is a night of harness nightly and judges itself at its end (--resume goes on with one "
            "that was interrupted); --judge is for runs of harness run, alone or merged"
        )
    return folder


def _judge(asked: Asked, folder: RunFolder) -> Ended | None:
    """Judge a run, and search what is new where a budget was given; None where the user stopped a search."""
    with Show(asked.console, 0) as show:
        try:
            return _finish(asked).judged(folder, asked.today, _how(asked.options), show)
        except (Interrupted, KeyboardInterrupt):
            return None


def _how(options: argparse.Namespace) -> Options:
    return Options(jobs=options.jobs or default_jobs(), busy_bytes=options.gpu_busy)


def _places(options: argparse.Namespace) -> tuple[str, ...]:
    return () if options.reports == REPORTS else ("--reports", str(options.reports))


def _matrix(asked: Asked) -> Matrix:
    """Read the matrix; ``--as-of`` is kept in it, so that the night is gone on with as it began."""
    matrix = load_matrix(asked.options.matrix)
    if asked.options.as_of is None:
        return matrix
    raw = {**matrix.raw, "as_of": asked.options.as_of}
    return matrix.model_copy(update={"as_of": asked.options.as_of, "raw": raw})


def _spend(asked: Asked) -> tuple[Ended | None, RunFolder]:
    """Begin a night or go on with one, run it and close it; None where the user stopped it."""
    matrix, options = _matrix(asked), asked.options
    torn = torn_night(options.reports, matrix.name)
    how = _how(options)

    with Show(asked.console, 0) as show:

        def stages(plan: Plan, folder: RunFolder) -> Stages:
            return Stages(plan, folder, asked.places, how, show)

        if options.resume:
            if torn is None:
                raise ConfigError(f"no night of {matrix.name} below {options.reports} was interrupted")
            plan = plan_again(torn, asked.places)
            night = take_up(plan, torn, options.reports, stages(plan, torn), asked.say)
        else:
            night = _begin(asked, matrix, torn, stages)
        cells, kept = len(night.plan.cells), len(night.choice.carried)
        asked.say(f"{cells} cells to run, {kept} results carried → {short(night.folder.path)}")
        try:
            return _finish(asked).night(night, how, show), night.folder
        except (Interrupted, KeyboardInterrupt):
            return None, night.folder


def _finish(asked: Asked) -> Finish:
    options = asked.options
    budget = (0.0 if options.judge else BUDGET) if options.bisect_budget is None else options.bisect_budget
    return Finish(options.reports, asked.places, asked.say, budget, strict=options.strict)


def _begin(
    asked: Asked, matrix: Matrix, torn: RunFolder | None, stages: Callable[[Plan, RunFolder], Stages]
) -> Nightly:
    if torn is not None:
        asked.say(f"note: {short(torn.path)} never came to its end and counts for nothing; --resume goes on with it")
    plan = make_plan(matrix, asked.places)
    for warning in plan.warnings:
        asked.say(f"note: {warning}")
    how = How(today=asked.today, everything=asked.options.all)
    return start(plan, asked.options.reports, stages, asked.say, how)
