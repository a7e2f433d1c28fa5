"""The answer of a bisect or blame as evidence in a draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import ConfigError
from harness.report.issue.comparison import NO_OTHER_PACKAGE, other_changes_sentence, other_failure_sentence
from harness.report.issue.model import BlameEvidence, SearchEvidence
from harness.report.issue.wording import older
from harness.report.model import Group, ReportContext
from harness.reporter import counted, listed
from harness.search.blame import set_label
from harness.search.conclusions import sentence
from harness.search.links import commit_links, compare_link, github_page
from harness.search.records import (
    BisectResult,
    BlameQuestion,
    BlameResult,
    CommitResult,
    Ending,
    PackageChange,
    Question,
    ReleaseQuestion,
    SearchRecord,
)
from harness.store.records import AttemptRecord, CellRecord
from harness.store.run_folder import RunFolder

OWN = " The failing cell that is described is the good end with only these."


@dataclass(frozen=True)
class SearchedRun:
    """The run of a search, and the failure of the draft. ``known`` maps packages to repositories."""

    group: Group | None = None
    cells: Sequence[CellRecord] = ()
    attempts: Sequence[AttemptRecord] = ()
    known: Mapping[str, str] | None = None


def read_search_evidence(
    folder: RunFolder, search: SearchRecord, group: Group, known: Mapping[str, str], *, own: bool
) -> SearchEvidence:
    """Return the search of a run folder as evidence about one failure; ``own`` if the draft is about that run.

    Raises:
        ConfigError: The search has not ended, or asked about something else.
    """
    question, result = search.question, search.result
    verb = question.kind.value
    if result is None:
        raise ConfigError(
            f"the {verb} {folder.path.name} has not ended; continue with `harness {verb} --resume {folder.path.name}`"
        )

    require_match(f"the {verb} {folder.path.name}", question, group)
    run = SearchedRun(group, folder.read_record().cells, folder.attempts(), known)
    if isinstance(result, BlameResult) and isinstance(question, BlameQuestion):
        return blame_evidence(question, result, run, own=own)
    if isinstance(result, BlameResult):
        raise ConfigError(f"the {verb} {folder.path.name} has the result of a blame")
    found = bisect_evidence(question, result, run)
    return found if search.commits is None else with_commit_search(found, question, search.commits, run)


def require_match(what: str, question: Question, group: Group) -> None:
    """Refuse a search of another scenario or failure; ``what`` names it (``the bisect 2026…``).

    Raises:
        ConfigError: It asked about something else.
    """
    file, _, test = question.scenario.partition("::")
    stem, function = Path(file).stem, test.split("[", 1)[0]
    shown = (one.split("[", 1)[0].partition("::") for one in group.scenarios)
    if not any(stem == there and function in {"", name} for there, _, name in shown):
        raise ConfigError(f"{what} is about {question.scenario}, where {group.key} does not show in this run")
    if question.signature is not None and question.signature not in {group.key, *group.ids}:
        raise ConfigError(f"{what} looked for {question.signature}, not for {group.key}")


def criterion_text(question: Question) -> str:
    """Return what counted as bad."""
    if question.metric is not None:
        bound = f"{question.factor:g} times the good end's" if question.factor is not None else f"{question.limit}"
        return f"{question.metric} of {question.scenario} above {bound}"
    if question.signature is not None:
        return f"the failure {question.signature} of {question.scenario}"
    return f"any failure of {question.scenario}"


def bisect_evidence(question: Question, result: BisectResult, run: SearchedRun) -> SearchEvidence:
    """Return the evidence of a bisect about a failure."""
    answer, how = sentence(question, result), _method(question, result)
    name = result.name if isinstance(result, CommitResult) else result.short
    found = SearchEvidence(
        f"A bisect of {result.package} gave no answer: {answer} ({how}).",
        package=result.package,
        compare=_compare(result, run.known),
        probed=tuple((name(one), each.word, each.reason) for one, each in result.evaluations.items()),
        unit=result.unit,
    )
    if result.ending is not Ending.FOUND:
        return found
    return _with_answer(replace(found, sentence=f"{answer} ({how})."), result, run)


def with_commit_search(
    found: SearchEvidence, question: Question, commits: CommitResult, run: SearchedRun
) -> SearchEvidence:
    """Return the evidence of a bisect of releases with that of the search among its commits.

    The first bad release stays the culprit; the commit is, if no release was evaluated.
    """
    page = github_page(commits.address)
    compare = f"{page}/compare/{commits.older}...{commits.newer}" if page else found.compare
    found = replace(found, compare=compare)
    answer = sentence(question, commits)
    span = f"between {commits.older} and {commits.newer}, {counted(len(commits.evaluations), 'commit')} run"
    match commits.ending:
        case Ending.FOUND:
            return _with_answer(replace(found, sentence=f"{found.sentence} {answer} ({span})."), commits, run)
        case Ending.INCONCLUSIVE:
            return replace(found, sentence=f"{found.sentence} Its commits gave no answer: {answer} ({span}).")

    return found  # it was interrupted, or the commits of the tags are not what the releases are


def _with_answer(found: SearchEvidence, result: BisectResult, run: SearchedRun) -> SearchEvidence:
    """Add what differs around an answer; name it as the culprit if it is bad, and fails as the draft says."""
    first, group = result.suspects[0], run.group
    name = result.short(first)
    border = other_changes_sentence(result.package, result.short(result.before), name, run.cells)
    otherwise = ""
    if group is not None and not result.find_fix:
        otherwise = other_failure_sentence(result.package, name, run.cells, run.attempts, group)
    links = found.links
    if isinstance(result, CommitResult) and (page := github_page(result.address)):
        commit, _, *pull = commit_links(page, result.before, result.commits[first])
        links = (commit, *pull)
    bad = first in result.evaluations and result.evaluations[first].bad is True
    culprit = bad and not result.find_fix and not otherwise and not found.culprit
    text = f"{found.sentence}{'' if found.culprit else border}{otherwise}"
    found = replace(found, sentence=text, links=links)
    return replace(found, culprit=name, only_difference=border == NO_OTHER_PACKAGE) if culprit else found


def _method(question: Question, result: BisectResult) -> str:
    """Return what was searched, how much of it was run, and what counted as bad."""
    if isinstance(result, CommitResult):
        ends = [result.short(one) if one in result.commits else one for one in (result.older, result.newer)]
        span = f"the commits of {result.package} from {ends[0]} to {ends[1]}"
    else:
        releases = question.releases if isinstance(question, ReleaseQuestion) else tuple(result.evaluations)
        span = f"{counted(len(releases), 'release')} from {releases[0]} to {releases[-1]}"
    return f"bisected over {span}, {len(result.evaluations)} of them run, with {criterion_text(question)} as bad"


def _compare(result: BisectResult, known: Mapping[str, str] | None) -> str:
    if isinstance(result, CommitResult):
        page = github_page(result.address) if result.ending is Ending.FOUND else None
        return commit_links(page, result.before, result.commits[result.suspects[0]])[1] if page else ""
    if not result.suspects or result.ending is Ending.NOT_REPRODUCED:
        return ""
    return compare_link(result.package, result.before, result.suspects[-1], known or {})


def blame_evidence(
    question: BlameQuestion, result: BlameResult, run: SearchedRun, *, own: bool = False
) -> SearchEvidence:
    """Return the evidence of a blame. It proves the set that it names, and no release.

    In a draft about its ``own`` run its cells are compared with each other.
    """
    at = {change.package: number for number, change in enumerate(question.changes)}
    ends = f"{counted(len(question.changes), 'change')} between two environments"
    how = f"{counted(result.ran, 'environment')} run, with {criterion_text(question)} as bad"
    answer = sentence(question, result)
    blame = BlameEvidence(tuple(change.words() for change in question.changes))
    found = SearchEvidence(
        f"A blame over {ends} gave no answer: {answer} ({how}).",
        unit="environment",
        probed=tuple(
            (
                set_label(question.changes, {at[name] for name in one.applied}),
                one.word,
                one.reason if one.cell else f"there is no such environment: {one.reason}",
            )
            for one in result.probes
        ),
        blame=blame,
    )
    if result.ending is not Ending.FOUND:
        return found
    first = [question.changes[at[name]] for name in result.heads]
    links = (_compare_change(question.changes[at[name]], run.known or {}) for name in result.members)
    return replace(
        found,
        sentence=f"Of {ends}, {answer} ({how}).{OWN if own else ''} No single release was searched for.",
        links=tuple(link for link in links if link),
        blame=replace(
            blame,
            regression=_regression(first, tied=any(result.heads.values())),
            where=_and([_named(change) for change in first]),
            fixed=_fixed(result, first),
            pair=_pair(result) if own else None,
        ),
    )


def with_cell_names(report: ReportContext, question: BlameQuestion) -> ReportContext:
    """Name the cells of a blame's own run by the changes that are applied to the good end."""
    ends = {"none": "the good end", f"all {len(question.changes)}": "the bad end"}
    columns = (
        replace(column, name=ends.get(column.labels[0], f"the good end with {column.labels[0].replace(', ', ' + ')}"))
        if column.labels
        else column
        for column in report.columns
    )
    return replace(report, columns=tuple(columns))


def _pair(result: BlameResult) -> tuple[str, str]:
    """Return the cells that the answer compares: all of it applied to the good end, and nothing."""
    found = {frozenset(one.applied): one.cell or "" for one in result.probes}
    return found.get(frozenset(result.members), ""), found.get(frozenset(), "")


def _regression(first: list[PackageChange], *, tied: bool) -> str:
    """Return the regression for the title; empty if a package went back, for that is none."""
    if not all(change.new and (change.old is None or older(change.old.label, change.new.label)) for change in first):
        return ""
    if len(first) > 1:
        return f"with {_and([_named(change) for change in first])} together"
    change = first[0]
    if tied or change.old is None or change.new is None:
        return f"with {_named(change)}"
    return f"between {change.package} {change.old.label} and {change.new.label}"


def _fixed(result: BlameResult, first: list[PackageChange]) -> str:
    """Return a note if a newer release of one package passes; empty if none is known to."""
    single = {group[0] for group in result.proven if len(group) == 1}
    for change in first:
        if change.package in single and change.old and change.new and older(change.new.label, change.old.label):
            newer = f"{change.package} {change.old.label}, which is newer than {change.new.label}"
            return f"It passes in {newer}: it may be fixed already"
    return ""


def _compare_change(change: PackageChange, known: Mapping[str, str]) -> str:
    if change.old is None or change.new is None:
        return ""
    ends = (change.old.label, change.new.label)
    return compare_link(change.package, *(ends if older(*ends) else ends[::-1]), known)


def _named(change: PackageChange) -> str:
    return f"{change.package} {change.new.label}" if change.new else f"no {change.package}"


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, (listed(words[:-1], len(words)), words[-1])))
