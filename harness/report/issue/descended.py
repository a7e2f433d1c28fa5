"""What a search among commits adds to a bisect's answer: the commit, its pull request, the page of all. Pure."""

from __future__ import annotations

from dataclasses import replace

from harness.report.issue.context import Searched
from harness.report.issue.repository import GITHUB
from harness.report.issue.words import counted, listed
from harness.search.commits import SHORT, links, on_github
from harness.search.descent import CommitResult
from harness.search.ends import commit_ends_failed
from harness.search.result import Ending

WORDS = {True: "bad", False: "good", None: "cannot tell"}


def among(found: CommitResult, criterion: str) -> Searched:
    """Return what a search says whose ends are commits; ``criterion`` is what counted as bad, in words."""
    package, names = found.package, {sha: one.words() for sha, one in found.commits.items()}
    probed = tuple((names[sha], WORDS[one.bad], one.reason) for sha, one in found.judged.items())
    before, after = ("bad", "good") if found.find_fix else ("good", "bad")
    ends = f"{found.older[:SHORT]} to {found.newer[:SHORT]}"
    how = f"searched from {ends}, {counted(len(probed), 'commit')} run, with {criterion} as bad"
    last = f"{names[found.before]} {'the last ' if found.ending is Ending.FOUND else 'is '}{before}"
    if found.ending is Ending.FOUND:
        one, page = found.commits[found.suspects[0]], on_github(found.address)
        commit, compare, *pull = links(page, found.before, one) if page else ("", "")
        said = f"{one.words()} is the first {after} commit of {package}, {last} one ({how})."
        return Searched(said, package=package, compare=compare, probed=probed, links=(commit, *pull) if page else ())
    said = f"A search among the commits of {package}"
    if found.ending is Ending.NOT_REPRODUCED:
        return Searched(f"{said} did not reproduce it: {found.reason}.", package=package, probed=probed)
    if found.ending is Ending.INCONCLUSIVE and commit_ends_failed(found):
        return Searched(f"{said} came to no answer: {found.reason}.", package=package, probed=probed)
    state = "was interrupted" if found.ending is Ending.INTERRUPTED else "did not come to one"
    why = f" ({found.reason})" if found.reason else ""
    left = listed([found.commits[sha].short for sha in found.suspects])
    said += f" {state}{why}: {last}, and the first {after} one is one of {left} ({how})."
    return Searched(said, package=package, probed=probed)


def descended(told: Searched, found: CommitResult) -> Searched:
    """Return what a bisect says together with what its search among commits says."""
    known = GITHUB.match(found.address)
    home = f"https://github.com/{known[1]}" if known else ""
    told = replace(told, compare=f"{home}/compare/{found.older}...{found.newer}" if home else told.compare)
    suspects = [found.commits[sha] for sha in found.suspects]
    before, after = ("bad", "good") if found.find_fix else ("good", "bad")
    span = f"between {found.older} and {found.newer}, {counted(len(found.judged), 'commit')} run"
    if found.ending is Ending.FOUND and len(suspects) == 1:
        one = suspects[0]
        said = f" Of its commits {one.words()} is the first {after} one ({span})."
        links = (f"{home}/commit/{one.sha}", *([f"{home}/pull/{one.pull}"] if one.pull is not None else []))
        return replace(told, sentence=told.sentence + said, links=links if home else ())
    if found.ending is Ending.INCONCLUSIVE and commit_ends_failed(found):
        return replace(told, sentence=f"{told.sentence} Its commits gave no answer: {found.reason}.")
    if found.ending is Ending.INCONCLUSIVE:
        left = listed([each.short for each in suspects])
        why = f": {found.reason}" if found.reason else ""
        first = found.commits[found.before].short
        said = f" Of its commits {first} is {before}, and the first {after} one is one of {left} ({span}{why})."
        return replace(told, sentence=told.sentence + said)
    return told  # it was interrupted, or what its tags are built to is not what their releases are
