"""What the searching verbs print: the lines of a search, and at its end what to do next and the answer."""

from __future__ import annotations

import shlex

from harness.envs.cache_dir import CacheDir
from harness.errors import HarnessError
from harness.matrix.paths import short_path
from harness.search.advice import Facts, advice, repeat_command
from harness.search.conclusions import details, sentences
from harness.search.records import Ending, ReleaseQuestion, SearchRecord
from harness.search.releases import list_known_releases
from harness.search.reuse import from_earlier
from harness.store.run_folder import RunFolder


def resume_command(verb: str, folder: RunFolder, *flags: str) -> str:
    """Return the command that continues a search."""
    return shlex.join(("harness", verb, "--resume", short_path(folder.path), *flags))


def closing_lines(search: SearchRecord, folder: RunFolder, cache_dir: CacheDir) -> list[str]:
    """Return what is printed before the answer: reused results, how to repeat the search, details and advice."""
    attempts = folder.attempts()
    taken, made = from_earlier(attempts)
    lines = [f"{taken} of {made} attempts taken from earlier runs"] if taken else []
    if repeat := repeat_command(search):
        lines.append(f"to repeat: {shlex.join((*repeat, *(['--no-reuse'] if taken else [])))}")
    results = [one for one in (search.result, search.commits) if one is not None]
    lines += [line for one in results for line in details(one)]
    found = [one for one in results if one.ending is Ending.FOUND][-1:]
    open_ = [one for one in results[-1:] if one.ending is not Ending.FOUND]
    known = _final_releases(search.question, cache_dir) if open_ else ()
    facts = Facts(folder.read_record(), attempts, short_path(folder.path), known)
    return lines + [line for one in (*found, *open_) for line in advice(search.question, one, facts)]


def answer_lines(search: SearchRecord, resume: str) -> list[str]:
    """Return the answer, or as the last line the command ``resume`` that continues an interrupted search."""
    results = [one for one in (search.result, search.commits) if one is not None]
    ended = [one for one in results if one.ending is not Ending.INTERRUPTED]
    lines = [line for one in ended for line in sentences(search.question, one)]
    return lines if len(ended) == len(results) else [*lines, f"interrupted; continue with: {resume}"]


def _final_releases(question: object, cache_dir: CacheDir) -> tuple[str, ...]:
    """Return every final release of a bisected package; none if the index does not answer: advice must not fail."""
    if not isinstance(question, ReleaseQuestion):
        return ()
    try:
        listed = list_known_releases(question.package, cache_dir).releases[question.package]
    except HarnessError:
        return ()
    return tuple(str(one.version) for one in listed if one.is_final)
