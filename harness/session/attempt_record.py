"""The record of an attempt, from the files that it wrote."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.runner.process import Finished, ProcessExit
from harness.store.events import ProbeEvents, digest
from harness.store.files import write_text
from harness.store.journal import read
from harness.store.records import AttemptRecord, Failure, Outcome, Reason, ScenarioInfo, Stage, Status
from harness.verdict.judge import Evidence, judge

TAIL_BYTES = 8_000


@dataclass(frozen=True)
class Attempt:
    """The identity of an attempt: the id of its cell, its scenario and its number; and the packages under test."""

    cell: str
    scenario: ScenarioInfo
    number: int
    under_test: Collection[str]  # top-level import names


def read_events(folder: Path) -> ProbeEvents:
    """Read the probe's events of one attempt or collection."""
    return digest(read(folder / "events.jsonl"))


def assemble(attempt: Attempt, finished: Finished, folder: Path, run: Path, *, gpu_busy: bool) -> AttemptRecord:
    """Return the record of an attempt from its exit, report, events and output; write its ``memory.json``.

    ``folder`` is that of the attempt, ``run`` the run folder.
    """
    events = read_events(folder)
    write_text(folder / "memory.json", json.dumps(events.phases, indent=1))
    judgement = judge(
        Evidence(
            exit=finished.exit,
            report_outcome=_report_outcome(folder / "report.json"),
            failures=tuple(events.failures),
            skip=events.skip,
            expectations=tuple(events.expectations),
            finished=events.finished,
            passed=events.passed,
            output_tail=_tail(folder / "output.log"),
            gpu_busy=gpu_busy,
        ),
        attempt.under_test,
    )
    return AttemptRecord(
        cell=attempt.cell,
        scenario=attempt.scenario.id,
        attempt=attempt.number,
        outcome=judgement.outcome,
        signature=judgement.signature,
        detail=judgement.detail,
        row=attempt.scenario.row,
        started=finished.started,
        seconds=round(finished.seconds, 3),
        isolation=finished.isolation,
        simulated="; ".join(events.simulated) or None,
        ran_on=events.ran_on,
        exit=finished.exit,
        failure=events.failures[0] if events.failures else None,
        expectations=tuple(events.expectations),
        figures=events.figures,
        notes=events.notes,
        placements=events.placements,
        allocator=events.allocator,
        sources=events.sources,
        folder=folder.relative_to(run).as_posix(),
    )


def not_started(
    cell: str, scenario: str, outcome: Outcome, detail: str, *, folder: str | None = None, signature: str | None = None
) -> AttemptRecord:
    """Return the record of an attempt that was not started; ``scenario`` is ``*`` for a whole cell."""
    return AttemptRecord(
        cell=cell,
        scenario=scenario,
        attempt=0,
        outcome=outcome,
        signature=signature,
        detail=detail,
        started=datetime.now(UTC),
        seconds=0.0,
        folder=folder,
    )


def uncollected(cell: str, file: str, failure: Failure, under_test: Collection[str], folder: str) -> AttemptRecord:
    """Return the record of a scenario file that could not be collected in a cell."""
    evidence = Evidence(
        exit=ProcessExit(code=2),
        failures=(failure,),
        finished=True,
        stage=Stage.COLLECT,
    )
    judgement = judge(evidence, under_test)
    row = not_started(cell, file, judgement.outcome, judgement.detail, folder=folder, signature=judgement.signature)
    return row.model_copy(update={"failure": failure})


UNSOLVABLE = Outcome(Status.UNAVAILABLE, Stage.RESOLVE, Reason.UNSOLVABLE)
UNRESOLVED = Outcome(Status.ERROR, Stage.RESOLVE, Reason.NETWORK)
NOT_INSTALLED = Outcome(Status.UNAVAILABLE, Stage.INSTALL, Reason.INSTALL_FAILED)
NOT_BUILT = Outcome(Status.ERROR, Stage.INSTALL, Reason.INSTALL_FAILED)
INSTALL_NETWORK = Outcome(Status.ERROR, Stage.INSTALL, Reason.NETWORK)


def _report_outcome(path: Path) -> str | None:
    """Return the outcome of the test in a report of pytest-json-report; None without a complete report."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    tests = report.get("tests", [])
    return str(tests[0]["outcome"]) if len(tests) == 1 else None


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace")
    except OSError:
        return ""
