"""Where an answer changes in an ordered list, asked for as few items as can be: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise


class Answer(StrEnum):
    """What probing one item said about "is it as the last item is?"."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Search:
    """A search over items 0 … ``size - 1``, of which the first is no and the last is yes, as far as it has come.

    The driver asks what to probe next, probes it, and goes on with :meth:`told`. Nothing is kept but the answers, so
    a search can be taken up again from them. Without unknown answers it takes at most ⌈log2 size⌉ probes between the
    ends. Where the answer changes several times, some true change from no to yes is found.
    """

    size: int
    answers: Mapping[int, Answer] = field(default_factory=dict)  # of what lies between the ends

    def told(self, answers: Mapping[int, Answer]) -> Search:
        """Return the search with more answers."""
        return Search(self.size, {**self.answers, **answers})

    @property
    def bracket(self) -> tuple[int, int]:
        """The first no and yes that have no other known answer between them."""
        known = {0: Answer.NO, **self.answers, self.size - 1: Answer.YES}
        told = [(item, known[item]) for item in sorted(known) if known[item] is not Answer.UNKNOWN]
        return next(
            (low, high) for (low, before), (high, after) in pairwise(told) if (before, after) == (Answer.NO, Answer.YES)
        )

    @property
    def open(self) -> tuple[int, ...]:
        """What lies between the bracket's ends and was not probed yet."""
        low, high = self.bracket
        return tuple(item for item in range(low + 1, high) if item not in self.answers)

    def next(self, slots: int = 1) -> tuple[int, ...]:
        """Return up to ``slots`` items that cut what is open into parts of one size; nothing when it is over."""
        items = self.open
        cuts = (((len(items) + 1) * part) // (slots + 1) for part in range(1, slots + 1))
        return tuple(dict.fromkeys(items[cut - 1] for cut in cuts if cut > 0))

    def rounds_left(self, slots: int = 1) -> int:
        """Return how many rounds are left at most, if no answer is unknown."""
        gaps, rounds = len(self.open) + 1, 0
        while gaps > 1:
            gaps, rounds = math.ceil(gaps / (slots + 1)), rounds + 1
        return rounds

    @property
    def suspects(self) -> tuple[int, ...]:
        """The items of which one is the first yes; a single one is the answer."""
        low, high = self.bracket
        return tuple(range(low + 1, high + 1))
