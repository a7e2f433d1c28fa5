"""``harness blame``: the smallest set of package changes that turns good into bad."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass

from harness.cli.arguments import add_search, default_matrix, read_search_options, require
from harness.cli.progress import RunProgress, open_screen
from harness.cli.search_summary import answer_lines, closing_lines, resume_command
from harness.envs.cache_dir import CacheDir
from harness.errors import ExitCode, HarnessError
from harness.matrix.paths import short_path
from harness.matrix.schema import load_matrix
from harness.report.write import write_views
from harness.reporter import Reporter, counted
from harness.search.blame import Changes, inner_bisects, learn_dependencies, resume_blame
from harness.search.conclusions import sentence
from harness.search.driver import Driver, begin_search
from harness.search.environments import EnvironmentQuery
from harness.search.prober import Prober
from harness.search.records import BlameQuestion, BlameResult, Ending, SearchRecord
from harness.session.plan import read_scenarios
from harness.store.journal import Listener
from harness.store.runs import find_run

EPILOG = """\
an environment is a cell (RUN:CELL, or CELL of --run, of the newest run that has it, or of --matrix), a lock, a
requirements file with exact pins, or the output of pip freeze

exit codes: 0 found · 1 not reproduced at the bad end · 2 usage or configuration · 4 inconclusive, the changes that are
left are named · 130 interrupted"""


@dataclass(frozen=True)
class InnerBisects:
    """The answers of the bisects inside a blame, one line each, and whether one was interrupted."""

    lines: tuple[str, ...] = ()
    interrupted: bool = False


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument("--good", metavar="ENVIRONMENT", help="an environment in which the scenario is good")
    verb.add_argument("--bad", metavar="ENVIRONMENT", help="one in which it is bad")
    verb.add_argument("--run", metavar="RUN", help="the run whose cells --good and --bad name")
    verb.add_argument(
        "--matrix", default=default_matrix(), help="the packages under test, and more cells (default: quickstart)"
    )
    verb.add_argument(
        "--python",
        metavar="3.N",
        help="Python version for --good/--bad given as files (default: the other side's, else the matrix's)",
    )
    verb.add_argument("--bisect", action="store_true", help="bisect the releases of each package that is found")
    confirm = "re-run the answer, and the environments without each of its parts, N times before reporting"
    add_search(verb, "blame", "environments", confirm)
    verb.set_defaults(verb=blame)


def blame(options: argparse.Namespace) -> ExitCode:
    """Search, printing each step; the last line is the answer, or the command that continues."""
    console, report = open_screen(errors=options.json)
    cache_dir = CacheDir.of_user()
    if options.resume:
        axis, prober = resume_blame(find_run(options.resume, options.reports), cache_dir, report)
    else:
        axis, prober = _begin(options, cache_dir, report)

    question, folder = axis.question, prober.folder
    resume = resume_command("blame", folder, *(["--bisect"] if options.bisect else []))
    count = len(question.changes)
    report(f"{counted(count, 'change')}, {question.scenario} → {short_path(folder.path)}")
    for change in question.changes:
        report(f"  {change.words()}")

    expected = (0 if question.assume_ends else 2) + math.ceil(math.log2(count)) + (count > 1)
    inner = InnerBisects()

    with RunProgress(console, expected) as progress:
        try:
            result = Driver(axis, prober).run(progress, report)
            if options.bisect and result.ending is Ending.FOUND:
                inner = _run_inner(axis, prober, result, progress, report)
        except HarnessError:
            report(f"continue with: {resume}")
            raise

    views = write_views(folder)
    search = SearchRecord(question=question, result=result)
    code = ExitCode.INTERRUPTED if inner.interrupted else result.ending.exit_code

    if options.json:
        paths = {"run": str(folder.path), "html": str(views.html), "exit_code": code}
        more = {"ran": result.ran, "answer": sentence(question, result), "inside": inner.lines}
        print(json.dumps({**paths, **result.model_dump(mode="json"), **more}, indent=1))
        return code

    lines = closing_lines(search, folder, cache_dir)
    if result.ending is Ending.FOUND and not options.bisect:
        lines.append(f"to bisect {', '.join(result.heads)}: {resume} --bisect")
    lines += [*inner.lines, f"{result.ran} environments were run", *answer_lines(search, resume)]
    if inner.interrupted:
        lines.append(f"interrupted; continue with: {resume}")

    for line in (*views.lines, *lines):
        report(line)
    return code


def _run_inner(
    axis: Changes, prober: Prober, result: BlameResult, listener: Listener, report: Reporter
) -> InnerBisects:
    lines: list[str] = []
    for change, found in inner_bisects(axis, prober, result, report):
        if isinstance(found, str):
            lines.append(f"inside {change.package}: {found}")
            continue
        releases, inner = found
        place = short_path(inner.folder.path)
        report(f"inside {change.words()}, with all others as at the bad end → {place}")
        ended = Driver(releases, inner).run(listener, report)
        write_views(inner.folder)
        lines.append(f"inside {change.package}: {sentence(releases.question, ended)} ({place})")
        if ended.ending is Ending.INTERRUPTED:
            return InnerBisects(tuple(lines), interrupted=True)
    return InnerBisects(tuple(lines))


def _begin(options: argparse.Namespace, cache_dir: CacheDir, report: Reporter) -> tuple[Changes, Prober]:
    """Return the changes between the two environments, and what probes them."""
    require(options, "blame", "good", "bad", "scenario")
    asked = read_search_options(options)
    matrix = load_matrix(options.matrix)
    query = EnvironmentQuery(matrix, cache_dir, options.reports, options.run, options.python)
    found = query.compare(options.good, options.bad)
    for note in found.notes:
        report(f"note: {note}")
    read_scenarios(matrix, (options.scenario,))  # a mistake in it is found before many resolutions
    question = BlameQuestion(good=options.good, bad=options.bad, shared=found.shared, changes=found.changes, **asked)
    axis = learn_dependencies(question, cache_dir, report)
    return axis, begin_search(axis, matrix, cache_dir, options.reports, report)
