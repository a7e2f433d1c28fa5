"""``harness blame``: the smallest set of package changes that turns green into red."""

from __future__ import annotations

import argparse
import json
import math

from rich.console import Console

from harness.cli.arguments import (
    add_criterion,
    add_gpu_busy,
    add_json,
    add_reports,
    add_timeout,
    default_matrix,
    positive,
    read_criterion,
)
from harness.cli.blame_lines import Inside, go_inside, last_lines, next_lines, resume_command
from harness.cli.progress import Show
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode, HarnessError
from harness.matrix.paths import short_path
from harness.matrix.schema import load_matrix
from harness.report.write import write_views
from harness.reporter import Reporter
from harness.search.blame import Blame
from harness.search.blame_start import compare, start, take_up
from harness.search.blame_words import sentence
from harness.search.blamed import BlameQuestion
from harness.search.environments import Asked
from harness.search.result import Ending
from harness.store.runs import find_run

CODES = {
    Ending.FOUND: ExitCode.COMPLETE,
    Ending.NOT_REPRODUCED: ExitCode.REGRESSION,
    Ending.INCONCLUSIVE: ExitCode.INCOMPLETE,
    Ending.INTERRUPTED: ExitCode.INTERRUPTED,
}
EPILOG = """\
an end is a cell (RUN:CELL, or CELL of --run, of the newest run that has it, or of --matrix), a lock, a requirements
file with exact pins, or a text of pip freeze

exit codes: 0 found · 1 not reproduced at the bad end · 2 usage or configuration · 4 inconclusive, the changes that are
left are named · 130 interrupted"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument("--good", metavar="END", help="an environment where the scenario is green")
    verb.add_argument("--bad", metavar="END", help="one where it is red")
    verb.add_argument("--scenario", metavar="FILE::TEST", help="what tells good from bad")
    verb.add_argument("--run", metavar="RUN", help="whose cells --good and --bad name")
    verb.add_argument("--matrix", default=default_matrix(), help="what is under test, and more cells (quickstart)")
    verb.add_argument(
        "--python", metavar="3.N", help="for files, which do not say theirs (the other end's, the matrix's)"
    )
    add_criterion(verb)
    verb.add_argument("--assume-ends", action="store_true", help="do not run the two ends first")
    verb.add_argument(
        "--confirm", type=positive, default=1, metavar="N", help="attempts at the answer and without each part"
    )
    verb.add_argument("--jobs", type=positive, default=1, metavar="K", help="environments at once (1)")
    add_timeout(verb)
    add_gpu_busy(verb)
    verb.add_argument("--no-reuse", action="store_true", help="run again what an earlier run below --reports answered")
    verb.add_argument("--bisect", action="store_true", help="go on inside the package that was found")
    verb.add_argument("--resume", metavar="RUN", help="go on with an interrupted blame; needs nothing else")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=blame)


def blame(options: argparse.Namespace) -> ExitCode:
    """Search, saying each step; the last line is the answer or how to go on."""
    console = Console(stderr=True) if options.json else Console()

    def echo(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    search = _begin(options, echo)
    asked, folder = search.question, search.prober.folder
    count = len(asked.changes)
    echo(f"{count} change{'' if count == 1 else 's'}, {asked.scenario} → {short_path(folder.path)}")
    for change in asked.changes:
        echo(f"  {change.words()}")
    ends = 0 if asked.assume_ends else 2
    with Show(console, ends + math.ceil(math.log2(count)) + (count > 1)) as show:
        try:
            result = search.run(show)
            inside = (
                go_inside(search, result, show, echo) if options.bisect and result.ending is Ending.FOUND else Inside()
            )
        except HarnessError:
            echo(f"to go on: {resume_command(search, options)}")
            raise
    views = write_views(folder)
    code = ExitCode.INTERRUPTED if inside.interrupted else CODES[result.ending]
    lines = (*next_lines(search, result, options), *inside.lines, *last_lines(search, result, options, inside))
    if options.json:
        paths = {"run": str(folder.path), "html": str(views.html)}
        said = {"ran": result.ran, "answer": sentence(result), "inside": inside.lines}
        print(json.dumps({**paths, "exit_code": code, **result.model_dump(), **said}, indent=1))
        return code
    echo(f"HTML  {short_path(views.html)}")
    for line in lines:
        echo(line)
    return code


def _begin(options: argparse.Namespace, echo: Reporter) -> Blame:
    """Begin what the arguments ask for, or take up an earlier blame."""
    cache_dir = CacheDir.of_user()
    if options.resume:
        return take_up(find_run(options.resume, options.reports), cache_dir, echo)
    missing = [f"--{name}" for name in ("good", "bad", "scenario") if getattr(options, name) is None]
    if missing:
        raise ConfigError(f"blame needs {', '.join(missing)}")
    criterion = read_criterion(options, ends=not options.assume_ends)
    asked = Asked(load_matrix(options.matrix), cache_dir, options.reports, options.run, options.python)
    found = compare(asked, options.good, options.bad)
    for note in found.notes:
        echo(f"note: {note}")
    question = BlameQuestion(
        good=options.good,
        bad=options.bad,
        scenario=options.scenario,
        matrix=options.matrix,
        shared=found.shared,
        changes=found.changes,
        **criterion.model_dump(),
        assume_ends=options.assume_ends,
        confirm=options.confirm,
        jobs=options.jobs,
        timeout=options.timeout,
        busy_bytes=options.gpu_busy,
        reuse=not options.no_reuse,
    )
    return start(question, asked, echo)
