"""Begin a night, or take up one that was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from harness.envs.lock import Lock
from harness.errors import ConfigError
from harness.nightly import record as records
from harness.nightly.carry import Wanted, choose
from harness.nightly.drive import Nightly, Say
from harness.nightly.facts import read_facts
from harness.nightly.ledger import Ledger
from harness.nightly.record import BEGUN, LEDGER, Begun, last_night
from harness.nightly.stages import Stages
from harness.session.assemble import not_started
from harness.session.begin import begin
from harness.session.machine import describe_host
from harness.session.plan import Plan
from harness.store.folder import RunFolder
from harness.store.journal import Journal
from harness.store.lines import lines_of
from harness.store.outcome import Outcome, Reason, Stage, Status

CUT_OFF = Outcome(Status.MISS, Stage.RUN, Reason.INTERRUPTED)


@dataclass(frozen=True)
class How:
    """What the command line says about a night."""

    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    everything: bool = False


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
    close_cut_off(folder)
    return Nightly(plan, folder, begun, read_ledger(reports, begun.previous), stages, say)


def close_cut_off(folder: RunFolder) -> None:
    """Give every attempt that began and never ended its row, so that the next one gets a folder of its own.

    A process that outlived a killed night may still write into the folder of its attempt.
    """
    ended = {(one.cell, one.scenario, one.attempt) for one in folder.attempts()}
    journal = Journal(folder.journal_file)
    try:
        for event in folder.events("attempt_started"):
            place = (event["cell"], event["scenario"], event["attempt"])
            if place not in ended:
                row = not_started(*place[:2], CUT_OFF, "the night was killed while it ran")
                journal.attempt(row.model_copy(update={"attempt": place[2]}))
                ended.add(place)
    finally:
        journal.close()


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
