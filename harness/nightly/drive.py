"""Spend one night: begin or go on, run what is to be run, and gather what its claims are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from harness.envs.lock import Lock
from harness.errors import ConfigError
from harness.nightly import record as records
from harness.nightly.carry import Choice, Wanted, choose
from harness.nightly.confirm import confirm
from harness.nightly.control import compare_control
from harness.nightly.facts import Facts, read_facts
from harness.nightly.held import held
from harness.nightly.ledger import Ledger
from harness.nightly.look import WHOLE, Look, Place
from harness.nightly.looks import first_and_last, looks_of
from harness.nightly.record import BEGUN, LEDGER, Begun, last_night
from harness.nightly.situation import Situation
from harness.nightly.stages import Stages
from harness.session.begin import begin
from harness.session.machine import describe_host
from harness.session.plan import Plan, PlannedCell
from harness.store.folder import RunFolder
from harness.store.lines import lines_of
from harness.verdict.known import KnownIssue, parse

Say = Callable[[str], None]


@dataclass(frozen=True)
class How:
    """What the command line says about a night."""

    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    everything: bool = False


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
            counts = {look.scenario: len(look.attempts) for look in mine if look.scenario != WHOLE}
            self.keep(before_last=counts)
        self.stages.control_again(control, self.begun.before_last or {})

    def keep(self, **changes: object) -> None:
        """Write down how far the night has come."""
        self.begun = self.begun.model_copy(update=changes)
        records.write(self.begun, self.folder.path / BEGUN)

    def situation(self) -> Situation:
        """Return the night as its folder has it now."""
        shown = looks_of(self.folder)
        issues = issues_of(self.folder)
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
            base=against.looks,
            accepted=against.accepted,
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


def start(plan: Plan, reports: Path, stages: Callable[[Plan, RunFolder], Stages], say: Say, how: How) -> Nightly:
    """Begin a night: decide what is run, make its folder, and write down what it goes by.

    Raises:
        ConfigError: the plan has no cell, or the last night cannot be read.
    """
    host = describe_host()
    previous = last_night(reports, plan.matrix.name, [gpu.name for gpu in host.gpus])
    ledger = read_ledger(reports, previous.night if previous else "")
    planned = wanted(plan)
    choice = choose(planned, ledger, everything=how.everything)
    chosen = replace(plan, cells=tuple(one for one in plan.cells if one.cell.id in choice.run))
    folder = begin(chosen, reports)
    command = ("harness", "nightly", *folder.read_record().command[2:])
    folder.write_record(folder.read_record().model_copy(update={"command": command}))
    begun = Begun(
        matrix=plan.matrix.name,
        today=how.today,
        previous=previous.night if previous else "",
        planned=planned,
        everything=how.everything,
        facts=read_facts(),
    )
    records.write(begun, folder.path / BEGUN)
    return Nightly(chosen, folder, begun, ledger, stages(chosen, folder), say)


def take_up(plan: Plan, folder: RunFolder, reports: Path, stages: Stages, say: Say) -> Nightly:
    """Return a night that was interrupted, to go on with.

    Raises:
        ConfigError: the folder is no night, or the night before it is gone.
    """
    begun = records.read(folder.path / BEGUN, Begun)
    if begun is None:
        raise ConfigError(f"{folder.path} is no night: it has no {BEGUN}")
    return Nightly(plan, folder, begun, read_ledger(reports, begun.previous), stages, say)


def wanted(plan: Plan) -> tuple[Wanted, ...]:
    """Return what is decided about: every planned cell; the reference cell, else the first, is the control."""
    lines = lines_of([planned.record() for planned in plan.cells], plan.matrix.name)
    control = next((one for one in plan.cells if one.cell.reference), plan.cells[0])
    sources = {info.id: info.source for info in plan.scenarios}
    return tuple(
        Wanted(
            cell=one.cell.id,
            line=lines[one.cell.id],
            lock=one.lock.hash if isinstance(one.lock, Lock) else "",
            sources=sources,
            control=one is control,
        )
        for one in plan.cells
    )


def read_ledger(reports: Path, night: str) -> Ledger | None:
    """Return what a night left; None where there was none.

    Raises:
        ConfigError: it cannot be read.
    """
    return records.read(reports.absolute() / night / LEDGER, Ledger) if night else None


def issues_of(folder: RunFolder) -> tuple[KnownIssue, ...]:
    """Return the known issues as they stood when the night began."""
    path = folder.known_issues_file
    return parse(path.read_text(encoding="utf-8"), path.name) if path.exists() else ()
