"""``harness bisect``: the first bad release or commit of a package, or the first one that is good again."""

from __future__ import annotations

import argparse
import json

from packaging.utils import canonicalize_name

from harness.cli.arguments import add_isolation, add_search, default_matrix, read_search_options, require
from harness.cli.progress import RunProgress, open_screen
from harness.cli.search_summary import answer_lines, closing_lines, resume_command
from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode, HarnessError
from harness.matrix.git import Repository, open_repository
from harness.matrix.paths import short_path
from harness.matrix.schema import Matrix, load_matrix
from harness.report.write import write_views
from harness.reporter import Reporter
from harness.runner.isolation import Isolation
from harness.search.bisection import Search
from harness.search.commits import Commits, commits_of_question, commits_of_releases, find_commits, resume_commits
from harness.search.conclusions import change_sentence, conclude
from harness.search.driver import Driver, begin_search, reference_cell
from harness.search.prober import Prober
from harness.search.records import (
    CommitQuestion,
    CommitSource,
    PackageQuestion,
    ReleaseQuestion,
    ReleaseResult,
    SearchRecord,
    read_search,
)
from harness.search.releases import Releases, between, list_known_releases, resume_releases
from harness.session.plan import read_scenarios
from harness.store.journal import Listener
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run

EPILOG = """\
exit codes: 0 found · 1 not reproduced at the bad end · 2 usage or configuration · 4 inconclusive, the candidates that
are left are named · 130 interrupted"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument("package", nargs="?", metavar="PACKAGE", help="the package to bisect")
    end = "a release that is {}, or a day: the newest release of that day (default: {})"
    verb.add_argument("--good", metavar="VERSION|DAY", help=end.format("good", "search backwards for one"))
    verb.add_argument("--bad", metavar="VERSION|DAY", help=end.format("bad", "the newest release"))
    verb.add_argument(
        "--matrix",
        default=default_matrix(),
        help="the versions of all other packages: its reference cell, else its first cell (default: quickstart)",
    )
    verb.add_argument("--find-fix", action="store_true", help="find the first good release after a bad one")
    verb.add_argument("--scan", action="store_true", help="run every release, report every change, draw a chart")
    verb.add_argument("--into", metavar="git:URL|FOLDER", help="continue among the commits between the releases found")
    verb.add_argument("--tags", metavar="PATTERN", help="how that repository tags its releases, such as rel-{}")
    verb.add_argument("--all-parents", action="store_true", help="if the answer is a merge, search what it brought")
    verb.add_argument("--commits", action="store_true", help="--good and --bad are commits: search no releases")
    add_isolation(verb, default=Isolation.FORK)
    confirm = "re-run the first bad and last good candidate N times before reporting"
    add_search(verb, "bisect", "candidates", confirm)
    verb.set_defaults(verb=bisect)


def bisect(options: argparse.Namespace) -> ExitCode:
    """Search, printing each step; the last line is the answer, or the command that continues."""
    console, report = open_screen(errors=options.json)
    cache_dir = CacheDir.of_user()
    begin = _resume if options.resume else _begin
    axis, prober, repository = begin(options, cache_dir, report)
    folder = prober.folder
    report(f"{_describe(axis)}, {axis.question.scenario} → {short_path(folder.path)}")
    with RunProgress(console, _expected_probes(axis)) as progress:
        try:
            if isinstance(axis, Releases):
                _search_releases(axis, prober, repository, progress, report)
            else:
                Driver(axis, prober).run(progress, report)
        except HarnessError:
            report(f"continue with: {resume_command('bisect', folder)}")
            raise
    return _finish(options, folder, cache_dir, report)


def _search_releases(
    axis: Releases, prober: Prober, repository: Repository | None, listener: Listener, report: Reporter
) -> None:
    """Search releases, then the commits between the two that were found."""
    search, question = Driver(axis, prober), axis.question
    result = search.run(listener, report)
    commits = None
    if repository is not None and question.source is not None:
        commits = commits_of_releases(axis, result, search.known().bound, repository)
    if commits is not None:
        older, newer = f"{result.before} is {question.before}", f"{result.suspects[-1]} is {question.after}"
        report(f"{question.package} {older} and {newer}: searching the commits between")
        Driver(commits, prober).run(listener, report)


def _finish(options: argparse.Namespace, folder: RunFolder, cache_dir: CacheDir, report: Reporter) -> ExitCode:
    """Write the views and print the conclusion."""
    search = read_search(folder)
    conclusion = conclude(search) if search is not None else None
    if search is None or conclusion is None:
        raise ConfigError(f"{folder.path} has no result")
    views = write_views(folder)
    code = conclusion.ending.exit_code
    answers = answer_lines(search, resume_command("bisect", folder))
    if options.json:
        paths = {"run": str(folder.path), "html": str(views.html), "exit_code": code}
        content = _json(search, chart=str(views.chart) if views.chart is not None else None)
        print(json.dumps({**paths, **content, "answer": answers[-1]}, indent=1))
        return code

    for line in (*views.lines, *closing_lines(search, folder, cache_dir), *answers):
        report(line)
    return code


def _json(search: SearchRecord, chart: str | None) -> dict[str, object]:
    question, result = search.question, search.result
    if not isinstance(question, ReleaseQuestion) or not isinstance(result, ReleaseResult):
        return {"commits": result.model_dump(mode="json") if result is not None else None}
    commits = search.commits.model_dump(mode="json") if search.commits is not None else None
    changes = [change_sentence(question, one) for one in result.changes]
    return {**result.model_dump(mode="json"), "commits": commits, "changes": changes, "chart": chart}


def _describe(axis: Releases | Commits) -> str:
    question = axis.question
    if isinstance(axis, Commits):
        return f"commits of {question.package} in {axis.source.repository}"
    releases = axis.question.releases
    back = f"back from {releases[-1]}, over up to " if axis.question.open_end else ""
    return f"{back}{len(releases)} releases of {question.package}"


def _expected_probes(axis: Releases | Commits) -> int:
    """Return the largest number of probes of a search, if every candidate is decided; 0 if that is not known."""
    if isinstance(axis, Commits):
        return 0
    question, count = axis.question, len(axis.question.releases)
    if question.scan:
        return count
    ends = 0 if question.assume_ends else 1 if question.open_end else 2
    return ends + (1 + question.open_end) * Search(count).rounds_left(question.jobs) * question.jobs


Begun = tuple[Releases | Commits, Prober, Repository | None]


def _begin(options: argparse.Namespace, cache_dir: CacheDir, report: Reporter) -> Begun:
    """Return what is searched, its prober, and the repository of its commits."""
    require(options, "bisect", "package", "scenario")
    if options.scan and options.confirm > 1:
        raise ConfigError("--confirm repeats the two releases that a search finds; --scan runs every release once")
    source = _read_source(options)
    repository = open_repository(source.repository, cache_dir.repositories) if source is not None else None
    asked = {
        "package": canonicalize_name(options.package),
        "find_fix": options.find_fix,
        "isolation": options.isolation,
        "source": source,
        **read_search_options(options, bound=not options.scan),
    }
    matrix = load_matrix(options.matrix)
    read_scenarios(matrix, (options.scenario,))  # a mistake in it is found before the index is asked
    axis: Releases | Commits
    if options.commits and repository is not None:
        if options.good is None or options.bad is None:
            raise ConfigError("--commits needs both ends: --good and --bad")
        ends = (options.bad, options.good) if options.find_fix else (options.good, options.bad)
        older, newer = find_commits(repository, *ends)
        commits = CommitQuestion(**asked, older=older.sha, newer=newer.sha)
        axis = commits_of_question(commits, reference_cell(matrix, cache_dir), repository)
    else:
        releases = _read_releases(options, matrix, cache_dir, report)
        question = ReleaseQuestion(**asked, scan=options.scan, **releases)
        axis = Releases(question, reference_cell(matrix, cache_dir))

    return axis, begin_search(axis, matrix, cache_dir, options.reports, report), repository


def _read_releases(
    options: argparse.Namespace, matrix: Matrix, cache_dir: CacheDir, report: Reporter
) -> dict[str, object]:
    """Return the releases between the ends as the fields of a question."""
    package = canonicalize_name(options.package)
    listing = list_known_releases(package, cache_dir, matrix.packages)
    found = between(package, listing.releases[package], options.good, options.bad, find_fix=options.find_fix)
    end = "bad" if options.find_fix else "good"
    if found.open_end and options.scan:
        raise ConfigError(f"--scan runs every release between two ends: name the older one with --{end}")
    if found.open_end and options.above is not None and options.above.endswith("x"):
        raise ConfigError(f"--above {options.above} is measured at the good end: name it with --good, or give a size")
    for note in (*listing.warnings, *found.notes):
        report(f"note: {note}")
    return {"releases": found.releases, "open_end": found.open_end}


def _resume(options: argparse.Namespace, cache_dir: CacheDir, report: Reporter) -> Begun:
    """Return what was searched before; ``--into`` and its options may be added now."""
    folder = find_run(options.resume, options.reports)
    search = read_search(folder)
    if search is None or not isinstance(search.question, PackageQuestion):
        raise ConfigError(f"{folder.path.name} is not a bisect")
    source = _read_source(options, search.question.source)
    question = search.question.model_copy(update={"source": source})
    search.model_copy(update={"question": question}).write(folder)
    folder.write_record(folder.read_record().model_copy(update={"command": question.command()}))
    repository = open_repository(source.repository, cache_dir.repositories) if source is not None else None
    if isinstance(question, CommitQuestion) and repository is not None:
        return *resume_commits(folder, repository, cache_dir, report), repository
    return *resume_releases(folder, cache_dir, report), repository


def _read_source(options: argparse.Namespace, kept: CommitSource | None = None) -> CommitSource | None:
    """Return where commits are searched: as asked for now, else as ``kept`` in a run that is resumed."""
    if options.into is None and kept is None:
        if options.tags is not None or options.all_parents or options.commits:
            raise ConfigError("--tags, --all-parents and --commits belong to --into")
        return None

    if options.scan:
        raise ConfigError("--scan reports every change and --into follows one; keep one of the two")
    if options.tags is not None and options.tags.count("{}") != 1:
        raise ConfigError(f"--tags {options.tags} must hold {{}} once, where the version stands")
    if opened_bundle() is not None:
        raise ConfigError("--into builds commits, and a bundle holds only releases")
    if options.into is not None or kept is None:
        return CommitSource(
            repository=options.into,
            tags=options.tags,
            all_parents=options.all_parents,
        )

    changed = {"tags": options.tags or kept.tags, "all_parents": options.all_parents or kept.all_parents}
    return kept.model_copy(update=changed)
