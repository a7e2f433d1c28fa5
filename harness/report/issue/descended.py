"""What a search among commits adds to a bisect's answer: the commit, its pull request, the page of all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.report.issue.border import ALONE, border_words, otherwise_words
from harness.report.issue.context import Searched
from harness.report.issue.words import counted, listed
from harness.report.views import Group
from harness.search.commits import SHORT, links, on_github
from harness.search.descent import CommitResult
from harness.search.ends import commit_ends_failed
from harness.search.result import Ending
from harness.store.records import AttemptRecord, CellRecord


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
    package, names = found.package, {sha: one.words() for sha, one in found.commits.items()}
    probed = tuple((names[sha], one.word, one.reason) for sha, one in found.judged.items())
    before, after = ("bad", "good") if found.find_fix else ("good", "bad")
    ends = f"{found.older[:SHORT]} to {found.newer[:SHORT]}"
    how = f"searched from {ends}, {counted(len(probed), 'commit')} run, with {criterion} as bad"
    last = f"{names[found.before]} {'the last ' if found.ending is Ending.FOUND else 'is '}{before}"
    if found.ending is Ending.FOUND:
        one, page = found.commits[found.suspects[0]], on_github(found.address)
        commit, compare, *pull = links(page, found.before, one) if page else ("", "")
        said = f"{one.words()} is the first {after} commit of {package}, {last} one ({how})."
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
        said = f" Of its commits {one.words()} is the first {after} one ({span})."
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
