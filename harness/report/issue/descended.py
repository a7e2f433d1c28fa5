"""What a search among commits adds to a bisect's answer: the commit, its pull request, the page of all. Pure."""

from __future__ import annotations

from dataclasses import replace

from harness.report.issue.context import Searched
from harness.report.issue.repository import GITHUB
from harness.report.issue.words import counted, listed
from harness.search.descent import CommitResult
from harness.search.result import Ending


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
    if found.ending is Ending.INCONCLUSIVE:
        left = listed([each.short for each in suspects])
        why = f": {found.reason}" if found.reason else ""
        first = found.commits[found.before].short
        said = f" Of its commits {first} is {before}, and the first {after} one is one of {left} ({span}{why})."
        return replace(told, sentence=told.sentence + said)
    return told  # it was interrupted, or what its tags are built to is not what their releases are
