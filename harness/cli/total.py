"""How many attempts a run will have: what its cells have planned, and a guess where one has not collected yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Total:
    """Learns from the events of a journal; ``scenarios`` is the guess, and becomes what the last cell listed.

    ``rounds`` has, for each time that the journal says ``run_started``, the cells with their number of collections
    and the attempts of each scenario in each collection.
    """

    scenarios: int
    rounds: Sequence[tuple[Mapping[str, int], int]]
    known: int = 0
    _round: int = -1
    _open: dict[tuple[int, str], int] = field(default_factory=dict)  # collections to come, by round and cell

    def __post_init__(self) -> None:
        """Expect every collection of every round."""
        self._open = {
            (number, cell): count for number, (cells, _) in enumerate(self.rounds) for cell, count in cells.items()
        }

    def hear(self, event: str, fields: Mapping[str, Any]) -> None:
        """Hear one event."""
        match event:
            case "run_started":
                self._round += 1
                self._open = {key: count for key, count in self._open.items() if key[0] >= self._round}
            case "planned":
                self.known += fields["attempts"]
                self.scenarios = fields["scenarios"]
                self._close(fields["cell"], 1)
            case "cell_finished":
                self._close(fields["cell"])
            case "attempt" if fields["record"]["attempt"] == 0 and fields["record"]["scenario"] == "*":
                self._close(fields["record"]["cell"])  # it could not be resolved or installed

    def _close(self, cell: str, collections: int | None = None) -> None:
        """Expect so many collections less of a cell, none any more where no number is given."""
        key = (self._round, cell)
        left = self._open.pop(key, 0)
        if collections is not None and left > collections:
            self._open[key] = left - collections

    @property
    def guessed(self) -> bool:
        """Whether a part of it is guessed."""
        return bool(self._open)

    @property
    def number(self) -> int:
        """The attempts that are planned, and those that are guessed to come."""
        return self.known + sum(count * self.rounds[key[0]][1] * self.scenarios for key, count in self._open.items())
