"""What a blame adds to a draft: which upgrades turn green into red, and every environment that was tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.errors import ConfigError
from harness.report.issue.asked import criterion, insist
from harness.report.issue.context import Searched
from harness.report.issue.repository import compare_link
from harness.report.issue.words import counted, listed, older
from harness.report.views import Group, ReportContext
from harness.search.blame_words import heads, sentence
from harness.search.blamed import QUESTION, RESULT, BlameQuestion, BlameResult, read_question, read_result
from harness.search.changes import Change, label
from harness.search.result import Ending
from harness.store.folder import RunFolder

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
