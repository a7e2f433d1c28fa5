"""The night that the arguments of ``harness nightly`` ask for: begun, gone on with, or judged."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from harness.cli.arguments import default_jobs
from harness.cli.progress import RunProgress
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, Interrupted
from harness.matrix.paths import short_path
from harness.matrix.schema import Matrix, load_matrix
from harness.nightly.night import Finish, How, Nightly, start, take_up
from harness.nightly.record import Ended, torn_night
from harness.nightly.stages import Stages
from harness.session.context import Options
from harness.session.plan import Plan, make_plan
from harness.session.resume import load_plan
from harness.store.records import RunKind
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run, kind_of

BUDGET = 40 * 60.0  # seconds for the searches of a night


@dataclass(frozen=True)
class Asked:
    """The command's arguments, where it speaks, and where things lie."""

    options: argparse.Namespace
    console: Console
    cache_dir: CacheDir

    def echo(self, text: str) -> None:
        """Say one line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @property
    def today(self) -> dt.date:
        """The day that is played, or today (UTC)."""
        return self.options.as_of or dt.datetime.now(dt.UTC).date()


def to_judge(options: argparse.Namespace) -> RunFolder:
    """Return the run to judge.

    Raises:
        ConfigError: it is a night of its own: it was judged at its end, by what only it knew then.
    """
    folder = find_run(options.judge, options.reports)
    if kind_of(folder) is RunKind.NIGHT:
        raise ConfigError(
            f"{folder.path.name} is a night of harness nightly and judges itself at its end (--resume goes on with one "
            "that was interrupted); --judge is for runs of harness run, alone or merged"
        )
    return folder


def judge(asked: Asked, folder: RunFolder) -> Ended | None:
    """Judge a run, and search what is new where a budget was given; None where the user stopped a search."""
    with RunProgress(asked.console, 0) as progress:
        try:
            return _finish(asked).judged(folder, asked.today, _how(asked.options), progress)
        except (Interrupted, KeyboardInterrupt):
            return None


def _how(options: argparse.Namespace) -> Options:
    return Options(jobs=options.jobs or default_jobs(), busy_bytes=options.gpu_busy)


def matrix_of(asked: Asked) -> Matrix:
    """Read the matrix; ``--as-of`` is kept in it, so that the night is gone on with as it began."""
    matrix = load_matrix(asked.options.matrix)
    if asked.options.as_of is None:
        return matrix
    raw = {**matrix.raw, "as_of": asked.options.as_of}
    return matrix.model_copy(update={"as_of": asked.options.as_of, "raw": raw})


def spend(asked: Asked) -> tuple[Ended | None, RunFolder]:
    """Begin a night or go on with one, run it and close it; None where the user stopped it."""
    matrix, options = matrix_of(asked), asked.options
    torn = torn_night(options.reports, matrix.name)
    how = _how(options)

    with RunProgress(asked.console, 0) as progress:

        def stages(plan: Plan, folder: RunFolder) -> Stages:
            return Stages(plan, folder, asked.cache_dir, how, progress)

        if options.resume:
            if torn is None:
                raise ConfigError(f"no night of {matrix.name} below {options.reports} was interrupted")
            plan = load_plan(torn, asked.cache_dir)
            night = take_up(plan, torn, options.reports, stages(plan, torn), asked.echo)
        else:
            night = _begin(asked, matrix, torn, stages)
        cells, kept = len(night.plan.cells), len(night.choice.carried)
        told = f"{cells} cell{'' if cells == 1 else 's'} to run, {kept} result{'' if kept == 1 else 's'} carried"
        asked.echo(f"{told} → {short_path(night.folder.path)}")
        try:
            return _finish(asked).night(night, how, progress), night.folder
        except (Interrupted, KeyboardInterrupt):
            return None, night.folder


def _finish(asked: Asked) -> Finish:
    options = asked.options
    budget = (0.0 if options.judge else BUDGET) if options.bisect_budget is None else options.bisect_budget
    return Finish(options.reports, asked.cache_dir, asked.echo, budget, strict=options.strict)


def _begin(
    asked: Asked, matrix: Matrix, torn: RunFolder | None, stages: Callable[[Plan, RunFolder], Stages]
) -> Nightly:
    if torn is not None:
        asked.echo(
            f"note: {short_path(torn.path)} never came to its end and counts for nothing; --resume goes on with it"
        )
    plan = make_plan(matrix, asked.cache_dir)
    for warning in plan.warnings:
        asked.echo(f"note: {warning}")
    how = How(today=asked.today, everything=asked.options.all)
    return start(plan, asked.options.reports, stages, asked.echo, how)
