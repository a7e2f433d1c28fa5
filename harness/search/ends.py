"""Whether the two ends of a search are what they were said to be, and how it ends where one is not: pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.search.criterion import Criterion, Evaluation
from harness.search.descent import CommitResult
from harness.search.question import Question
from harness.search.result import Ending, Result


@dataclass(frozen=True)
class Stop:
    """How a search ends at one of its ends: whether that is the bad one, and what it answered."""

    ending: Ending
    at_bad: bool
    end: Evaluation


def stopped(asked: Criterion, bad: Evaluation | None, good: Evaluation | None, *, otherwise: bool) -> Stop | None:
    """Return how a search ends at its ends; None where it goes on.

    ==================================================== ==============
    the bad end is judged, and is not bad                not reproduced
    the bad end fails, in another way than was asked for not reproduced
    the bad end cannot be judged                         inconclusive
    the good end is bad, or cannot be judged             inconclusive
    ==================================================== ==============

    Where the bound is a multiple of the good end's figure, an unjudged good end is why the bad one is not judged
    either, so that its own reason is told.

    Args:
        asked: what counts as bad.
        bad: what the bad end answered; None where it was not run.
        good: what the good end answered; None where it was not run.
        otherwise: the bad end failed in another way than the one that was asked for.
    """
    ungauged = asked.factor is not None and good is not None and good.bad is None
    if bad is not None and bad.bad is not True and not (bad.bad is None and ungauged):
        known = bad.bad is False or otherwise
        return Stop(Ending.NOT_REPRODUCED if known else Ending.INCONCLUSIVE, at_bad=True, end=bad)
    if good is not None and good.bad is not False:
        return Stop(Ending.INCONCLUSIVE, at_bad=False, end=good)
    return None


def bad_end_untold(asked: Question, result: Result) -> bool:
    """Tell whether a search stopped because nobody can judge its bad end here."""
    end = None if asked.assume_ends or asked.scan else result.releases.get(asked.bad)
    return end is not None and end.bad is None and result.reason == end.reason


def good_end_failed(asked: Question, result: Result) -> bool:
    """Tell whether a search stopped because its good end is not good here, or cannot be judged."""
    end = None if asked.assume_ends else result.releases.get(asked.good)
    if end is None or end.bad is False:
        return False
    return bool(result.reason) if asked.scan else result.reason == end.reason


def commit_ends_failed(found: CommitResult) -> bool:
    """Tell whether a commit at the border is not what it has to be, so that nothing is known of those between.

    Where a branch left the row before the change, no commit of the row is suspected at all.
    """
    if not found.suspects:
        return True
    border = ((found.before, found.find_fix), (found.suspects[-1], not found.find_fix))
    return any(sha in found.judged and found.judged[sha].bad is not bad for sha, bad in border)
