"""What a bisect adds to a draft: its answer, as wide as its evidence and no wider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import ConfigError
from harness.matrix.git import SHORT_SHA
from harness.report.issue.comparison import ALONE, border_words, otherwise_words
from harness.report.issue.model import Searched
from harness.report.issue.repository import compare_link
from harness.report.issue.wording import counted, listed, older
from harness.report.model import Group, ReportContext
from harness.search import question as questions
from harness.search import result as results
from harness.search.blame_words import heads, sentence
from harness.search.blamed import QUESTION, RESULT, BlameQuestion, BlameResult, read_question, read_result
from harness.search.changes import Change, label
from harness.search.commits import links, on_github
from harness.search.descent import RESULT as COMMITS
from harness.search.descent import CommitResult
from harness.search.descent import read_result as read_commits
from harness.search.ends import bad_end_untold, commit_ends_failed, good_end_failed
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.store.records import AttemptRecord, CellRecord
from harness.store.run_folder import RunFolder


def among(
    found: CommitResult,
    criterion: str,
    cells: Sequence[CellRecord] = (),
    attempts: Sequence[AttemptRecord] = (),
    group: Group | None = None,
) -> Searched:
    """Return what a search says whose ends are commits; ``criterion`` is what counted as bad, in words.

    ``cells`` and ``attempts`` are the search's own, and tell of a commit what they tell of a release; without the
    ``group`` that a draft is about nobody asks whether the commit found fails in that way.
    """
    package, names = found.package, {sha: one.summary() for sha, one in found.commits.items()}
    probed = tuple((names[sha], one.word, one.reason) for sha, one in found.judged.items())
    before, after = ("bad", "good") if found.find_fix else ("good", "bad")
    ends = f"{found.older[:SHORT_SHA]} to {found.newer[:SHORT_SHA]}"
    how = f"searched from {ends}, {counted(len(probed), 'commit')} run, with {criterion} as bad"
    last = f"{names[found.before]} {'the last ' if found.ending is Ending.FOUND else 'is '}{before}"
    if found.ending is Ending.FOUND:
        one, page = found.commits[found.suspects[0]], on_github(found.address)
        commit, compare, *pull = links(page, found.before, one) if page else ("", "")
        said = f"{one.summary()} is the first {after} commit of {package}, {last} one ({how})."
        told = Searched(said, package=package, compare=compare, probed=probed, unit="commit")
        told = replace(told, links=(commit, *pull) if page else ())
        border = border_words(package, found.commits[found.before].short, one.short, cells)
        return _charged(replace(told, sentence=said + border), found, border, cells, attempts, group)
    said = f"A search among the commits of {package}"
    if found.ending is Ending.NOT_REPRODUCED:
        return Searched(f"{said} did not reproduce it: {found.reason}.", package=package, probed=probed, unit="commit")
    if found.ending is Ending.INCONCLUSIVE and commit_ends_failed(found):
        return Searched(f"{said} came to no answer: {found.reason}.", package=package, probed=probed, unit="commit")
    state = "was interrupted" if found.ending is Ending.INTERRUPTED else "did not come to one"
    why = f" ({found.reason})" if found.reason else ""
    left = listed([found.commits[sha].short for sha in found.suspects])
    said += f" {state}{why}: {last}, and the first {after} one is one of {left} ({how})."
    return Searched(said, package=package, probed=probed, unit="commit")


def _charged(
    told: Searched,
    found: CommitResult,
    border: str,
    cells: Sequence[CellRecord],
    attempts: Sequence[AttemptRecord],
    group: Group | None,
) -> Searched:
    """Name the commit found as the culprit, if it was judged bad and fails as the draft says."""
    one = found.commits[found.suspects[0]]
    otherwise = ""
    if group is not None and not found.find_fix:
        otherwise = otherwise_words(found.package, one.short, cells, attempts, group)
    told = replace(told, sentence=told.sentence + otherwise)
    bad = one.sha in found.judged and found.judged[one.sha].bad is True
    if told.culprit or not bad or otherwise or found.find_fix:
        return told
    return replace(told, culprit=one.short, alone=border == ALONE)


def descended(
    told: Searched,
    found: CommitResult,
    cells: Sequence[CellRecord] = (),
    attempts: Sequence[AttemptRecord] = (),
    group: Group | None = None,
) -> Searched:
    """Return what a bisect says together with what its search among commits says.

    The first bad release stays what the draft is named by; the commit is, where no release was judged.
    """
    home = on_github(found.address) or ""
    told = replace(told, compare=f"{home}/compare/{found.older}...{found.newer}" if home else told.compare)
    suspects = [found.commits[sha] for sha in found.suspects]
    before, after = ("bad", "good") if found.find_fix else ("good", "bad")
    span = f"between {found.older} and {found.newer}, {counted(len(found.judged), 'commit')} run"
    if found.ending is Ending.FOUND and len(suspects) == 1:
        one = suspects[0]
        said = f" Of its commits {one.summary()} is the first {after} one ({span})."
        links = (f"{home}/commit/{one.sha}", *([f"{home}/pull/{one.pull}"] if one.pull is not None else []))
        told = replace(told, sentence=told.sentence + said, links=links if home else ())
        border = border_words(found.package, found.commits[found.before].short, one.short, cells)
        return _charged(told, found, border, cells, attempts, group)
    if found.ending is Ending.INCONCLUSIVE and commit_ends_failed(found):
        return replace(told, sentence=f"{told.sentence} Its commits gave no answer: {found.reason}.")
    if found.ending is Ending.INCONCLUSIVE:
        left = listed([each.short for each in suspects])
        why = f": {found.reason}" if found.reason else ""
        first = found.commits[found.before].short
        said = f" Of its commits {first} is {before}, and the first {after} one is one of {left} ({span}{why})."
        return replace(told, sentence=told.sentence + said)
    return told  # it was interrupted, or what its tags are built to is not what their releases are


def insist(what: str, asked: Question | BlameQuestion, group: Group) -> None:
    """Refuse a search of another scenario or of another failure; ``what`` names it (``the bisect 2026…``).

    Raises:
        ConfigError: it asked about something else.
    """
    file, _, test = asked.scenario.partition("::")
    stem, function = Path(file).stem, test.split("[", 1)[0]
    shown = (one.split("[", 1)[0].partition("::") for one in group.scenarios)
    if not any(stem == there and function in {"", name} for there, _, name in shown):
        raise ConfigError(f"{what} is about {asked.scenario}, where {group.key} does not show in this run")
    if asked.signature is not None and asked.signature not in {group.key, *group.ids}:
        raise ConfigError(f"{what} looked for {asked.signature}, not for {group.key}")


def criterion(asked: Question | BlameQuestion) -> str:
    """Say what counted as bad."""
    if asked.metric is not None:
        bound = f"{asked.factor:g} times the good end's" if asked.factor is not None else f"{asked.limit}"
        return f"{asked.metric} of {asked.scenario} above {bound}"
    if asked.signature is not None:
        return f"the failure {asked.signature} of {asked.scenario}"
    return f"any failure of {asked.scenario}"


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


OWN = " The red cell that is described is the good end with these alone."


def is_blame(folder: RunFolder) -> bool:
    """Tell whether a run folder is that of a blame."""
    return (folder.path / QUESTION).is_file()


def read_blame(folder: RunFolder, group: Group, known: Mapping[str, str], *, own: bool) -> Searched:
    """Read the blame of a run folder as evidence about one failure; ``own``: the draft is about that very run.

    Raises:
        ConfigError: it has not come to an end, or asked about something else.
    """
    asked, result, name = read_question(folder), read_result(folder), folder.path.name
    if result is None:
        raise ConfigError(
            f"the blame {name} has no {RESULT}: it has not come to an end; harness blame --resume {name} goes on"
        )
    insist(f"the blame {name}", asked, group)
    return blamed(asked, result, known, own=own)


def blamed(asked: BlameQuestion, result: BlameResult, known: Mapping[str, str], *, own: bool = False) -> Searched:
    """Return what a blame says, no wider than what it ran: it proves the set that it names, and no release.

    In a draft about its ``own`` run its cells are there to be set against each other.
    """
    at = {change.package: number for number, change in enumerate(asked.changes)}
    ends = f"{counted(len(asked.changes), 'change')} between two environments"
    how = f"{counted(result.ran, 'environment')} run, with {criterion(asked)} as bad"
    told = Searched(
        f"A blame over {ends} came to no answer: {sentence(result)} ({how}).",
        kind="blame",
        changes=tuple(change.words() for change in asked.changes),
        probed=tuple(
            (
                label(asked.changes, {at[name] for name in one.applied}),
                one.word,
                one.reason if one.cell else f"there is no such environment: {one.reason}",
            )
            for one in result.probes
        ),
    )
    if result.ending is not Ending.FOUND:
        return told
    first = [asked.changes[at[name]] for name in heads(result)]
    links = (_compare(asked.changes[at[name]], known) for name in result.members)
    return replace(
        told,
        sentence=f"Of {ends}, {sentence(result)} ({how}).{OWN if own else ''} No single release was searched for.",
        regression=_regression(first, tied=any(heads(result).values())),
        where=_and([_named(change) for change in first]),
        gone=_gone(result, first),
        settled=own,
        pair=_pair(result) if own else ("", ""),
        links=tuple(link for link in links if link),
    )


def renamed(report: ReportContext, asked: BlameQuestion) -> ReportContext:
    """Name the cells of a blame's own run by what is applied to the good end, and not by what is left of it."""
    ends = {"none": "the good end", f"all {len(asked.changes)}": "the bad end"}
    columns = (
        replace(column, name=ends.get(column.labels[0], f"the good end with {column.labels[0].replace(', ', ' + ')}"))
        if column.labels
        else column
        for column in report.columns
    )
    return replace(report, columns=tuple(columns))


def _pair(result: BlameResult) -> tuple[str, str]:
    """Return the cells that the answer sets against each other: all of it applied to the good end, and nothing."""
    found = {frozenset(one.applied): one.cell or "" for one in result.probes}
    return found.get(frozenset(result.members), ""), found.get(frozenset(), "")


def _regression(first: list[Change], *, tied: bool) -> str:
    """Say for the title between what it turned red; empty where a package went back, for that is no regression."""
    if not all(change.new and (change.old is None or older(change.old.label, change.new.label)) for change in first):
        return ""
    if len(first) > 1:
        return f"with {_and([_named(change) for change in first])} together"
    change = first[0]
    if tied or change.old is None or change.new is None:
        return f"with {_named(change)}"
    return f"between {change.package} {change.old.label} and {change.new.label}"


def _gone(result: BlameResult, first: list[Change]) -> str:
    """Say that it is green with a newer release of one package alone; empty where that was not seen."""
    alone = {group[0] for group in result.proven if len(group) == 1}
    for change in first:
        if change.package in alone and change.old and change.new and older(change.new.label, change.old.label):
            newer = f"{change.package} {change.old.label}, which is newer than {change.new.label}"
            return f"It passes in {newer}: it may be mended, and nothing left to post"
    return ""


def _compare(change: Change, known: Mapping[str, str]) -> str:
    if change.old is None or change.new is None:
        return ""
    ends = (change.old.label, change.new.label)
    return compare_link(change.package, *(ends if older(*ends) else ends[::-1]), known)


def _named(change: Change) -> str:
    return f"{change.package} {change.new.label}" if change.new else f"no {change.package}"


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, (listed(words[:-1], len(words)), words[-1])))
