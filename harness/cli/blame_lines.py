"""What a blame says last, and the bisects inside its answer."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass

from harness.cli.progress import Show
from harness.matrix.paths import short_path
from harness.report.write import write_views
from harness.reporter import Reporter
from harness.search.blame import Blame
from harness.search.blame_words import advice, heads, script, sentence, why
from harness.search.blamed import BlameResult
from harness.search.result import Ending, Result
from harness.search.reuse import from_earlier
from harness.search.within import searches


@dataclass(frozen=True)
class Inside:
    """What the bisects inside an answer said, one line each."""

    lines: tuple[str, ...] = ()
    interrupted: bool = False


def go_inside(search: Blame, result: BlameResult, show: Show, echo: Reporter) -> Inside:
    """Bisect each package that was found."""
    lines: list[str] = []
    for change, found in searches(search, result):
        if isinstance(found, str):
            lines.append(f"inside {change.package}: {found}")
            continue
        echo(f"inside {change.words()}, the others as at the bad end → {short_path(found.folder.path)}")
        ended = found.run(show, echo)
        write_views(found.folder)
        lines.append(f"inside {change.package}: {_bisected(ended)} ({short_path(found.folder.path)})")
        if ended.ending is Ending.INTERRUPTED:
            return Inside(tuple(lines), interrupted=True)
    return Inside(tuple(lines))


def _bisected(result: Result) -> str:
    names = ", ".join(result.suspects)
    if result.ending is Ending.FOUND:
        before, after = ("bad", "good") if result.find_fix else ("good", "bad")
        return f"{names} is the first {after} release, {result.before} the last {before} one"
    return f"{result.ending}, left are {names}{f' ({result.reason})' if result.reason else ''}"


def next_lines(search: Blame, result: BlameResult, options: argparse.Namespace) -> tuple[str, ...]:
    """Say why, and what to do next."""
    folder = search.prober.folder
    lines = (*why(result), *advice(search.question, result, folder.read_record().host))
    if result.ending is not Ending.FOUND:
        return lines
    names = ", ".join(heads(result))
    more = () if options.bisect else (f"to go on inside {names}: {resume_command(search, options)} --bisect",)
    return (*lines, *script(result, folder.attempts(), short_path(folder.path)), *more)


def last_lines(search: Blame, result: BlameResult, options: argparse.Namespace, inside: Inside) -> tuple[str, ...]:
    """Return the answer, or as the very last line how to go on."""
    taken, made = from_earlier(search.prober.folder.attempts())
    earlier = f", {taken} of {made} results from earlier runs" if taken else ""
    said = (f"{result.ran} environments were probed{earlier}", sentence(result))
    going_on = f"interrupted; to go on: {resume_command(search, options)}"
    if result.ending is Ending.INTERRUPTED:
        return (going_on,)
    return (*said, going_on) if inside.interrupted else said


def resume_command(search: Blame, options: argparse.Namespace) -> str:
    """Return the command that goes on."""
    bisect = " --bisect" if options.bisect else ""
    return f"harness blame --resume {shlex.quote(short_path(search.prober.folder.path))}{bisect}"
