"""One night as it stands: all that its claims are made from. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from harness.nightly.baseline import BaselineResults, acceptance_reasons, memory_acceptance
from harness.nightly.claim import ClaimInput
from harness.nightly.control import Control, State
from harness.nightly.known_issues import standing_of
from harness.nightly.ledger import LastResult, Ledger
from harness.nightly.machine import MachineSnapshot
from harness.store.records import WHOLE_CELL, Status
from harness.verdict.comparison import Results
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult

STEADY = Control(State.STEADY)
NOTHING_KNOWN = MachineSnapshot()
NO_BASELINE = BaselineResults()


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
        baseline: what the results are compared with, and what somebody accepted.
        issues: the known issues.
        control: whether the machine can be trusted.
        control_results: what the control cell showed last.
        facts: the machine at the end of the night.
    """

    night: str
    today: dt.date
    results: Mapping[ResultKey, ScenarioResult]
    carried: Mapping[ResultKey, LastResult] = field(default_factory=dict)
    ledger: Ledger | None = None
    lines: frozenset[str] = frozenset()
    baseline: BaselineResults = NO_BASELINE
    issues: Sequence[KnownIssue] = ()
    control: Control = STEADY
    control_results: Mapping[str, ScenarioResult] = field(default_factory=dict)
    facts: MachineSnapshot = NOTHING_KNOWN

    def was(self, key: ResultKey) -> LastResult | None:
        """Return the last answer of a place; a cell that cannot be set up counts as green where its line ever was."""
        places = self._places
        if key in places or key[1] != WHOLE_CELL:
            return places.get(key)
        green = [one for one in places.values() if one.line == key[0] and one.status is Status.PASS]
        return green[0].model_copy(update={"scenario": WHOLE_CELL, "tallies": ()}) if green else None

    def case(self, result: ScenarioResult) -> ClaimInput:
        """Return a place with everything that is known about it."""
        was, base = self.was(result.key), self._bases.get(result.key)
        return ClaimInput(
            result=result,
            was=was,
            base=base,
            standing=standing_of(self.issues, result),
            accepted=self._accepted.get(result.key, ""),
            accepted_memory=memory_acceptance(self.baseline, base, result) if base else "",
            new_epoch=was is not None and was.epoch != self.epoch,
        )

    @property
    def every_result(self) -> Results:
        """The results of this nightly run, with those that it reused."""
        return {**{key: one.result for key, one in self.carried.items()}, **self.results}

    @cached_property
    def _places(self) -> dict[ResultKey, LastResult]:
        return self.ledger.last_results() if self.ledger else {}

    @property
    def epoch(self) -> str:
        """The night since which the machine measures as it does tonight."""
        return self.night if self.ledger is None or self.control.state is State.SETTLED else self.ledger.epoch

    @cached_property
    def _bases(self) -> Mapping[ResultKey, ScenarioResult]:
        return self.baseline.comparable(self.epoch)

    @cached_property
    def _accepted(self) -> dict[ResultKey, str]:
        return acceptance_reasons(self.baseline, self.results)
