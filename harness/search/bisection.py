"""Bisection and exponential search over an ordered list, in as few probes as possible: pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise


class Answer(StrEnum):
    """The answer to "is this item like the last one?"."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "undecided"


@dataclass(frozen=True)
class Search:
    """The state of a bisection over items 0 … ``size - 1``, of which the first is no and the last is yes.

    The driver asks for the next items, probes them, and continues with :meth:`with_answers`. The answers are the whole
    state, so a search can be resumed from them. Without unknown answers it takes at most ⌈log2 size⌉ probes between
    the ends. If the answer changes several times, one true change from no to yes is found.
    """

    size: int
    answers: Mapping[int, Answer] = field(default_factory=dict)  # of the items between the ends

    def with_answers(self, answers: Mapping[int, Answer]) -> Search:
        """Return the search with more answers."""
        return Search(self.size, {**self.answers, **answers})

    @property
    def bracket(self) -> tuple[int, int]:
        """The first no and yes without another known answer between them."""
        known = {0: Answer.NO, **self.answers, self.size - 1: Answer.YES}
        decided = [(item, known[item]) for item in sorted(known) if known[item] is not Answer.UNKNOWN]
        return next(
            (low, high)
            for (low, before), (high, after) in pairwise(decided)
            if (before, after) == (Answer.NO, Answer.YES)
        )

    @property
    def open(self) -> tuple[int, ...]:
        """The items inside the bracket that were not probed yet."""
        low, high = self.bracket
        return tuple(item for item in range(low + 1, high) if item not in self.answers)

    def next(self, slots: int = 1) -> tuple[int, ...]:
        """Return up to ``slots`` items that cut the open ones into parts of equal size; nothing when it is over.

        Unknown items divide the open ones into pieces. Their neighbours are usually unknown, too, so the longest piece
        is cut first.
        """
        pieces = _pieces(self.open)
        shares = [0] * len(pieces)
        for _ in range(slots if pieces else 0):
            longest = max(range(len(pieces)), key=lambda one: (len(pieces[one]) + 1) / (shares[one] + 1))
            shares[longest] += 1
        return tuple(item for piece, share in zip(pieces, shares, strict=True) for item in cuts(piece, share))

    def rounds_left(self, slots: int = 1) -> int:
        """Return the largest number of rounds left, if no answer is unknown."""
        gaps, rounds = len(self.open) + 1, 0
        while gaps > 1:
            gaps, rounds = math.ceil(gaps / (slots + 1)), rounds + 1
        return rounds

    @property
    def suspects(self) -> tuple[int, ...]:
        """The items of which one is the first yes; a single item is the answer."""
        low, high = self.bracket
        return tuple(range(low + 1, high + 1))


def cuts(items: Sequence[int], count: int) -> tuple[int, ...]:
    """Return up to ``count`` of the items that cut them into parts of equal size."""
    places = (((len(items) + 1) * part) // (count + 1) for part in range(1, count + 1))
    return tuple(dict.fromkeys(items[place - 1] for place in places if place > 0))


def _pieces(items: Sequence[int]) -> list[list[int]]:
    """Divide ascending items into runs without a gap."""
    pieces: list[list[int]] = []
    for item in items:
        if pieces and pieces[-1][-1] == item - 1:
            pieces[-1].append(item)
        else:
            pieces.append([item])

    return pieces


PATIENCE = 2  # unknown items in a row, before the items that were skipped are searched


@dataclass(frozen=True)
class ExponentialSearch:
    """The state of a search backwards for some no among items 0 … ``size - 1``, of which the last is yes.

    The strides are 1, 2, 4, 8 … items, the last one ends at item 0: at most ⌈log2 size⌉ probes if every answer is
    known. Unknown items are skipped. Two of them in a row may be the end of what can be tested at all, so the items
    skipped before them are halved first; then the strides continue.
    """

    size: int
    answers: Mapping[int, Answer] = field(default_factory=dict)  # of all but the last

    def with_answers(self, answers: Mapping[int, Answer]) -> ExponentialSearch:
        """Return the search with more answers."""
        return ExponentialSearch(self.size, {**self.answers, **answers})

    @property
    def found(self) -> int | None:
        """The newest item known to be no; None until there is one."""
        return max((item for item, answer in self.answers.items() if answer is Answer.NO), default=None)

    @property
    def reached(self) -> int:
        """The oldest item known to be yes."""
        return min((item for item, answer in self.answers.items() if answer is Answer.YES), default=self.size - 1)

    def next(self, slots: int = 1) -> tuple[int, ...]:
        """Return up to ``slots`` items to probe at once, the newest first; nothing when it is over."""
        if self.found is not None:
            return ()
        ahead = tuple(item for item in self._stops() if item not in self.answers)
        past = [item for item in self.answers if item < self.reached]  # all unknown
        if past and (len(past) >= PATIENCE or not ahead):
            skipped = range(max(past) + 1, self.reached)
            if skipped:
                return tuple(reversed(cuts(skipped, slots)))

        return ahead[:slots]

    def _stops(self) -> Iterator[int]:
        """Yield the ends of the strides: 1, 3, 7 … items before the last, and item 0."""
        back = 1
        while back < self.size - 1:
            yield self.size - 1 - back
            back = 2 * back + 1
        if self.size > 1:
            yield 0
