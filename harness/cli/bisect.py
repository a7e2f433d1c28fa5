"""``harness bisect``: which release of a package is the first bad one, or the first that is good again."""

from __future__ import annotations

import argparse
import json

from packaging.utils import canonicalize_name
from rich.console import Console

from harness.cli.among import among_commits, search_among
from harness.cli.answers import CODES, answer_lines, closing_lines
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
from harness.cli.commits import Source, add_into, asked_source, descend, kept_source, last_lines
from harness.cli.progress import Show
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode
from harness.matrix.paths import short_path
from harness.matrix.schema import load_matrix
from harness.report.charts import change_sentence
from harness.report.write import write_scan, write_views
from harness.reporter import Reporter
from harness.runner.isolation import Isolation
from harness.search.bisection import Search
from harness.search.drive import start, take_up
from harness.search.narrowing import Bisect
from harness.search.question import Question
from harness.search.releases import between, list_known_releases
from harness.store.runs import find_run

EPILOG = """\
exit codes: 0 found · 1 not reproduced at the bad end · 2 usage or configuration · 4 inconclusive, the releases that are
left are named · 130 interrupted"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument("package", nargs="?", metavar="PACKAGE", help="whose releases to search")
    end = "a release where the scenario is {}, or the newest on a day (2026-01-10); left out: {}"
    sought = "the search goes back until it finds one"
    verb.add_argument("--good", metavar="VERSION|DAY", help=end.format("green", sought))
    verb.add_argument("--bad", metavar="VERSION|DAY", help=end.format("red", "the newest release"))
    verb.add_argument("--scenario", metavar="FILE::TEST", help="what tells good from bad")
    verb.add_argument(
        "--matrix",
        default=default_matrix(),
        help="what the other packages are pinned to: its reference cell, else its first (quickstart)",
    )
    add_criterion(verb)
    verb.add_argument("--find-fix", action="store_true", help="the good release is the newer one: find the fix")
    verb.add_argument("--scan", action="store_true", help="run every release, name every change, draw a line chart")
    verb.add_argument("--assume-ends", action="store_true", help="do not run the two ends first")
    verb.add_argument("--confirm", type=positive, default=1, metavar="N", help="attempts at the two releases found")
    verb.add_argument("--jobs", type=positive, default=1, metavar="K", help="releases at once (1)")
    add_into(verb)
    _add_how(verb)
    verb.add_argument("--resume", metavar="RUN", help="go on with an interrupted bisect; needs nothing else")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=bisect)


def _add_how(verb: argparse.ArgumentParser) -> None:
    """Add how attempts are run, as ``harness run`` has it."""
    add_timeout(verb)
    add_gpu_busy(verb)
    verb.add_argument("--isolation", type=Isolation, choices=list(Isolation), default=Isolation.FORK)
    verb.add_argument("--no-reuse", action="store_true", help="run again what an earlier run below --reports answered")


def bisect(options: argparse.Namespace) -> ExitCode:
    """Search, saying each step; the last line is the answer or how to go on."""
    console = Console(stderr=True) if options.json else Console()
    cache_dir = CacheDir.of_user()

    def echo(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    alone = among_commits(options, cache_dir, lambda ends: _about(options, ends))
    if alone is not None:
        return search_among(alone, options, console, echo)
    search, source = _begun(options, cache_dir, echo)
    asked = search.question
    back = f"back from {asked.releases[-1]}, over up to " if asked.open_end else ""
    echo(
        f"{back}{len(asked.releases)} releases of {asked.package}, {asked.scenario} → {short_path(search.folder.path)}"
    )
    with Show(console, _probes(asked)) as show:
        result = search.run(show, echo)
        commits = descend(search, result, source, show, echo) if source is not None else None
    views = write_views(search.folder)
    scan = search.seen.scan() if asked.scan else None
    chart = write_scan(search.folder, scan) if scan else None
    code, answer = CODES[result.ending], answer_lines(search, result, scan)
    if source is not None and commits is not None:
        code, answer = CODES[commits.ending], [*answer, *last_lines(search, result, source, commits)]
    if options.json:
        paths = {"run": str(search.folder.path), "html": str(views.html), "chart": str(chart) if chart else None}
        changes = [change_sentence(scan, one) for one in scan.changes] if scan else []
        inside = commits.model_dump() if commits is not None else None
        more = {"commits": inside, "changes": changes, "answer": answer[-1]}
        print(json.dumps({**paths, "exit_code": code, **result.model_dump(), **more}, indent=1))
        return code
    echo(f"HTML  {short_path(views.html)}")
    if chart is not None:
        echo(f"Chart {short_path(chart)}")
    for line in (*closing_lines(search, result, cache_dir, into=source is not None), *answer):
        echo(line)
    return code


def _begun(options: argparse.Namespace, cache_dir: CacheDir, echo: Reporter) -> tuple[Bisect, Source | None]:
    """Return the search over releases that is asked for or gone on with, and where it goes on to commits.

    Raises:
        ConfigError: something is missing, or two things that were asked for exclude each other.
    """
    if options.resume:
        search = take_up(find_run(options.resume, options.reports), cache_dir)
        return search, kept_source(options, search.folder, cache_dir)
    source = asked_source(options, cache_dir)
    question, notes = _question(options, cache_dir)
    for note in notes:
        echo(f"note: {note}")
    return start(question, load_matrix(options.matrix), cache_dir, options.reports), source


def _probes(asked: Question) -> int:
    """Return how many probes a search takes at most, where every answer is known."""
    count = len(asked.releases)
    if asked.scan:
        return count
    ends = 0 if asked.assume_ends else 1 if asked.open_end else 2
    return ends + (1 + asked.open_end) * Search(count).rounds_left(asked.jobs) * asked.jobs


def _question(options: argparse.Namespace, cache_dir: CacheDir) -> tuple[Question, tuple[str, ...]]:
    """Read the arguments and ask the index for the releases between the ends.

    Raises:
        ConfigError: something is missing, or two things that were asked for exclude each other.
    """
    asked = _about(options, ())  # before the index is asked, for a mistake is none of its business
    listing = list_known_releases(asked.package, cache_dir)
    found = between(asked.package, listing.releases[asked.package], options.good, options.bad, find_fix=asked.find_fix)
    end = "bad" if asked.find_fix else "good"
    if found.open_end and asked.scan:
        raise ConfigError(f"--scan runs every release between two ends: name the older one with --{end}")
    if found.open_end and asked.factor is not None:
        raise ConfigError(f"--above {options.above} is measured at the good end: name it with --good, or give a size")
    question = asked.model_copy(update={"releases": found.releases, "open_end": found.open_end})
    return question, (*listing.warnings, *found.notes)


def _about(options: argparse.Namespace, releases: tuple[str, ...]) -> Question:
    """Return the question that the arguments ask about releases, or about two commits.

    Raises:
        ConfigError: as above.
    """
    _check(options)
    return Question(
        package=canonicalize_name(options.package),
        releases=releases,
        scenario=options.scenario,
        matrix=options.matrix,
        find_fix=options.find_fix,
        scan=options.scan,
        **read_criterion(options, bound=not options.scan, ends=not options.assume_ends).model_dump(),
        assume_ends=options.assume_ends,
        confirm=options.confirm,
        jobs=options.jobs,
        timeout=options.timeout,
        busy_bytes=options.gpu_busy,
        isolation=options.isolation,
        reuse=not options.no_reuse,
    )


def _check(options: argparse.Namespace) -> None:
    missing = [name for name in ("package", "scenario") if getattr(options, name) is None]
    if missing:
        flags = ", ".join("PACKAGE" if name == "package" else f"--{name}" for name in missing)
        raise ConfigError(f"bisect needs {flags}")
    if options.scan and options.confirm > 1:
        raise ConfigError("--confirm repeats the two releases that a search finds; --scan runs every release once")
