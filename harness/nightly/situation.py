"""One night as it stands: all that its claims are made from. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from harness.nightly.case import Case
from harness.nightly.control import Control, State
from harness.nightly.facts import Facts
from harness.nightly.known import standing_of
from harness.nightly.ledger import Ledger, Seen
from harness.nightly.look import Look, Place, Word
from harness.store.voices import WHOLE_CELL
from harness.verdict.known import KnownIssue

STEADY = Control(State.STEADY)
NOTHING_KNOWN = Facts()


@dataclass(frozen=True)
class Situation:
    """One night as it stands.

    Args:
        night: tonight's name.
        today: the day that ``review_by`` is held against.
        looks: every place that was to be run, those without a result included.
        carried: what was not run because nothing changed.
        ledger: what the last night left; None in the first.
        lines: every cell-line that was planned tonight; others are gone from the matrix.
        base: the baseline's looks; None where none is set.
        accepted: places that somebody accepted, and why.
        issues: the known issues.
        control: whether the machine can be trusted.
        control_looks: what the control cell showed last.
        facts: the machine at the end of the night.
    """

    night: str
    today: dt.date
    looks: Mapping[Place, Look]
    carried: Mapping[Place, Seen] = field(default_factory=dict)
    ledger: Ledger | None = None
    lines: frozenset[str] = frozenset()
    base: Mapping[Place, Look] | None = None
    accepted: Mapping[Place, str] = field(default_factory=dict)
    issues: Sequence[KnownIssue] = ()
    control: Control = STEADY
    control_looks: Mapping[str, Look] = field(default_factory=dict)
    facts: Facts = NOTHING_KNOWN

    def was(self, place: Place) -> Seen | None:
        """Return the last answer of a place; a cell that cannot be set up counts as green where its line ever was."""
        places = self._places
        if place in places or place[1] != WHOLE_CELL:
            return places.get(place)
        green = [one for one in places.values() if one.line == place[0] and one.word is Word.GREEN]
        return green[0].model_copy(update={"scenario": WHOLE_CELL, "tallies": ()}) if green else None

    def case(self, look: Look) -> Case:
        """Return a place with everything that is known about it."""
        was = self.was(look.place)
        return Case(
            look=look,
            was=was,
            base=(self.base or {}).get(look.place),
            standing=standing_of(self.issues, look),
            accepted=self.accepted.get(look.place, ""),
            new_epoch=was is not None and (self.control.state is State.SETTLED or was.epoch != self._epoch),
        )

    @cached_property
    def _places(self) -> dict[Place, Seen]:
        return self.ledger.places() if self.ledger else {}

    @property
    def _epoch(self) -> str:
        return self.ledger.epoch if self.ledger else ""
