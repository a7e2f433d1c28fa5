"""One box of the table: the verdict over its attempts and everything a person asks about it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from harness.report.figures import figures
from harness.report.model import (
    Announcement,
    Attempt,
    Card,
    Check,
    Column,
    IssueEntry,
    Known,
    KnownFailure,
    Parameter,
    Placed,
    Row,
    TableCell,
    Where,
)
from harness.store.records import WHOLE_CELL, AttemptRecord, CellRecord, Frame, GpuBefore, Outcome, Stage
from harness.verdict.comparison import compare
from harness.verdict.known_issues import KnownIssue, State, standing
from harness.verdict.result import RED, ScenarioResult
from harness.verdict.signature import recognise

NUMBERED = re.compile(r"(.*\.)(\d+)")


def where(attempt: AttemptRecord, gpus: Mapping[str, str]) -> Where | None:
    """Return the machine's side of an attempt, None where there is nothing to say; ``gpus`` maps UUIDs to names."""
    found = Where(
        cards=tuple(_card(each, gpus.get(each.uuid, "GPU")) for each in attempt.gpus_before),
        allocator=tuple((name, _setting(value)) for name, value in (attempt.allocator or {}).items()),
        sources=tuple((name, source) for name, source in attempt.sources.items() if source),
    )
    return None if found == Where() else found


def ran_on(attempt: AttemptRecord) -> str:
    """Return ``cuda``, ``cpu``, ``simulated`` or nothing; records before schema fields were there say only the last."""
    return attempt.ran_on or ("simulated" if attempt.simulated else "")


def placements(attempt: AttemptRecord) -> tuple[Placed, ...]:
    """Return where the model lay, one value a stage, in the order it was told."""
    return tuple(_placed(stage, told) for stage, told in attempt.placements.items() if isinstance(told, Mapping))


def short_names(names: Sequence[str]) -> str:
    """Join names, runs of neighbours that differ in their last number as one: ``model.layers.0–13``."""
    runs: list[tuple[str, int | None, int | None]] = []
    for name in names:
        numbered = NUMBERED.fullmatch(name)
        head, number = (numbered[1], int(numbered[2])) if numbered else (name, None)
        if runs and number is not None and runs[-1][0] == head and runs[-1][2] == number - 1:
            runs[-1] = (head, runs[-1][1], number)
        else:
            runs.append((head, number, number))
    return ", ".join(_run(head, first, last) for head, first, last in runs)


def _run(head: str, first: int | None, last: int | None) -> str:
    if first is None:
        return head or "(everything else)"
    return f"{head}{first}" if first == last else f"{head}{first}–{last}"


def _card(before: GpuBefore, name: str) -> Card:
    others = tuple((_program(each), each.get("used")) for each in before.processes)
    return Card(name, before.total, before.total - before.used, others)


def _program(process: Mapping[str, Any]) -> str:
    """Name a program without its folder, whichever the system."""
    return str(process.get("name", "")).replace("\\", "/").rsplit("/", 1)[-1] or "a process"


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _placed(stage: str, told: Mapping[str, Any]) -> Placed:
    mapped = told.get("hf_device_map")
    histogram = told.get("bytes", {})
    return Placed(
        stage=stage,
        bytes=tuple((device, dtype, size) for device, row in histogram.items() for dtype, size in row.items()),
        largest=tuple(
            Parameter(each["name"], each["dtype"], each["device"], each["bytes"]) for each in told.get("largest", [])
        ),
        unmatched=tuple(told.get("keys_without_module", [])),
        device_map=_by_place(mapped) if isinstance(mapped, Mapping) else None,
        device_map_text="" if mapped is None or isinstance(mapped, Mapping) else str(mapped),
        hooks=tuple(told.get("hooks", {}).items()),
    )


def _by_place(mapped: Mapping[str, object]) -> tuple[tuple[str, int, str], ...]:
    """Turn name → place around: a map of hundreds of layers becomes one line a place."""
    places: dict[str, list[str]] = {}
    for name, place in mapped.items():
        places.setdefault(str(place), []).append(name)
    return tuple((place, len(names), short_names(names)) for place, names in places.items())


def known(
    issues: Sequence[KnownIssue], scenario: str, cell: CellRecord, outcome: Outcome | None, names: Sequence[str]
) -> Known | None:
    """Return what a box says about the known issues; ``names`` are those its failure goes by."""
    found = standing(issues, scenario, cell.versions, outcome, names)
    return Known(found.state, _entry(found.issue)) if found else None


def announcements(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Announcement, ...]:
    """Return, one per entry and state, the issues that did not show or that showed in another way; gone ones first."""
    names = {column.id: column.name for column in columns}
    found: dict[Known, list[tuple[str, str]]] = {}
    for row in rows:
        for box in row.table_cells:
            if box.known is not None and box.known.state is not State.KNOWN:
                found.setdefault(box.known, []).append((names[box.cell], row.scenario))
    made = [
        Announcement(
            state=told.state,
            entry=told.entry,
            cells=tuple(dict.fromkeys(cell for cell, _ in places)),
            scenarios=tuple(dict.fromkeys(scenario for _, scenario in places)),
        )
        for told, places in found.items()
    ]
    return tuple(sorted(made, key=lambda each: each.state is not State.GONE))


def _entry(issue: KnownIssue) -> IssueEntry:
    return IssueEntry(
        tracker=issue.tracker,
        scenario=issue.scenario,
        signature=issue.signature,
        versions=", ".join(f"{package} {wanted}" for package, wanted in issue.versions.items()),
        note=issue.note,
        review_by=issue.review_by.isoformat() if issue.review_by else "",
    )


LAST_FRAMES = 8
NOTE_LIMIT = 2_000  # characters of one note of a scenario
BEFORE_RUNNING = {Stage.RESOLVE, Stage.INSTALL}


@dataclass(frozen=True)
class RunFacts:
    """What the details of each result need of its run: the matrix file, the known issues, the GPUs (UUID → name)."""

    matrix_file: str
    issues: tuple[KnownIssue, ...] = ()
    gpus: Mapping[str, str] = field(default_factory=dict)


def applies_to(result: ScenarioResult) -> str:
    """Return for what the attempts of a result were made: ``scenario``, ``file`` or ``cell``."""
    if result.recorded_as == WHOLE_CELL:
        return "cell"
    return "scenario" if "::" in result.recorded_as else "file"


def records(result: ScenarioResult) -> tuple[AttemptRecord, ...]:
    """Return the attempts of a result; a result that was read in short has none."""
    return tuple(one for one in result.attempts if isinstance(one, AttemptRecord))


def decisive(result: ScenarioResult) -> AttemptRecord | None:
    """Return the attempt whose details are shown."""
    return next((one for one in records(result) if one is result.decisive), None)


def known_failure(result: ScenarioResult) -> KnownFailure | None:
    """Return what a red result is grouped by: its signature, else its outcome; with the rule that knows it."""
    one = result.decisive
    if one is None or one.outcome.status not in RED:
        return None
    rule = recognise(one.failure) if one.failure else None
    return KnownFailure(
        id=one.signature or str(one.outcome),
        rule=rule.name if rule else None,
        tracker=rule.tracker if rule else None,
        summary=rule.summary if rule else one.detail,
    )


def unlisted(cell: CellRecord) -> TableCell:
    """Return the table cell of a scenario that the cell does not list."""
    return TableCell(cell.id, None, "", "not listed here")


def table_cell(
    scenario: str, cell: CellRecord, result: ScenarioResult, reference: ScenarioResult | None, facts: RunFacts
) -> TableCell:
    """Make the table cell of one result; ``reference`` is the same scenario in the reference cell.

    Figures are over the attempts that count, what only one attempt can tell is from the decisive one.
    """
    attempts, deciding = records(result), decisive(result)
    shown = TableCell(
        cell=cell.id,
        status=result.status,
        outcome=result.text,
        label=_label(result),
        applies_to=applies_to(result),
        change=compare(reference, result) if reference else None,
        signature=known_failure(result),
        known=_known(scenario, cell, result, facts),
        detail=result.reason,
        commands=_commands(scenario, cell.id, facts.matrix_file),
    )
    if deciding is None:
        return shown
    fields = {
        "ran_on": ran_on(deciding),
        "simulated": deciding.simulated,
        "seconds": deciding.seconds,
        "frames": tuple(frame_text(frame) for frame in deciding.failure.frames[-LAST_FRAMES:])
        if deciding.failure
        else (),
        "checks": tuple(Check(each.text, each.held, each.detail) for each in deciding.expectations),
        "figures": figures(result.figures, reference.figures if reference else {}),
        "notes": tuple((name, _note(value)) for name, value in deciding.notes.items()),
        "where": where(deciding, facts.gpus),
        "placements": placements(deciding),
        "tries": tuple(_attempt(each) for each in attempts),
    }
    return TableCell(**{**shown.__dict__, **fields})


def _known(scenario: str, cell: CellRecord, result: ScenarioResult, facts: RunFacts) -> Known | None:
    """Ask the known issues; a cell in which nothing could be started says nothing about any of them."""
    if applies_to(result) == "cell":
        return None
    return known(facts.issues, scenario, cell, result.outcome, result.signatures)


def frame_text(frame: Frame) -> str:
    """Write one frame of a traceback on one line."""
    return f"{frame.path}:{frame.line} in {frame.function}"


def _label(result: ScenarioResult) -> str:
    outcomes = result.distinct
    if len(outcomes) == 1:
        return (outcomes[0].reason or "").replace("_", " ")
    return " / ".join(outcome.reason or outcome.status for outcome in outcomes)


def _note(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= NOTE_LIMIT else text[:NOTE_LIMIT] + "…"


def _attempt(attempt: AttemptRecord) -> Attempt:
    return Attempt(attempt.attempt, str(attempt.outcome), attempt.seconds, attempt.isolation, _links(attempt))


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
