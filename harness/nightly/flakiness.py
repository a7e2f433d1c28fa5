"""How often a place is red by itself, and how many reds in a row are more than that: pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.nightly.ledger import AnswerLog

CHANCE = 0.001  # reds in a row that a place shows by itself less often than this are no flake
LEAST, MOST, MOST_FLAKY = 2, 6, 14  # attempts of a new red; a place that is known to be flaky needs more


@dataclass(frozen=True)
class Rate:
    """Reds among the attempts of a place, as far as they can be its own: ``red`` of ``all``.

    Answers under one lock and source that disagree are a flake's. Reds under a lock that showed nothing else are the
    release's and do not count; greens always do.
    """

    red: int
    all: int

    @property
    def flaky(self) -> bool:
        """Tell whether the place has ever disagreed with itself."""
        return self.red > 0

    def chance(self, reds: int) -> float:
        """Return how likely so many reds in a row are by themselves.

        A place that never disagreed is taken to be red with the chance of the rule of succession, 1 in ``all`` + 2. Of
        one that did, every chance that its history allows is weighed (uniform prior): a few reds in a short history do
        not say how flaky it is.
        """
        if not self.flaky:
            return (1 / (self.all + 2)) ** reds
        return math.prod((self.red + 1 + each) / (self.all + 2 + each) for each in range(reds))

    def __str__(self) -> str:
        """Write it as people say it."""
        return f"red in {self.red} of {self.all} attempts"


def rate(tallies: Sequence[AnswerLog]) -> Rate:
    """Count the answers of a place by lock and source."""
    answers: dict[str, str] = {}
    for one in tallies:
        answers[one.key] = answers.get(one.key, "") + one.answers
    mixed = [text for text in answers.values() if "G" in text]
    return Rate(sum(text.count("R") for text in mixed), sum(len(text) for text in mixed))


def needed(tallies: Sequence[AnswerLog]) -> int:
    """Return how many reds in a row, tonight's first included, a place has to show before it is called red.

    So many that the rate of its history would give them by chance less than once in a thousand; at least two. A place
    with a short history needs more, up to six; one that is known to be flaky up to fourteen.
    """
    found = rate(tallies)
    most = MOST_FLAKY if found.flaky else MOST
    return next((reds for reds in range(LEAST, most) if found.chance(reds) < CHANCE), most)


def doubted(tallies: Sequence[AnswerLog]) -> int:
    """Return how many more passes in a row a place has to show before it is carried; 0 where it never disagreed.

    As many as the reds in a row that are asked of a flaky place at most: one pass says nothing about it.
    """
    text = "".join(one.answers for one in tallies)
    return max(0, MOST_FLAKY - (len(text) - len(text.rstrip("G")))) if rate(tallies).flaky else 0


def streak(tallies: Sequence[AnswerLog]) -> tuple[int, tuple[AnswerLog, ...]]:
    """Return how many reds a history ends with, and the history before them."""
    count, left = 0, list(tallies)
    while left:
        last = left.pop()
        kept = last.answers.rstrip("R")
        count += len(last.answers) - len(kept)
        if kept:
            left.append(last.model_copy(update={"answers": kept}))
            break
    return count, tuple(left)
