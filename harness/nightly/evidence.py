"""One night as it stands: all that its claims are made from. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from harness.nightly.baseline import BaselineComparison, accepted_answers, accepted_memory
from harness.nightly.claim import ClaimInput
from harness.nightly.control import Control, State
from harness.nightly.known_issues import standing_of
from harness.nightly.ledger import Ledger, Seen
from harness.nightly.look import Look, Place, Word
from harness.nightly.machine import MachineSnapshot
from harness.store.records import WHOLE_CELL
from harness.verdict.known_issues import KnownIssue

STEADY = Control(State.STEADY)
NOTHING_KNOWN = MachineSnapshot()
NO_BASELINE = BaselineComparison()


@dataclass(frozen=True)
class NightEvidence:
    """One night as it stands.

    Args:
        night: tonight's name.
        today: the day that ``review_by`` is held against.
        looks: every place that was to be run, those without a result included.
        carried: what was not run because nothing changed.
        ledger: what the last night left; None in the first.
        lines: every cell-line that was planned tonight; others are gone from the matrix.
        held: the baseline, and what somebody accepted.
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
    held: BaselineComparison = NO_BASELINE
    issues: Sequence[KnownIssue] = ()
    control: Control = STEADY
    control_looks: Mapping[str, Look] = field(default_factory=dict)
    facts: MachineSnapshot = NOTHING_KNOWN

    def was(self, place: Place) -> Seen | None:
        """Return the last answer of a place; a cell that cannot be set up counts as green where its line ever was."""
        places = self._places
        if place in places or place[1] != WHOLE_CELL:
            return places.get(place)
        green = [one for one in places.values() if one.line == place[0] and one.word is Word.GREEN]
        return green[0].model_copy(update={"scenario": WHOLE_CELL, "tallies": ()}) if green else None

    def case(self, look: Look) -> ClaimInput:
        """Return a place with everything that is known about it."""
        was, base = self.was(look.place), self._bases.get(look.place)
        return ClaimInput(
            look=look,
            was=was,
            base=base,
            standing=standing_of(self.issues, look),
            accepted=self._accepted.get(look.place, ""),
            accepted_memory=accepted_memory(self.held, base, look) if base else "",
            new_epoch=was is not None and was.epoch != self.epoch,
        )

    @cached_property
    def _places(self) -> dict[Place, Seen]:
        return self.ledger.places() if self.ledger else {}

    @property
    def epoch(self) -> str:
        """The night since which the machine measures as it does tonight."""
        return self.night if self.ledger is None or self.control.state is State.SETTLED else self.ledger.epoch

    @cached_property
    def _bases(self) -> Mapping[Place, Look]:
        return self.held.measured(self.epoch)

    @cached_property
    def _accepted(self) -> dict[Place, str]:
        return accepted_answers(self.held, self.looks)
