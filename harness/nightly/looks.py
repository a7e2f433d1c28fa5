"""What a run folder shows of every place that was to be run, attempt by attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.nightly.look import Look, Mark, Place
from harness.session.boxes import boxes_of
from harness.session.conclude import standing
from harness.store.records import WHOLE_CELL, AttemptRecord, CellRecord, Reason, fallback_ids, function_of, series_names
from harness.store.run_folder import RunFolder
from harness.verdict.box import Box
from harness.verdict.noise import Spread


@dataclass(frozen=True)
class Shown:
    """The looks of a run by place, and the cell of each line."""

    looks: Mapping[Place, Look]
    cells: Mapping[str, CellRecord]  # line -> cell


def looks_of(folder: RunFolder) -> Shown:
    """Read a run; a cell that could not be set up is one look, ``*``, and so is a file that could not be collected.

    Raises:
        ConfigError: the folder is not a run.
    """
    record = folder.read_record()
    lines = series_names(record.cells, record.name)
    cells = {lines[cell.id]: cell for cell in record.cells}
    attempts = _ended(standing(folder.attempts()))
    sources = {info.id: info.source for info in record.scenarios}
    looks: dict[Place, Look] = {}
    for (line, scenario), box in boxes_of(folder).items():
        name = _speaking(attempts, box.cell, scenario)
        mine = attempts.get((box.cell, name), [])
        mark = Mark(cells[line].lock or "", sources.get(function_of(scenario), ""))
        looks[line, name] = _look(box, name, mine, mark)
    return Shown(looks, cells)


def first_and_last(look: Look, before_last: int | None) -> tuple[Look, Look]:
    """Cut a look at the control cell into its first attempt and those after the first ``before_last``."""
    cut = len(look.attempts) - 1 if before_last is None else before_last
    return _part(look, slice(0, 1)), _part(look, slice(max(cut, 0), None))


def _part(look: Look, part: slice) -> Look:
    figures = {name: values[part] for name, values in look.figures.items() if len(values) == len(look.attempts)}
    return replace(look, attempts=look.attempts[part], figures=figures)


def _ended(attempts: Iterable[AttemptRecord]) -> dict[tuple[str, str], list[AttemptRecord]]:
    """Group the attempts that were not cut off, the last record of each number, in the order of their numbers."""
    found: dict[tuple[str, str], dict[int, AttemptRecord]] = {}
    for one in attempts:
        if one.outcome.reason is not Reason.INTERRUPTED:
            found.setdefault((one.cell, one.scenario), {})[one.attempt] = one
    return {place: [one for _, one in sorted(numbers.items())] for place, numbers in found.items()}


def _speaking(attempts: Mapping[tuple[str, str], Sequence[AttemptRecord]], cell: str, scenario: str) -> str:
    """Return the name under which attempts speak for a scenario; itself where nobody does."""
    return next((name for name in fallback_ids(scenario) if (cell, name) in attempts), scenario)


def _look(box: Box, scenario: str, attempts: Sequence[AttemptRecord], mark: Mark) -> Look:
    names = {name for one in attempts for name in one.figures}
    return Look(
        line=box.line,
        scenario=scenario,
        cell=box.cell,
        attempts=tuple(one.outcome for one in attempts),
        signatures=box.signatures,
        figures={name: tuple(one.figures[name] for one in attempts if name in one.figures) for name in sorted(names)},
        versions=box.versions,
        mark=mark if scenario != WHOLE_CELL else replace(mark, source=""),
        gpu=box.gpu,
        reason=box.reason,
        built=box.built,
    )


def look_of_box(box: Box) -> Look:
    """Return a baseline's box as a look: its outcomes once each, its figures by the values of their spread."""
    return Look(
        line=box.line,
        scenario=box.scenario,
        cell=box.cell,
        attempts=box.outcomes.outcomes,
        signatures=box.signatures,
        figures={name: _values(one) for name, one in box.figures.items()},
        versions=box.versions,
        gpu=box.gpu,
        reason=box.reason,
        built=box.built,
    )


def _values(one: Spread) -> tuple[float, ...]:
    """Return values with this median, lowest and highest; one or two where it has no more."""
    return {1: (one.median,), 2: (one.low, one.high)}.get(one.count, (one.low, one.median, one.high))
