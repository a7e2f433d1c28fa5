"""Which changes cannot be applied without which others, asked of a resolver in rounds: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

Subset = frozenset[int]
CYCLE = 3  # so many changes that need each other in a circle are told from those that have nothing to do with them
FEW = 8  # more are not tried in pairs and threes: too many resolutions


@dataclass(frozen=True)
class Together:
    """What ``size`` changes need of each other, as far as resolutions told; none and all of them can be resolved.

    A requirement between two packages of which each has an old and a new version can only say that one change needs
    another: the new version wants the new one of the other, or the old one refuses it. So each change has one smallest
    set that can be resolved with it. It is found from the changes that can be applied alone, those that all others
    can be applied without, and a few sets between: about twice ``size`` resolutions, and none is installed. A set may
    come out too large where more than three changes need each other, never too small.
    """

    size: int
    answers: Mapping[Subset, bool] = field(default_factory=dict)

    def told(self, answers: Mapping[Subset, bool]) -> Together:
        """Return the search with more answers."""
        return Together(self.size, {**self.answers, **answers})

    def next(self) -> tuple[Subset, ...]:
        """Return the subsets to resolve now, in any order; nothing when it is over."""
        wanted = self._unasked(self._alone())
        bound = [item for item in range(self.size) if self._solvable({item}) is False]
        if not wanted and bound:
            wanted = self._unasked(self._all - {item} for item in range(self.size))
        if not wanted:
            wanted = self._unasked(one for item in bound for one in self._closing(item)[1])
        return wanted

    @property
    def needs(self) -> dict[int, Subset]:
        """Each change that cannot be applied alone, with the others that it needs."""
        bound = (item for item in range(self.size) if self._solvable({item}) is False)
        return {item: self._closing(item)[0] - {item} for item in bound}

    @property
    def _all(self) -> Subset:
        return frozenset(range(self.size))

    def _alone(self) -> Iterator[Subset]:
        return (frozenset({item}) for item in range(self.size))

    def _solvable(self, subset: Iterable[int]) -> bool | None:
        found = frozenset(subset)
        return True if len(found) in {0, self.size} else self.answers.get(found)

    def _unasked(self, subsets: Iterable[Subset]) -> tuple[Subset, ...]:
        return tuple(dict.fromkeys(one for one in subsets if self._solvable(one) is None))

    def _closing(self, item: int) -> tuple[Subset, tuple[Subset, ...]]:
        """Return the smallest set known to be solvable with a change, and what would tell of a smaller one."""
        needed = {one for one in range(self.size) if self._solvable(self._all - {one}) is False}
        around = frozenset({item} | needed)
        if self._solvable(around) is None:
            return self._all, (around,)
        found = around if self._solvable(around) else self._all
        count = 1
        while count <= (CYCLE if len(found) <= FEW else 1):
            smaller = [found - frozenset(gone) for gone in combinations(sorted(found - {item}), count)]
            if any(self._solvable(one) is None for one in smaller):
                return found, tuple(smaller)
            solvable = [one for one in smaller if self._solvable(one)]
            found, count = (solvable[0], 1) if solvable else (found, count + 1)
        return found, ()
