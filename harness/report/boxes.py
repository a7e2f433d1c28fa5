"""One box of the table: the verdict over its attempts and everything a person asks about it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from harness.report.facts import Check, Known, KnownFailure, Try
from harness.report.figures import figures
from harness.report.standing import known
from harness.report.views import Box, Word
from harness.report.where import placements, ran_on, where
from harness.store.outcome import Outcome, Reason, Stage, Status
from harness.store.records import AttemptRecord, CellRecord, Frame
from harness.verdict.compare import Change, Result, compare, result_of
from harness.verdict.known import KnownIssue
from harness.verdict.measures import spreads
from harness.verdict.signature import recognise

LAST_FRAMES = 8
NOTE_LIMIT = 2_000  # characters of one note of a scenario
NO_ATTEMPT = Outcome(Status.MISS, Stage.RUN, Reason.INTERRUPTED)
BEFORE_RUNNING = {Stage.RESOLVE, Stage.INSTALL}


@dataclass(frozen=True)
class Seen:
    """The attempts that speak for a box, and whether they are the scenario's, its file's or the whole cell's."""

    attempts: tuple[AttemptRecord, ...]
    applies_to: str = "scenario"

    @property
    def result(self) -> Result:
        """Return the verdict over them."""
        return result_of([attempt.outcome for attempt in self.attempts])

    @property
    def telling(self) -> AttemptRecord | None:
        """Return the attempt whose details are shown: the last one that failed, else the last one."""
        red = [each for each in self.attempts if each.outcome.status in {Status.FAIL, Status.ERROR}]
        return [*self.attempts, *red][-1] if self.attempts else None

    @property
    def signature(self) -> KnownFailure | None:
        """Return what the telling attempt is grouped by; failures that have no signature by their outcome."""
        telling = self.telling
        if telling is None or telling.outcome.status not in {Status.FAIL, Status.ERROR}:
            return None
        rule = recognise(telling.failure) if telling.failure else None
        return KnownFailure(
            id=telling.signature or str(telling.outcome),
            rule=rule.name if rule else None,
            tracker=rule.tracker if rule else None,
            summary=rule.summary if rule else telling.detail,
        )


@dataclass(frozen=True)
class Surroundings:
    """What every box of a run is judged beside: the matrix file, the known issues, the GPUs (UUID → name)."""

    matrix_file: str
    issues: tuple[KnownIssue, ...] = ()
    gpus: Mapping[str, str] = field(default_factory=dict)


def box(scenario: str, cell: CellRecord, seen: Seen, reference: Seen | None, around: Surroundings) -> Box:
    """Make the box of one scenario in one cell; ``reference`` is the same scenario in its reference cell.

    Figures are over all attempts, everything else that only one attempt can say is the telling one's.
    """
    telling, result = seen.telling, seen.result
    shown = Box(
        cell=cell.id,
        word=word_of(result),
        outcome=str(result),
        label=_label(result),
        applies_to=seen.applies_to,
        change=change_between(reference, seen) if reference else None,
        signature=seen.signature,
        known=_known(scenario, cell, seen, around),
        commands=_commands(scenario, cell.id, around.matrix_file),
    )
    if telling is None:
        return shown
    fields = {
        "ran_on": ran_on(telling),
        "simulated": telling.simulated,
        "seconds": telling.seconds,
        "detail": telling.detail,
        "frames": tuple(frame_text(frame) for frame in telling.failure.frames[-LAST_FRAMES:])
        if telling.failure
        else (),
        "checks": tuple(Check(each.text, each.held, each.detail) for each in telling.expectations),
        "figures": figures(spreads(seen.attempts), spreads(reference.attempts if reference else ())),
        "notes": tuple((name, _note(value)) for name, value in telling.notes.items()),
        "where": where(telling, around.gpus),
        "placements": placements(telling),
        "tries": tuple(_try(each) for each in seen.attempts),
    }
    return Box(**{**shown.__dict__, **fields})


def _known(scenario: str, cell: CellRecord, seen: Seen, around: Surroundings) -> Known | None:
    """Ask the known issues; a cell in which nothing could be started says nothing about any of them."""
    if seen.applies_to == "cell":
        return None
    failure = seen.signature
    names = [name for name in (failure.rule, failure.id) if name] if failure else []
    return known(around.issues, scenario, cell, seen.result.outcome, names)


def word_of(result: Result) -> Word:
    """Return the word of a result; nothing at all is a miss."""
    if result.flaky:
        return Word.FLAKY
    return Word(result.outcome.status.value) if result.outcome else Word.MISS


def change_between(before: Seen, after: Seen) -> Change:
    """Compare two boxes: outcomes first, and two equal failures by what they are grouped by.

    A flaky side leaves nothing to compare.
    """
    if before.result.flaky or after.result.flaky:
        return Change.SAME if before.result == after.result else Change.UNKNOWN
    change = compare(before.result.outcome or NO_ATTEMPT, after.result.outcome or NO_ATTEMPT)
    known = (before.signature, after.signature)
    if change is Change.SAME and known[0] and known[1] and known[0].key != known[1].key:
        return Change.CHANGED_FAILURE
    return change


def frame_text(frame: Frame) -> str:
    """Write one frame of a traceback on one line."""
    return f"{frame.path}:{frame.line} in {frame.function}"


def _label(result: Result) -> str:
    if result.outcome is None:
        return "" if result.missing else " / ".join(outcome.reason or outcome.status for outcome in result.outcomes)
    return (result.outcome.reason or "").replace("_", " ")


def _note(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= NOTE_LIMIT else text[:NOTE_LIMIT] + "…"


def _try(attempt: AttemptRecord) -> Try:
    return Try(attempt.attempt, str(attempt.outcome), attempt.seconds, attempt.isolation, _links(attempt))


def _links(attempt: AttemptRecord) -> tuple[str, ...]:
    """Return the attempt's files relative to the run folder; a killed process leaves no ``report.json``."""
    if attempt.folder is None:
        return ()
    if attempt.outcome.stage in BEFORE_RUNNING:
        names = ["install.log"] if attempt.outcome.stage is Stage.INSTALL else []
    else:
        reported = attempt.attempt > 0 and attempt.exit.code is not None
        names = [*(["report.json"] if reported else []), "output.log", "events.jsonl"]
    return tuple(quote(f"{attempt.folder}/{name}") for name in names)


def command_templates(matrix_file: str) -> tuple[tuple[str, str, str], ...]:
    """Return the commands that run one box again, as what stands before the cell, before the test and after it."""
    heads = (["harness", "run", matrix_file], ["python3", "-m", "nox", "-s", "matrix", "--", matrix_file])
    return tuple((f"{shlex.join(head)} --cells ", " -k ", "") for head in heads)


def test_of(scenario: str) -> str:
    """Return the name by which pytest's ``-k`` finds a scenario."""
    return scenario.rsplit("::", 1)[-1].split("[", 1)[0]


def _commands(scenario: str, cell: str, matrix_file: str) -> tuple[str, ...]:
    names = shlex.quote(cell), shlex.quote(test_of(scenario))
    return tuple(
        f"{before}{names[0]}{between}{names[1]}{after}" for before, between, after in command_templates(matrix_file)
    )


def latest(attempts: Sequence[AttemptRecord]) -> tuple[AttemptRecord, ...]:
    """Keep the last record of every attempt number, in the order of the numbers."""
    return tuple(record for _, record in sorted({each.attempt: each for each in attempts}.items()))
