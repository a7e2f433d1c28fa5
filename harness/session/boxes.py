"""Every box that a run was to have, by cell-line and scenario, also those without a result."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.session.conclude import standing
from harness.store.journal import read
from harness.store.records import (
    WHOLE_CELL,
    AttemptRecord,
    CellRecord,
    HostRecord,
    RunRecord,
    Status,
    fallback_ids,
    function_of,
    series_names,
)
from harness.store.run_folder import RunFolder
from harness.verdict.box import Box, Place
from harness.verdict.compare import result_of
from harness.verdict.measures import spreads
from harness.verdict.signature import recognise

RED = {Status.FAIL, Status.ERROR}
Recorded = Mapping[tuple[str, str], tuple[AttemptRecord, ...]]  # (cell, scenario) -> attempts


@dataclass(frozen=True)
class Seen:
    """What the journal tells beside the attempts: what each cell listed, which cells and attempts began, the end."""

    listed: Mapping[str, Collection[str]] = field(default_factory=dict)
    begun: frozenset[str] = frozenset()  # cells whose environment was begun
    attempted: frozenset[tuple[str, str]] = frozenset()  # (cell, scenario)
    end: str = ""  # run_finished, run_interrupted, or empty: killed, or still running


def boxes_of(folder: RunFolder) -> dict[Place, Box]:
    """Return every expected box of a run by its place; one without a result has an empty ``Result`` and the reason.

    Raises:
        ConfigError: the folder is not a run, or its plan cannot be read.
    """
    return boxes(folder.read_record(), folder.attempts(), seen_in(folder))


def boxes_of_cell(folder: RunFolder, cell: str) -> dict[Place, Box]:
    """Return the boxes of one cell, by its id, by their place."""
    return {place: box for place, box in boxes_of(folder).items() if box.cell == cell}


def seen_in(folder: RunFolder) -> Seen:
    """Read what the journal tells beside the attempts."""
    listed: dict[str, set[str]] = {}
    begun, attempted, end = set(), set(), ""
    for event in read(folder.journal_file):
        match event:
            case {"event": "collected", "cell": str(cell), "scenarios": list(scenarios)}:
                listed.setdefault(cell, set()).update(one["id"] for one in scenarios)
            case {"event": "environment_started" | "environment", "cell": str(cell)}:
                begun.add(cell)
            case {"event": "attempt_started", "cell": str(cell), "scenario": str(scenario)}:
                attempted.add((cell, scenario))
            case {"event": "run_finished" | "run_interrupted" as end}:
                pass
            case {"event": "run_started"}:
                end = ""
    return Seen(listed, frozenset(begun), frozenset(attempted), end)


def boxes(run: RunRecord, attempts: Sequence[AttemptRecord], seen: Seen) -> dict[Place, Box]:
    """Return the boxes of a run from its records: pure.

    Expected in a cell is what it listed, and every planned scenario of which it listed nothing; in a cell that listed
    nothing, what other cells have. A cell of which nothing at all is known has one box for its whole.
    """
    lines = series_names(run.cells, run.name)
    recorded = _recorded(standing(attempts))
    everywhere = {*(name for names in seen.listed.values() for name in names)}
    everywhere |= {each.scenario for each in attempts if "::" in each.scenario}
    found = {}
    for cell in run.cells:
        for scenario in _expected(run, cell.id, seen, recorded, everywhere):
            place = (lines[cell.id], scenario)
            attempts_here = _speaking(recorded, cell.id, scenario)
            found[place] = _box(run, cell, place, attempts_here, _why_missing(cell.id, scenario, seen))
    return found


def _expected(run: RunRecord, cell: str, seen: Seen, recorded: Recorded, everywhere: Collection[str]) -> Iterable[str]:
    own = {scenario for of, scenario in recorded if of == cell and "::" in scenario}
    names = own | set(seen.listed.get(cell, everywhere))
    names |= {info.id for info in run.scenarios}
    split = {function_of(name) for name in names if "[" in name}
    return sorted(names - split) or [WHOLE_CELL]


def _recorded(attempts: Iterable[AttemptRecord]) -> Recorded:
    """Keep the last record of every attempt number."""
    found: dict[tuple[str, str], dict[int, AttemptRecord]] = {}
    for each in attempts:
        found.setdefault((each.cell, each.scenario), {})[each.attempt] = each
    return {place: tuple(one for _, one in sorted(records.items())) for place, records in found.items()}


def _speaking(recorded: Recorded, cell: str, scenario: str) -> tuple[AttemptRecord, ...]:
    """Return the attempts that speak for a scenario in a cell: its own, its function's, its file's, the cell's."""
    return next((recorded[cell, name] for name in fallback_ids(scenario) if (cell, name) in recorded), ())


def _box(run: RunRecord, cell: CellRecord, place: Place, attempts: Sequence[AttemptRecord], why: str) -> Box:
    """Make one box; ``why`` is said where there is no attempt."""
    telling = [*attempts, *(each for each in attempts if each.outcome.status in RED)][-1:]
    models = {model for each in attempts for model in _models(run, each)} if attempts else _of_host(run.host)
    return Box(
        line=place[0],
        scenario=place[1],
        cell=cell.id,
        outcomes=result_of([each.outcome for each in attempts]),
        signatures=tuple(name for each in telling for name in _names(each)),
        figures=spreads(attempts),
        versions={"python": cell.python, **cell.versions} if cell.versions else {},
        reason=telling[0].detail if telling else why,
        gpu=", ".join(sorted(models)),
        built=cell.built,
    )


def _names(attempt: AttemptRecord) -> Iterator[str]:
    """Yield the names a red attempt goes by: its signature, else its outcome; then its rule's."""
    if attempt.outcome.status in RED:
        yield attempt.signature or str(attempt.outcome)
        rule = recognise(attempt.failure) if attempt.failure else None
        if rule:
            yield rule.name


def _models(run: RunRecord, attempt: AttemptRecord) -> set[str]:
    """Return the models of the cards an attempt had; where it names none, of its machine."""
    hosts = {part.run: part.host for part in run.parts}
    known = {gpu.uuid: gpu.name for host in (run.host, *hosts.values()) for gpu in host.gpus}
    cards = {known[card.uuid] for card in attempt.gpus_before if card.uuid in known}
    return cards or _of_host(hosts.get(attempt.part, run.host))


def _of_host(host: HostRecord) -> set[str]:
    return {gpu.name for gpu in host.gpus}


def _why_missing(cell: str, scenario: str, seen: Seen) -> str:
    """Say why a box has no result, as far as the journal knows."""
    ended = {"run_finished": "", "run_interrupted": "; the run was interrupted"}.get(
        seen.end, "; the run has no end: it was killed, lost its disk or machine, or goes on"
    )
    if cell not in seen.listed:
        begun = "it got no further than its environment" if cell in seen.begun else "the cell never began"
        return f"{begun}{ended}"
    if scenario not in seen.listed[cell]:
        return f"planned, but the cell did not list it{ended}"
    return f"{'began and never ended' if (cell, scenario) in seen.attempted else 'was never attempted'}{ended}"
