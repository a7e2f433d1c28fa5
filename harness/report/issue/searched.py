"""What a bisect adds to a draft: its answer, as wide as its evidence and no wider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import ConfigError
from harness.report.issue.asked import criterion, insist
from harness.report.issue.border import ALONE, border_words, otherwise_words
from harness.report.issue.context import Searched
from harness.report.issue.descended import among, descended
from harness.report.issue.repository import compare_link
from harness.report.issue.words import counted, listed
from harness.report.views import Group
from harness.search import question as questions
from harness.search import result as results
from harness.search.descent import RESULT as COMMITS
from harness.search.descent import read_result as read_commits
from harness.search.ends import bad_end_untold, good_end_failed
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.store.folder import RunFolder
from harness.store.records import AttemptRecord, CellRecord


def read_search(folder: RunFolder, group: Group, known: Mapping[str, str]) -> Searched:
    """Read the bisect of a run folder as evidence about one failure.

    Raises:
        ConfigError: the run is no bisect, has not come to an end, or asked about something else.
    """
    asked, result, commits = questions.read(folder), results.read(folder), read_commits(folder)
    insist(f"the bisect {folder.path.name}", asked, group)
    seen = folder.read_record().cells, folder.attempts(), group
    if result is not None:
        told = searched(asked, result, *seen, known)
        return descended(told, commits, *seen) if commits else told
    if commits is None:
        raise ConfigError(f"the bisect {folder.path.name} has no {results.FILE}: it has not come to an end")
    return among(commits, criterion(asked), *seen)


def is_finished(folder: RunFolder) -> bool:
    """Tell whether a run folder is that of a bisect with an answer."""
    ended = ((folder.path / name).is_file() for name in (results.FILE, COMMITS))
    return (folder.path / questions.FILE).is_file() and any(ended)


def searched(  # what was asked, what was found, and what it was found in
    asked: Question,
    result: Result,
    cells: Sequence[CellRecord],
    attempts: Sequence[AttemptRecord],
    group: Group,
    known: Mapping[str, str],
) -> Searched:
    """Return what a bisect says about a failure.

    ``cells`` and ``attempts`` are the bisect's own: they tell what else differs at the border, and whether the release
    found fails in this way.
    """
    package, names = asked.package, ", ".join(result.suspects)
    before, after = ("bad", "good") if result.find_fix else ("good", "bad")
    probed = tuple((release, judged.word, judged.reason) for release, judged in result.releases.items())
    span = f"{counted(len(asked.releases), 'release')} from {asked.releases[0]} to {asked.releases[-1]}"
    how = f"bisected over {span}, {len(probed)} of them run, with {criterion(asked)} as bad"
    compare = compare_link(package, result.before, result.suspects[-1], known) if result.suspects else ""
    match result.ending:
        case Ending.FOUND:
            border = border_words(package, result.before, names, cells)
            otherwise = "" if result.find_fix else otherwise_words(package, names, cells, attempts, group)
            bad = names in result.releases and result.releases[names].bad is True
            culprit = names if bad and not result.find_fix and not otherwise else ""
            sentence = f"{package} {names} is the first {after} release, {result.before} the last {before} one ({how})."
            if asked.metric is not None and not bad and not result.find_fix:  # a scan without a bound judges nothing
                sentence = f"{asked.metric} changes from {package} {result.before} to {names} (over {span})."
            return Searched(sentence + border + otherwise, culprit, package, compare, probed, alone=border == ALONE)
        case Ending.NOT_REPRODUCED:
            sentence = (
                f"A bisect of {package} did not reproduce it at {asked.bad}: {result.reason or 'no reason given'}."
            )
            return Searched(sentence, package=package, probed=probed)
        case Ending.INCONCLUSIVE | Ending.INTERRUPTED:
            sentence = _unfinished(asked, result, how)
            return Searched(sentence, package=package, compare=compare, probed=probed)


def _unfinished(asked: Question, result: Result, how: str) -> str:
    """Say how far a bisect came that has no answer; of an end that stopped it no more than what it gave."""
    package, why = asked.package, f" ({result.reason})" if result.reason else ""
    before, after = ("bad", "good") if result.find_fix else ("good", "bad")
    if result.ending is Ending.INCONCLUSIVE and bad_end_untold(asked, result):
        return f"A bisect of {package} came to no answer: its bad end, {asked.bad}, cannot be judged{why}."
    if result.ending is Ending.INCONCLUSIVE and good_end_failed(asked, result):
        what = "is not good" if result.releases[asked.good].bad else "cannot be judged"
        return f"A bisect of {package} came to no answer: its good end, {asked.good}, {what}{why}."
    state = "did not come to one release" if result.ending is Ending.INCONCLUSIVE else "was interrupted"
    first = result.releases.get(result.before)
    if not result.before or (first is None and not asked.assume_ends) or (first and first.bad is not result.find_fix):
        return f"A bisect of {package} {state}{why} ({how})."
    return (
        f"A bisect of {package} {state}{why}: {result.before} is {before}, and the first {after} release is one of"
        f" {listed(result.suspects, 8)} ({how})."
    )
