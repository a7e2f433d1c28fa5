"""Where an answer changes in an ordered list, asked for as few items as can be: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
        """Return up to ``slots`` items that cut what is open into parts of one size; nothing when it is over.

        What could not be told divides what is open: its neighbours are as a rule no better, so that the longest piece
        is cut first.
        """
        pieces = _pieces(self.open)
        shares = [0] * len(pieces)
        for _ in range(slots if pieces else 0):
            longest = max(range(len(pieces)), key=lambda one: (len(pieces[one]) + 1) / (shares[one] + 1))
            shares[longest] += 1
        return tuple(item for piece, share in zip(pieces, shares, strict=True) for item in cuts(piece, share))

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


def cuts(items: Sequence[int], count: int) -> tuple[int, ...]:
    """Return ``count`` of the items that cut them into parts of one size; fewer where there are not so many."""
    places = (((len(items) + 1) * part) // (count + 1) for part in range(1, count + 1))
    return tuple(dict.fromkeys(items[place - 1] for place in places if place > 0))


def _pieces(items: Sequence[int]) -> list[list[int]]:
    """Divide ascending items where one is missing between two."""
    pieces: list[list[int]] = []
    for item in items:
        if pieces and pieces[-1][-1] == item - 1:
            pieces[-1].append(item)
        else:
            pieces.append([item])
    return pieces
