"""The conclusion of a search: its question as a title, its answer in one sentence, and what supports it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.matrix.git import SHORT_SHA
from harness.reporter import listed
from harness.search.criterion import Cause, Evaluation
from harness.search.links import commit_links, github_page
from harness.search.records import (
    BlameQuestion,
    BlameResult,
    CommitQuestion,
    CommitResult,
    Ending,
    FailedEnd,
    OrderedResult,
    PackageQuestion,
    ProbedSet,
    Question,
    ReleaseChange,
    ReleaseQuestion,
    ReleaseResult,
    Result,
    SearchRecord,
)
from harness.verdict.figures import human
from harness.verdict.statistics import unit_of

CANDIDATES_NAMED = 20
FOLLOWERS_NAMED = 5
TURNS = {True: "turns bad", False: "turns good", None: "changes"}


@dataclass(frozen=True)
class Conclusion:
    """What a search came to.

    Attributes:
        title: The question.
        ending: How the search ended, or the search among commits that followed it.
        sentences: The answer. A bisect that continued among commits has two, a scan one for each change.
        details: What supports the answer, or is left of the search: one line each.
    """

    title: str
    ending: Ending
    sentences: tuple[str, ...]
    details: tuple[str, ...] = ()


def conclude(search: SearchRecord) -> Conclusion | None:
    """Return the conclusion of a search; None if it has not ended."""
    results = [one for one in (search.result, search.commits) if one is not None]
    if not results:
        return None
    return Conclusion(
        title=title(search.question),
        ending=results[-1].ending,
        sentences=tuple(line for one in results for line in sentences(search.question, one)),
        details=tuple(line for one in results for line in details(one)),
    )


def title(question: Question) -> str:
    """Return the question as a title."""
    match question:
        case ReleaseQuestion():
            what = "Every" if question.scan else f"First {question.after}"
            named = f"{what} release of {question.package}, {question.releases[0]} … {question.releases[-1]}"
        case CommitQuestion():
            ends = f"{question.older[:SHORT_SHA]} … {question.newer[:SHORT_SHA]}"
            named = f"First {question.after} commit of {question.package}, {ends}"
        case BlameQuestion():
            named = f"Package changes from {question.good} to {question.bad}"

    return f"{named}: {question.scenario}"


def sentences(question: Question, result: Result) -> tuple[str, ...]:
    """Return the answer of a search; that of a scan is a sentence for each change."""
    if isinstance(question, ReleaseQuestion) and isinstance(result, ReleaseResult) and question.scan:
        changes = () if result.ending is Ending.INTERRUPTED else result.changes
        return tuple(change_sentence(question, one) for one in changes) or (sentence(question, result),)
    return (sentence(question, result),)


def sentence(question: Question, result: Result) -> str:
    """Return the answer in one sentence, the same wherever it is shown.

    ======================================== ==========================================================
    interrupted                              the candidates that are left
    an end stopped the search                which end, and what it is instead
    a scan                                   every change
    found                                    the first candidate after the change, the last one before
    not confirmed, or several are left       the candidates that are left, and why
    no older end, no commit on the branch    why the search found none
    ======================================== ==========================================================
    """
    match result.ending:
        case Ending.INTERRUPTED:
            how = "stopped at the deadline" if result.deadline_passed else "interrupted"
            return f"{how}: {_left(question, result)}"
        case _ if isinstance(question, ReleaseQuestion) and question.scan and isinstance(result, ReleaseResult):
            return _scanned(question, result)
        case _ if result.failed_end is not None:
            return _failed_end(question, result, result.failed_end)
        case Ending.FOUND:
            return _set(result) if isinstance(result, BlameResult) else _border(question, result)
        case Ending.NOT_REPRODUCED:
            return f"not reproduced: {result.reason}"
        case Ending.INCONCLUSIVE:
            return f"inconclusive: {_left(question, result)}"


def change_sentence(question: ReleaseQuestion, change: ReleaseChange) -> str:
    """Return a change that a scan found, with the metric on both sides."""
    unit = unit_of(question.metric or "")
    subject = question.metric if change.bad is None else question.package
    text = f"{subject} {TURNS[change.bad]} at {change.after}, {change.before} is the last before"
    if change.between:
        undecided = ", ".join(change.between)
        text = f"{subject} {TURNS[change.bad]} between {change.before} and {change.after} ({undecided} undecided)"
    if change.figures is None:
        return text
    before, after = (human(each, unit) for each in change.figures)
    return f"{text}: {before} → {after}"


def details(result: Result) -> tuple[str, ...]:
    """Return what supports an answer, or is left of a search: one line each."""
    match result:
        case CommitResult(ending=Ending.FOUND):
            found, page = result.commits[result.suspects[0]], github_page(result.address)
            return (f"commit {found.sha}", *(commit_links(page, result.before, found) if page else ()))
        case CommitResult() if len(result.suspects) > 1 and result.failed_end is None:
            named = [f"  {result.commits[sha].summary()}" for sha in result.suspects[:CANDIDATES_NAMED]]
            more = len(result.suspects) - CANDIDATES_NAMED
            return (*named, *([f"  and {more} more"] if more > 0 else []))
        case BlameResult():
            followers = listed(result.followers, FOLLOWERS_NAMED)
            came = [f"with it come and go: {followers}"] if followers else []
            apart = [f"without {name} there is no such environment: {why}" for name, why in result.apart.items()]
            unsure = [f"without {name} it is undecided: {why}" for name, why in result.unsure.items()]
            return (*came, *apart, *unsure)

    return ()


def causes(result: Result) -> frozenset[Cause]:
    """Return why a search has no answer: the causes of the undecided evaluations that it rests on."""
    found: list[Evaluation | ProbedSet] = []
    if result.failed_end is not None:
        found = [result.failed_end.evaluation]
    elif result.unconfirmed is not None:
        found = [result.unconfirmed]
    elif isinstance(result, BlameResult):
        without = [set(result.members) - {name} for name in result.unsure]
        found = [one for one in result.probes if set(one.applied) in without]
    else:
        found = [one for name, one in result.evaluations.items() if name in result.suspects or not result.before]

    return frozenset(one.cause for one in found if one.bad is None and one.cause is not None)


def _sides(question: Question) -> tuple[str, str]:
    return (question.before, question.after) if isinstance(question, PackageQuestion) else ("good", "bad")


def _scanned(question: ReleaseQuestion, result: ReleaseResult) -> str:
    changes = [change_sentence(question, one) for one in result.changes]
    return "; ".join(changes) or f"no change: {result.reason}"


def _failed_end(question: Question, result: Result, end: FailedEnd) -> str:
    """Return which end stopped a search, and what it is instead of what it was said to be."""
    good, bad = _ends(question, result)
    if end.swapped:
        return f"not reproduced: the ends look swapped: {bad or 'the bad one'} is good, {good or 'the good one'} is bad"
    if result.ending is Ending.NOT_REPRODUCED:
        other = f"fails here for another reason than {question.signature}"
        what = other if end.other_failure else "is not bad here"
        return f"not reproduced: {bad or 'the bad end'} {what} ({end.evaluation.reason})"

    name = bad if end.side == "bad" else good
    instead = "is undecided here"
    if end.evaluation.bad:
        instead = "is still bad" if isinstance(question, PackageQuestion) and question.find_fix else "is not good here"
    return f"inconclusive: the {end.side} end{f', {name},' if name else ''} {instead} ({end.evaluation.reason})"


def _ends(question: Question, result: Result) -> tuple[str, str]:
    """Return the names of the good and of the bad end; empty for a blame, whose ends have long ones."""
    if isinstance(result, CommitResult):
        names = [result.short(end) if end in result.commits else end for end in (result.older, result.newer)]
    elif isinstance(result, ReleaseResult) and isinstance(question, ReleaseQuestion):
        names = [result.name(question.releases[0]), result.name(question.releases[-1])]
    else:
        return "", ""

    built = " built from source" if isinstance(result, CommitResult) else ""
    older, newer = (f"{name}{built}" for name in names)
    return (newer, older) if result.find_fix else (older, newer)


def _border(question: Question, result: OrderedResult) -> str:
    first, last = result.suspects[0], result.before
    before, after = _sides(question)
    if first in result.evaluations and result.evaluations[first].bad is None:  # a metric without a bound
        return f"{question.metric} changes from {result.name(last)} to {result.short(first)}"
    answer = f"{result.name(first)} is the first {after} {result.unit}, {result.short(last)} the last {before} one"
    assumed = [result.short(one) for one in (last, first) if one not in result.evaluations]
    was = "was" if len(assumed) == 1 else "were"
    return f"{answer} ({' and '.join(assumed)} {was} assumed, not run)" if assumed else answer


def _left(question: Question, result: Result) -> str:
    """Return the candidates of which one is the answer, or why there are none."""
    if isinstance(result, BlameResult):
        return _changes_left(result)
    before, after = _sides(question)
    if not result.before:
        return f"{result.package}: {result.reason}"
    if not result.suspects:
        return f"no {after} {result.unit} of {result.package} can be named: {result.reason}"
    first = f"the first {after} {result.unit}"
    if result.unconfirmed is not None:
        return f"{result.name(result.suspects[0])} is not confirmed as {first}: {result.reason}"
    known = result.evaluations.get(result.before)
    if not question.assume_ends and (known is None or known.bad is not result.find_fix):
        return result.reason or f"the ends of {result.package} were not probed"
    names = [result.short(one) for one in result.suspects[:CANDIDATES_NAMED]]
    some = f"{', '.join(names)}{' …' if len(result.suspects) > CANDIDATES_NAMED else ''}"
    why = f" ({result.reason})" if result.reason else ""
    return f"{first} of {result.package} is one of {some}; {result.short(result.before)} is {before}{why}"


def _changes_left(result: BlameResult) -> str:
    if result.unsure and not result.reason:
        known = [name for name in result.members if name not in result.unsure]
        part = f"{', '.join(known)} {'is' if len(known) == 1 else 'are'} part of it, and " if known else ""
        return f"{part}it is undecided without {', '.join(result.unsure)}"
    names = ", ".join(result.members)
    return f"{result.reason}; {names} are left" if result.reason else f"{names} are left"


def _set(result: BlameResult) -> str:
    """Return the changes that turn good into bad together, and those that cannot be separated from them."""
    first = result.heads
    words = _join([result.changes[one] for one in first])
    tied = {name: [result.changes[one] for one in others] for name, others in first.items() if others}
    named = {*first, *(one for others in first.values() for one in others)}
    loose = [result.changes[one] for one in result.members if one not in named]
    if len(first) > 1:
        which = "either one" if len(first) == 2 else "any one of them"  # noqa: PLR2004
        parts = [f"{words} are needed together; with {which} removed it is good"]
    else:
        parts = [f"{words} turns good into bad" if tied or loose else f"{words} alone turns good into bad"]

    parts += [f"{_join(others)} cannot be separated from {name}" for name, others in tied.items()]
    parts += [f"{_join(loose)} cannot be removed alone"] if loose else []
    return "; ".join(parts)


def _join(words: Sequence[str]) -> str:
    return " and ".join(([", ".join(words[:-1])] if len(words) > 1 else []) + [words[-1]])
