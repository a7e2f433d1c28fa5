"""What a bisect says last: what to do next, and the answer in one line."""

from __future__ import annotations

import shlex
from dataclasses import replace

from harness.envs.cache_dir import CacheDir
from harness.errors import ExitCode, HarnessError
from harness.matrix.paths import short_path
from harness.report.charts import change_sentence
from harness.report.issue.repository import compare_link, repositories, repository_of
from harness.search.ends import bad_end_untold, good_end_failed
from harness.search.hints import Facts, hints
from harness.search.narrowing import Bisect
from harness.search.question import Question
from harness.search.releases import list_known_releases
from harness.search.result import Ending, Result
from harness.search.reuse import from_earlier
from harness.search.scan import Scan

CODES = {
    Ending.FOUND: ExitCode.COMPLETE,
    Ending.NOT_REPRODUCED: ExitCode.REGRESSION,
    Ending.INCONCLUSIVE: ExitCode.INCOMPLETE,
    Ending.INTERRUPTED: ExitCode.INTERRUPTED,
}


def closing_lines(search: Bisect, result: Result, cache_dir: CacheDir, *, into: bool = False) -> list[str]:
    """Return how much earlier runs answered, how to see the answer again, and what to do next.

    ``into`` says that the search went on to commits, so that nobody need be told how to.
    """
    taken, made = from_earlier(search.folder.attempts())
    lines = [f"{taken} of {made} results taken from earlier runs"] if taken else []
    if result.ending is Ending.FOUND and not search.question.scan:
        lines.append(f"to see it again: {shlex.join((*_again(search, result), *(['--no-reuse'] if taken else [])))}")
    known = facts(search, result, cache_dir)
    lines += hints(search.question, result, replace(known, repository="") if into else known)
    return lines


def facts(search: Bisect, result: Result, cache_dir: CacheDir) -> Facts:
    """Gather what a hint may name."""
    asked, run = search.question, search.folder.read_record()
    cells = {cell.id: cell for cell in run.cells}
    border = [one for one in (result.before, *result.suspects) if one and len(result.suspects) == 1]
    known = repositories(run.matrix.get("repositories", {}))
    found = Facts(
        run=run,
        place=short_path(search.folder.path),
        cell=cells.get(search.seen.cell(asked.bad).id),
        attempts=search.folder.attempts(),
        border={one: cells[cell] for one in border if (cell := search.seen.cell(one).id) in cells},
    )
    if result.ending is Ending.FOUND:
        link = compare_link(asked.package, result.before, result.suspects[0], known)
        name = repository_of(asked.package, known)
        return replace(found, compare=link, repository=f"https://github.com/{name}" if name else "")
    return replace(found, known=_final(asked.package, cache_dir))


def answer_lines(search: Bisect, result: Result, scan: Scan | None = None) -> list[str]:
    """Return what is said last; the answer, or the command that goes on, is the last line."""
    asked, package = search.question, search.question.package
    before, after = ("bad", "good") if asked.find_fix else ("good", "bad")
    names = ", ".join(result.suspects)
    if result.ending is Ending.INTERRUPTED:
        return [f"interrupted; to go on: harness bisect --resume {shlex.quote(short_path(search.folder.path))}"]
    if scan is not None:
        return [change_sentence(scan, one) for one in scan.changes] or [f"no change: {result.reason}"]
    match result.ending:
        case Ending.FOUND:
            said = f"{package} {names} is the first {after} release, {result.before} the last {before} one"
            said += _assumed(result)
        case Ending.NOT_REPRODUCED:
            said = f"not reproduced: {package} {asked.bad} {_unlike(asked, result)} ({result.reason})"
        case Ending.INCONCLUSIVE if bad_end_untold(asked, result):
            said = f"inconclusive: the bad end, {package} {asked.bad}, cannot be judged here ({result.reason})"
        case Ending.INCONCLUSIVE if not result.before:
            said = f"inconclusive: {package}: {result.reason}"
        case Ending.INCONCLUSIVE if good_end_failed(asked, result):
            said = f"inconclusive: the good end, {package} {asked.good}, {_not_good(asked, result)} ({result.reason})"
        case Ending.INCONCLUSIVE if result.reason:
            said = f"inconclusive, one of {names} is the first {after} release: {package} {result.reason}"
        case _:
            said = f"inconclusive: the first {after} {package} is one of {names}; {result.before} is {before}"
    return [said]


def _assumed(result: Result) -> str:
    """Say which of the two at the border nobody ran."""
    found = [one for one in (result.before, *result.suspects) if one not in result.releases]
    return f" ({' and '.join(found)} {'was' if len(found) == 1 else 'were'} assumed, not run)" if found else ""


def _not_good(asked: Question, result: Result) -> str:
    if not result.releases[asked.good].bad:
        return "cannot be judged here"
    return "is still bad" if asked.find_fix else "is not good here"


def _unlike(asked: Question, result: Result) -> str:
    """Say what a bad end is instead of bad."""
    otherwise = result.releases[asked.bad].bad is None
    return f"is red here for another reason than {asked.signature}" if otherwise else "is not bad here"


def _again(search: Bisect, result: Result) -> tuple[str, ...]:
    after = result.suspects[0]
    return search.question.command(*((after, result.before) if search.question.find_fix else (result.before, after)))


def _final(package: str, cache_dir: CacheDir) -> tuple[str, ...]:
    """Return every final release of a package; none where nobody answers, for a hint is no reason to fail."""
    try:
        listed = list_known_releases(package, cache_dir).releases[package]
    except HarnessError:
        return ()
    return tuple(str(one.version) for one in listed if one.yanked is None and not one.version.is_prerelease)
