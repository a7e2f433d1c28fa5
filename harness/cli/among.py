"""``harness bisect --commits``: the ends are commits, and no release is probed."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable

from rich.console import Console

from harness.cli.answers import CODES
from harness.cli.commits import asked_source, commit_lines, kept_source
from harness.cli.progress import Show
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode
from harness.matrix.paths import short_path
from harness.matrix.schema import load_matrix
from harness.report.write import write_views
from harness.reporter import Reporter
from harness.search.among import Among, ends, start, take_up
from harness.search.descent import CommitResult, read_question
from harness.search.question import Question
from harness.store.runs import find_run

Asked = Callable[[tuple[str, str]], Question]  # the older and the newer commit -> the question


def among_commits(options: argparse.Namespace, cache_dir: CacheDir, asked: Asked) -> Among | None:
    """Return the search among commits alone that is asked for or gone on with; None where releases are searched.

    Raises:
        ConfigError: options are missing or exclude each other, or the repository has no such commit.
        InfrastructureError: the repository does not answer.
    """
    if options.resume:
        folder = find_run(options.resume, options.reports)
        kept = read_question(folder)
        if kept is None or not kept.commits:
            return None
        source = kept_source(options, folder, cache_dir)
        return take_up(folder, source.repository, cache_dir) if source else None
    source = asked_source(options, cache_dir) if options.commits else None
    if source is None:
        return None
    if options.good is None or options.bad is None:
        raise ConfigError("--commits searches from one commit to another: name both, --good and --bad")
    named = (options.bad, options.good) if options.find_fix else (options.good, options.bad)
    older, newer = ends(source.repository, *named)
    into = source.into.model_copy(update={"commits": True})
    question, matrix = asked((older.sha, newer.sha)), load_matrix(options.matrix)
    return start(question, into, source.repository, matrix, cache_dir, options.reports)


def search_among(search: Among, options: argparse.Namespace, console: Console, echo: Reporter) -> ExitCode:
    """Search, saying each step; the last line is the answer or how to go on."""
    asked = search.question
    echo(f"commits of {asked.package} in {search.into.repository}, {asked.scenario} → {short_path(search.folder.path)}")
    with Show(console, 0) as show:
        found = search.run(show, echo)
    views, code = write_views(search.folder), CODES[found.ending]
    command = again(search, found) if found.suspects else ""
    lines = commit_lines(found, command, search.folder)
    if options.json:
        paths = {"run": str(search.folder.path), "html": str(views.html)}
        print(json.dumps({**paths, "exit_code": code, "commits": found.model_dump(), "answer": lines[-1]}, indent=1))
        return code
    for line in (f"HTML  {short_path(views.html)}", *lines):
        echo(line)
    return code


def again(search: Among, found: CommitResult) -> str:
    """Return the command that probes the commits of an answer alone."""
    border = (found.before, found.suspects[-1])
    good, bad = border[::-1] if found.find_fix else border
    return shlex.join((*search.question.command(good, bad), *search.into.words()))
