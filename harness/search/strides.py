"""Look back from the last item for one that answers otherwise, by strides that double: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.search.first_bad import Answer, cuts

PATIENCE = 2  # items in a row that cannot be told, before what was strode over is looked at


@dataclass(frozen=True)
class Strides:
    """A search for some no among items 0 … ``size - 1``, of which the last is yes, as far as it has come.

    The strides are 1, 2, 4, 8 … items, the last one ends at item 0: at most ⌈log2 size⌉ probes where every answer is
    known. What cannot be told is stepped over. Two such items in a row may be the beginning of all that lacks what is
    asked for, so that the items strode over before them are halved first; then the strides go on.
    """

    size: int
    answers: Mapping[int, Answer] = field(default_factory=dict)  # of all but the last

    def told(self, answers: Mapping[int, Answer]) -> Strides:
        """Return the search with more answers."""
        return Strides(self.size, {**self.answers, **answers})

    @property
    def found(self) -> int | None:
        """The newest item that is known to be no; None until there is one."""
        return max((item for item, answer in self.answers.items() if answer is Answer.NO), default=None)

    @property
    def reached(self) -> int:
        """The oldest item that is known to be yes."""
        return min((item for item, answer in self.answers.items() if answer is Answer.YES), default=self.size - 1)

    def next(self, slots: int = 1) -> tuple[int, ...]:
        """Return up to ``slots`` items to probe at once, the newest first; nothing when it is over."""
        if self.found is not None:
            return ()
        ahead = tuple(item for item in self._stops() if item not in self.answers)
        past = [item for item in self.answers if item < self.reached]  # none of these could be told
        if past and (len(past) >= PATIENCE or not ahead):
            skipped = range(max(past) + 1, self.reached)
            if skipped:
                return tuple(reversed(cuts(skipped, slots)))
        return ahead[:slots]

    def _stops(self) -> Iterator[int]:
        """Yield where the strides end: 1, 3, 7 … items before the last, and item 0."""
        back = 1
        while back < self.size - 1:
            yield self.size - 1 - back
            back = 2 * back + 1
        if self.size > 1:
            yield 0
