"""The two sides of a comparison: runs, a baseline, or single cells, found by what a person types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import nearest_cell
from harness.matrix.paths import nearest
from harness.session.plan import matches
from harness.store.baseline import Acceptance, current, none_of
from harness.store.records import AttemptRecord, RunRecord
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run, reused_from
from harness.verdict.comparison import in_one_series, with_lost_series, with_series_of
from harness.verdict.results import Results, read_results, results_of

BASELINE = "baseline"
LOST = "the run has no such cell, though its matrix is the same"


@dataclass(frozen=True)
class Side:
    """One side: what it is called, its run, and its results."""

    name: str
    folder: RunFolder
    record: RunRecord
    results: Results
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SideName:
    """What a person typed for a side: a run, and a cell of it where one is named."""

    run: str
    cell: str | None = None

    @classmethod
    def parse(cls, text: str) -> SideName:
        """Read ``RUN`` or ``RUN:CELL``; a path that is a run stays one whatever is in it."""
        run, colon, cell = text.rpartition(":")
        if not colon or not run or (Path(text) / "run.json").exists():
            return cls(text)
        return cls(run, cell)


def open_sides(
    old: str, new: str, reports: Path, cells: Sequence[str] = ()
) -> tuple[Side, Side, tuple[Acceptance, ...]]:
    """Return both sides, and what was accepted where the old one is the baseline.

    A series that the old run has and the new one lacks is missing, not gone, where both are of one matrix file:
    the matrix still asks for it.

    Args:
        old: ``RUN``, ``RUN:CELL``, or ``baseline`` (that of the other side's matrix).
        new: the same.
        reports: where run folders and baselines lie.
        cells: only series that one of these names: a series, a cell's id, or a pattern of either.

    Raises:
        ConfigError: a run, a cell or the baseline is not there, or only one side names a cell.
        NothingSelectedError: ``cells`` names no series.
    """
    asked = SideName.parse(old), SideName.parse(new)
    if (asked[0].cell is None) != (asked[1].cell is None):
        raise ConfigError(f"{old} and {new}: name a cell on both sides (RUN:CELL) or on neither")
    folders, accepted = _folders(*asked, reports)
    if asked[0].cell is not None and asked[1].cell is not None:
        first, second = _one_cell(folders[0], asked[0].cell), _one_cell(folders[1], asked[1].cell)
        series = _both(first, second)
        return (
            replace(first, results=in_one_series(first.results, series)),
            replace(second, results=in_one_series(second.results, series)),
            (),
        )
    first, second = map(read_side, folders)
    first = replace(first, results=with_series_of(first.results, second.results))
    if first.record.matrix and first.record.matrix == second.record.matrix:
        second = replace(second, results=with_lost_series(first.results, second.results, LOST))
    return *_only(cells, first, second), accepted


def _folders(old: SideName, new: SideName, reports: Path) -> tuple[tuple[RunFolder, RunFolder], tuple[Acceptance, ...]]:
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


def read_side(folder: RunFolder) -> Side:
    """Read a run as a side; results that a nightly run reused are those of the nightly run that made them.

    Raises:
        ConfigError: the folder is not a run, or its plan cannot be read.
    """
    record, journal = folder.read(AttemptRecord)
    results, nights = results_of(record, journal), reused_from(folder)
    reused = {
        key: one
        for night in {one.path: one for one in nights.values()}.values()
        for key, one in read_results(night).items()
        if nights.get(key.series) == night
    }
    counts = Counter(one.path.name for one in nights.values())
    notes = tuple(
        f"{folder.path.name}: {count} series not run again, taken from {night}" for night, count in counts.items()
    )
    return Side(folder.path.name, folder, record, {**reused, **results}, notes)


def _one_cell(folder: RunFolder, pattern: str) -> Side:
    record = folder.read_record()
    ids = [cell.id for cell in record.cells]
    chosen = [name for name in ids if matches(name, pattern)]
    if len(chosen) != 1:
        near = nearest_cell(pattern, ids)
        hint = f"; they are {', '.join(chosen)}" if chosen else f"; the nearest is {near}" if near else ""
        what = "no cell" if not chosen else f"{len(chosen)} cells"
        raise ConfigError(f"{folder.path.name} has {what} called {pattern}{hint}")
    own = {key: one for key, one in read_results(folder).items() if one.cell == chosen[0]}
    return Side(f"{folder.path.name}:{chosen[0]}", folder, record, own)


def _both(first: Side, second: Side) -> str:
    names = [next((key.series for key in side.results), side.name) for side in (first, second)]
    return " → ".join(dict.fromkeys(names))


def _only(patterns: Sequence[str], first: Side, second: Side) -> tuple[Side, Side]:
    """Leave only the series that a pattern names on either side."""
    names = {
        (key.series, name)
        for side in (first, second)
        for key, one in side.results.items()
        for name in (key.series, one.cell)
    }
    kept = {series for series, name in names if not patterns or any(matches(name, pattern) for pattern in patterns)}
    for pattern in patterns:
        if not any(matches(name, pattern) for _, name in names):
            near = nearest(pattern, sorted({name for _, name in names}))
            raise NothingSelectedError(
                f"no cell or series is called {pattern}{f'; the nearest is {near}' if near else ''}"
            )
    made = (
        replace(side, results={key: one for key, one in side.results.items() if key.series in kept})
        for side in (first, second)
    )
    return next(made), next(made)
