"""The environments between two ends, and which of them there cannot be: resolved, nothing is installed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, Unsolvable
from harness.errors import InfrastructureError
from harness.matrix.cell import Cell
from harness.search.blamed import BlameQuestion
from harness.search.changes import Subset, between, moved_otherwise
from harness.search.prober import locked

ROUNDS = 8  # a follower that is pinned may bring another; no chain of them was seen that is so long


@dataclass
class Mixed:
    """The environments of one blame: each subset of the changes as a cell, or why there is none.

    Every package is pinned, transitive ones too, at its version of the good or of the bad end, so that nothing moves
    but what the subset says. Left to the resolver are only the harness's own pytest and what torch's build brings. A
    follower (:class:`BlameQuestion`) is there where something needs it, and then at the version that its end has.
    """

    question: BlameQuestion
    cache_dir: CacheDir
    cells: dict[Subset, Cell] = field(default_factory=dict)
    refused: dict[Subset, str] = field(default_factory=dict)

    @property
    def all(self) -> Subset:
        """Every change: the bad end."""
        return frozenset(range(len(self.question.changes)))

    def resolve(self, subsets: Sequence[Subset]) -> dict[Subset, str]:
        """Return those of the subsets that are no environment, with the reason; all are resolved at once.

        Raises:
            InfrastructureError: the index does not answer.
        """
        asked = self.question
        drafts = {one: between(asked.shared, asked.changes, one) for one in subsets if one not in self.cells}
        for _ in range(ROUNDS):
            drafts = self._round({one: cell for one, cell in drafts.items() if one not in self.refused})
        self.refused |= dict.fromkeys(drafts, "what it needs of the other end has no end")
        return {one: self.refused[one] for one in subsets if one in self.refused}

    def _round(self, drafts: dict[Subset, Cell]) -> dict[Subset, Cell]:
        """Resolve drafts; return those that a follower was pinned in, to be resolved again."""
        again: dict[Subset, Cell] = {}
        planned = locked(tuple(drafts.values()), self.cache_dir) if drafts else ()
        for one, lock in zip(drafts, (each.lock for each in planned), strict=True):
            if isinstance(lock, Unsolvable):
                if lock.network:
                    raise InfrastructureError(f"the index does not answer: {lock.sentence}")
                self.refused[one] = _shortly(lock.sentence)
            elif extra := moved_otherwise(self.question.changes, one, lock.packages):
                self.refused[one] = f"{', '.join(extra)} comes along, because something needs it"
            elif (cell := self._followed(drafts[one], lock)) != drafts[one]:
                again[one] = cell
            else:
                self.cells[one] = cell
        return again

    def _followed(self, cell: Cell, lock: Lock) -> Cell:
        """Return the cell with a pin for every follower that its lock has."""
        held = {pin.package for pin in cell.pins}
        pins = (change.old or change.new for change in self.question.followers)
        come = tuple(pin for pin in pins if pin and pin.package in lock.packages and pin.package not in held)
        return replace(cell, pins=(*cell.pins, *come))

    def followers_of(self, one: Subset) -> tuple[str, ...]:
        """Say which followers come and go where some changes are applied to the good end."""
        before, after = ({pin.package for pin in self.cells[each].pins} for each in (frozenset[int](), one))
        came = [change.new for change in self.question.followers if change.new and change.package in after - before]
        gone = [change.package for change in self.question.followers if change.package in before - after]
        return (*(f"{pin.package} {pin.label}" for pin in came), *(f"{name} gone" for name in gone))


def _shortly(sentence: str) -> str:
    """Return the requirement that a resolver could not meet, without what it concludes from it."""
    return re.split(r",? we can conclude", sentence, maxsplit=1)[0].removeprefix("Because ")
