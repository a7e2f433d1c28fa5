"""The two sides of a comparison: runs, a baseline, or single cells, found by what a person types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.paths import nearest
from harness.session.boxes import boxes_of, boxes_of_cell
from harness.session.plan import matches
from harness.store.baseline import Acceptance, current, none_of
from harness.store.records import RunRecord
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run, reused_from
from harness.verdict.box import Box, Place
from harness.verdict.compared import with_lines_of, with_lost_lines
from harness.verdict.comparison import relabelled

BASELINE = "baseline"
LOST = "the run has no such cell, though its matrix is the same"


@dataclass(frozen=True)
class Side:
    """One side: what it is called, its run, and its boxes."""

    name: str
    folder: RunFolder
    record: RunRecord
    boxes: dict[Place, Box]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What a person typed for a side: a run, and a cell of it where one is named."""

    run: str
    cell: str | None = None

    @classmethod
    def parse(cls, text: str) -> Asked:
        """Read ``RUN`` or ``RUN:CELL``; a path that is a run stays one whatever is in it."""
        run, colon, cell = text.rpartition(":")
        if not colon or not run or (Path(text) / "run.json").exists():
            return cls(text)
        return cls(run, cell)


def open_sides(
    old: str, new: str, reports: Path, cells: Sequence[str] = ()
) -> tuple[Side, Side, tuple[Acceptance, ...]]:
    """Return both sides, and what was accepted where the old one is the baseline.

    A cell-line that the old run has and the new one lacks is missing, not gone, where both are of one matrix file:
    the matrix still asks for it.

    Args:
        old: ``RUN``, ``RUN:CELL``, or ``baseline`` (that of the other side's matrix).
        new: the same.
        reports: where run folders and baselines lie.
        cells: only lines that one of these names: a line, a cell's id, or a pattern of either.

    Raises:
        ConfigError: a run, a cell or the baseline is not there, or only one side names a cell.
        NothingSelectedError: ``cells`` names no line.
    """
    asked = Asked.parse(old), Asked.parse(new)
    if (asked[0].cell is None) != (asked[1].cell is None):
        raise ConfigError(f"{old} and {new}: name a cell on both sides (RUN:CELL) or on neither")
    folders, accepted = _folders(*asked, reports)
    if asked[0].cell is not None and asked[1].cell is not None:
        first, second = _one_cell(folders[0], asked[0].cell), _one_cell(folders[1], asked[1].cell)
        line = _both(first, second)
        return (
            replace(first, boxes=relabelled(first.boxes, line)),
            replace(second, boxes=relabelled(second.boxes, line)),
            (),
        )
    first, second = map(_whole, folders)
    first = replace(first, boxes=with_lines_of(first.boxes, second.boxes))
    if first.record.matrix and first.record.matrix == second.record.matrix:
        second = replace(second, boxes=with_lost_lines(first.boxes, second.boxes, LOST))
    return *_only(cells, first, second), accepted


def _folders(old: Asked, new: Asked, reports: Path) -> tuple[tuple[RunFolder, RunFolder], tuple[Acceptance, ...]]:
    """Find both runs; a baseline is that of the other side's matrix."""
    if old.run == BASELINE and new.run == BASELINE:
        raise ConfigError("both sides are the baseline: name a run on one of them")
    if new.run == BASELINE:
        first = find_run(old.run, reports)
        return (first, baseline_run(first.read_record().name, reports)[0]), ()
    second = find_run(new.run, reports)
    if old.run == BASELINE:
        first, accepted = baseline_run(second.read_record().name, reports)
        return (first, second), accepted
    return (find_run(old.run, reports), second), ()


def baseline_run(matrix: str, reports: Path) -> tuple[RunFolder, tuple[Acceptance, ...]]:
    """Return the run that is the baseline of a matrix, and what was accepted against it.

    Raises:
        ConfigError: the matrix has none, or its run is not there any more.
    """
    baseline = current(reports, matrix)
    if baseline is None:
        raise ConfigError(none_of(matrix))
    folder = RunFolder(reports.absolute() / baseline.run)
    if not folder.record_file.exists():
        raise ConfigError(f"the baseline of {matrix} is {baseline.run}, which is not below {reports} any more")
    return folder, baseline.accepted


def _whole(folder: RunFolder) -> Side:
    """Return a run as a side; what a night carried stands as the night showed it that ran it."""
    boxes, nights = boxes_of(folder), reused_from(folder)
    lent = {
        place: box
        for night in {one.path: one for one in nights.values()}.values()
        for place, box in boxes_of(night).items()
        if nights.get(place[0]) == night
    }
    counts = Counter(one.path.name for one in nights.values())
    notes = tuple(
        f"{folder.path.name}: {count} line{'' if count == 1 else 's'} not run again, taken as {night} shows them"
        for night, count in counts.items()
    )
    return Side(folder.path.name, folder, folder.read_record(), {**lent, **boxes}, notes)


def _one_cell(folder: RunFolder, pattern: str) -> Side:
    record = folder.read_record()
    ids = [cell.id for cell in record.cells]
    chosen = [name for name in ids if matches(name, pattern)]
    if len(chosen) != 1:
        near = nearest(pattern, ids)
        hint = f"; they are {', '.join(chosen)}" if chosen else f"; the nearest is {near}" if near else ""
        what = "no cell" if not chosen else f"{len(chosen)} cells"
        raise ConfigError(f"{folder.path.name} has {what} called {pattern}{hint}")
    return Side(f"{folder.path.name}:{chosen[0]}", folder, record, boxes_of_cell(folder, chosen[0]))


def _both(first: Side, second: Side) -> str:
    lines = [next((line for line, _ in side.boxes), side.name) for side in (first, second)]
    return " → ".join(dict.fromkeys(lines))


def _only(patterns: Sequence[str], first: Side, second: Side) -> tuple[Side, Side]:
    """Leave only the lines that a pattern names on either side."""
    names = {
        (line, name) for side in (first, second) for (line, _), box in side.boxes.items() for name in (line, box.cell)
    }
    kept = {line for line, name in names if not patterns or any(matches(name, pattern) for pattern in patterns)}
    for pattern in patterns:
        if not any(matches(name, pattern) for _, name in names):
            near = nearest(pattern, sorted({name for _, name in names}))
            raise NothingSelectedError(
                f"no cell or line is called {pattern}{f'; the nearest is {near}' if near else ''}"
            )
    made = (
        replace(side, boxes={place: box for place, box in side.boxes.items() if place[0] in kept})
        for side in (first, second)
    )
    return next(made), next(made)
