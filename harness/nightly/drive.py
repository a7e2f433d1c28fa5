"""Spend one night: run what is to be run, and gather what its claims are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from harness.nightly import record as records
from harness.nightly.carry import Choice, choose
from harness.nightly.confirm import confirm
from harness.nightly.control import compare_control
from harness.nightly.facts import Facts, read_facts
from harness.nightly.held import held
from harness.nightly.ledger import Ledger
from harness.nightly.look import Look, Place
from harness.nightly.looks import first_and_last, looks_of
from harness.nightly.record import BEGUN, Begun
from harness.nightly.situation import Situation
from harness.nightly.stages import Stages
from harness.report.write import known_issues
from harness.session.plan import Plan, PlannedCell
from harness.store.folder import RunFolder
from harness.store.voices import WHOLE_CELL

Say = Callable[[str], None]


@dataclass
class Nightly:
    """One night in its run folder; ``plan`` has the cells that are run, ``begun`` all that were planned."""

    plan: Plan
    folder: RunFolder
    begun: Begun
    ledger: Ledger | None
    stages: Stages
    say: Say
    facts: Facts = field(default_factory=Facts)

    @property
    def choice(self) -> Choice:
        """What is run and what is carried; the same however often it is asked."""
        return choose(self.begun.planned, self.ledger, everything=self.begun.everything)

    @property
    def control(self) -> PlannedCell | None:
        """The control cell."""
        ids = {one.cell for one in self.begun.planned if one.control}
        return next((one for one in self.plan.cells if one.cell.id in ids), None)

    def run(self) -> Situation:
        """Run the night to its last attempt and return how it stands.

        The control cell runs first, alone; then the cells; then, alone, what has to be seen again; then the control
        cell once more. What is there already, from a night that was interrupted, is not run again.

        Raises:
            Interrupted: the user stopped it.
        """
        control = self.control
        if control is not None:
            self.stages.cells([control.cell.id], alone=True)
        others = [one.cell.id for one in self.plan.cells if one is not control]
        self.stages.cells(others)
        confirm(self.situation(), self._again)
        if control is not None:
            self._last(control)
        self.facts = read_facts()
        return self.situation()

    def _again(self, wanted: Mapping[Place, int]) -> Mapping[Place, Look]:
        attempts = sum(wanted.values())
        self.say(f"{len(wanted)} to be seen again, alone: {attempts} attempt{'' if attempts == 1 else 's'}")
        return {place: self._told(look) for place, look in self.stages.again(wanted).items()}

    def _last(self, control: PlannedCell) -> None:
        """Run the control cell once more, remembering where its last attempts begin."""
        if self.begun.before_last is None:
            mine = [look for look in looks_of(self.folder).looks.values() if look.cell == control.cell.id]
            counts = {look.scenario: len(look.attempts) for look in mine if look.scenario != WHOLE_CELL}
            self.keep(before_last=counts)
        self.stages.control_again(control, self.begun.before_last or {})

    def keep(self, **changes: object) -> None:
        """Write down how far the night has come."""
        self.begun = self.begun.model_copy(update=changes)
        records.write(self.begun, self.folder.path / BEGUN)

    def situation(self) -> Situation:
        """Return the night as its folder has it now."""
        shown = looks_of(self.folder)
        issues = known_issues(self.folder)
        control = [line for line, cell in shown.cells.items() if self.control and cell.id == self.control.cell.id]
        mine = {look.scenario: look for look in shown.looks.values() if look.line in control}
        cuts = self.begun.before_last or {}
        pairs = {name: first_and_last(look, cuts.get(name)) for name, look in mine.items()}
        first = {name: pair[0] for name, pair in pairs.items()}
        last = {name: pair[1] for name, pair in pairs.items()}
        looks = {place: self._told(look) for place, look in shown.looks.items()}
        against = held(self.folder, self.folder.path.parent, self.begun.matrix, issues)
        return Situation(
            night=self.folder.path.name,
            today=self.begun.today,
            looks=looks,
            carried=self.choice.carried,
            ledger=self.ledger,
            lines=frozenset(one.line for one in self.begun.planned),
            held=against,
            issues=issues,
            control=compare_control(first, last, self.ledger, (self.begun.facts, self.facts)),
            control_looks=last,
            facts=self.facts,
        )

    def _told(self, look: Look) -> Look:
        """Add what went wrong with a whole stage to what is missing."""
        if look.attempts or not self.stages.trouble:
            return look
        return replace(look, reason=f"{look.reason}: {self.stages.trouble}".strip(": "))
