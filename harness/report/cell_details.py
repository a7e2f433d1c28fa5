"""One table cell: its result, with the details that the report shows of it."""

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
    Check,
    Column,
    GpuState,
    Hardware,
    IssueEntry,
    KnownIssueState,
    Parameter,
    Placement,
    Row,
    TableCell,
)
from harness.store.records import WHOLE_CELL, AttemptRecord, CellRecord, Frame, GpuBefore, Outcome, Stage
from harness.verdict.comparison import compare
from harness.verdict.known_issues import KnownIssue, State, standing
from harness.verdict.result import NOT_PASSED, ScenarioResult
from harness.verdict.signature import Signature, recognise

NUMBERED = re.compile(r"(.*\.)(\d+)")
LAST_FRAMES = 8
NOTE_LIMIT = 2_000  # characters of a note
BEFORE_RUNNING = {Stage.RESOLVE, Stage.INSTALL}


def hardware(attempt: AttemptRecord, gpus: Mapping[str, str]) -> Hardware | None:
    """Return what is recorded of an attempt's hardware, None without anything; ``gpus`` maps UUIDs to names."""
    found = Hardware(
        gpus=tuple(_gpu(each, gpus.get(each.uuid, "GPU")) for each in attempt.gpus_before),
        allocator=tuple((name, _setting(value)) for name, value in (attempt.allocator or {}).items()),
        sources=tuple((name, source) for name, source in attempt.sources.items() if source),
    )
    return None if found == Hardware() else found


def ran_on(attempt: AttemptRecord) -> str:
    """Return ``cuda``, ``cpu``, ``simulated`` or nothing; older records have only the last."""
    return attempt.ran_on or ("simulated" if attempt.simulated else "")


def placements(attempt: AttemptRecord) -> tuple[Placement, ...]:
    """Return the placement of the model after each stage, in the recorded order."""
    return tuple(_placement(stage, found) for stage, found in attempt.placements.items() if isinstance(found, Mapping))


def short_names(names: Sequence[str]) -> str:
    """Join names; neighbours with consecutive last numbers become one: ``model.layers.0–13``."""
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


def _gpu(before: GpuBefore, name: str) -> GpuState:
    others = tuple((_program(each), each.get("used")) for each in before.processes)
    return GpuState(name, before.total, before.total - before.used, others)


def _program(process: Mapping[str, Any]) -> str:
    """Return the name of a program without its folder, on any system."""
    return str(process.get("name", "")).replace("\\", "/").rsplit("/", 1)[-1] or "a process"


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _placement(stage: str, recorded: Mapping[str, Any]) -> Placement:
    mapped = recorded.get("hf_device_map")
    histogram, largest = recorded.get("bytes", {}), recorded.get("largest", [])
    return Placement(
        stage=stage,
        bytes=tuple((device, dtype, size) for device, row in histogram.items() for dtype, size in row.items()),
        largest=tuple(Parameter(each["name"], each["dtype"], each["device"], each["bytes"]) for each in largest),
        unmatched=tuple(recorded.get("keys_without_module", [])),
        device_map=_by_device(mapped) if isinstance(mapped, Mapping) else None,
        device_map_text="" if mapped is None or isinstance(mapped, Mapping) else str(mapped),
        hooks=tuple(recorded.get("hooks", {}).items()),
    )


def _by_device(mapped: Mapping[str, object]) -> tuple[tuple[str, int, str], ...]:
    """Group the modules of a device map by device: a map of hundreds of layers becomes one line a device."""
    devices: dict[str, list[str]] = {}
    for name, device in mapped.items():
        devices.setdefault(str(device), []).append(name)
    return tuple((device, len(names), short_names(names)) for device, names in devices.items())


def known_issue_state(
    issues: Sequence[KnownIssue], scenario: str, cell: CellRecord, outcome: Outcome | None, names: Sequence[str]
) -> KnownIssueState | None:
    """Return the known issue of a result and its state; ``names`` are those of its failure."""
    found = standing(issues, scenario, cell.versions, outcome, names)
    return KnownIssueState(found.state, _entry(found.issue)) if found else None


def announcements(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Announcement, ...]:
    """Return the known issues that were not reproduced, then those that fail differently; one per entry and state."""
    names = {column.id: column.name for column in columns}
    found: dict[KnownIssueState, list[tuple[str, str]]] = {}
    for row in rows:
        for each in row.table_cells:
            if each.known is not None and each.known.state is not State.KNOWN:
                found.setdefault(each.known, []).append((names[each.cell], row.scenario))

    made = [
        Announcement(
            state=known.state,
            entry=known.entry,
            cells=tuple(dict.fromkeys(cell for cell, _ in keys)),
            scenarios=tuple(dict.fromkeys(scenario for _, scenario in keys)),
        )
        for known, keys in found.items()
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


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run that the details of its results need; ``gpus`` maps UUIDs to names."""

    issues: tuple[KnownIssue, ...] = ()
    gpus: Mapping[str, str] = field(default_factory=dict)


def applies_to(result: ScenarioResult) -> str:
    """Return whether the attempts of a result are of its ``scenario``, its ``file`` or the whole ``cell``."""
    if result.recorded_as == WHOLE_CELL:
        return "cell"
    return "scenario" if "::" in result.recorded_as else "file"


def records(result: ScenarioResult) -> tuple[AttemptRecord, ...]:
    """Return the full records of a result's attempts; a result of summaries has none."""
    return tuple(one for one in result.attempts if isinstance(one, AttemptRecord))


def decisive(result: ScenarioResult) -> AttemptRecord | None:
    """Return the attempt whose details are shown."""
    return next((one for one in records(result) if one is result.decisive), None)


def known_failure(result: ScenarioResult) -> Signature | None:
    """Return the failure by which a red result is grouped: its signature, else its outcome, with its rule."""
    one = result.decisive
    if one is None or one.outcome.status not in NOT_PASSED:
        return None
    name, rule = one.signature or str(one.outcome), recognise(one.failure) if one.failure else None
    return Signature(name, rule.summary, rule.name, rule.tracker) if rule else Signature(name, one.detail)


def unlisted(cell: CellRecord) -> TableCell:
    """Return the table cell of a scenario that the cell does not list."""
    return TableCell(cell.id, None, "", "not listed here")


def table_cell(
    scenario: str, cell: CellRecord, result: ScenarioResult, reference: ScenarioResult | None, facts: RunFacts
) -> TableCell:
    """Return the table cell of one result; ``reference`` is the result of the scenario in the reference cell.

    Figures are over the attempts that count; other details are those of the decisive attempt.
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
        "hardware": hardware(deciding, facts.gpus),
        "placements": placements(deciding),
        "attempts": tuple(_attempt(each) for each in attempts),
    }
    return TableCell(**{**shown.__dict__, **fields})


def _known(scenario: str, cell: CellRecord, result: ScenarioResult, facts: RunFacts) -> KnownIssueState | None:
    if applies_to(result) == "cell":  # an unavailable cell says nothing about known issues
        return None
    return known_issue_state(facts.issues, scenario, cell, result.outcome, result.signatures)


def frame_text(frame: Frame) -> str:
    """Return one frame of a traceback as one line."""
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
    """Return links to an attempt's files below the run folder; a killed process has no ``report.json``."""
    if attempt.folder is None:
        return ()
    if attempt.outcome.stage in BEFORE_RUNNING:
        names = ["install.log"] if attempt.outcome.stage is Stage.INSTALL else []
    else:
        reported = attempt.attempt > 0 and attempt.exit.code is not None
        names = [*(["report.json"] if reported else []), "output.log", "events.jsonl"]
    return tuple(quote(f"{attempt.folder}/{name}") for name in names)


def command_templates(matrix_file: str) -> tuple[tuple[str, str, str], ...]:
    """Return the commands that rerun a result, each as the parts before the cell, before the test and after it."""
    heads = (["harness", "run", matrix_file], ["python3", "-m", "nox", "-s", "matrix", "--", matrix_file])
    return tuple((f"{shlex.join(head)} --cells ", " -k ", "") for head in heads)


def test_of(scenario: str) -> str:
    """Return the name by which pytest's ``-k`` finds a scenario."""
    return scenario.rsplit("::", 1)[-1].split("[", 1)[0]
