"""The two sides of a comparison: runs, baselines or cells, by their names on the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import nearest_cell
from harness.matrix.paths import near_hint
from harness.session.plan import matches
from harness.store.baseline import Acceptance, current, none_of
from harness.store.records import AttemptRecord, RunRecord
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run, reused_from
from harness.verdict.comparison import in_one_series, with_lost_series, with_series_of
from harness.verdict.results import Results, read_results, results_of

BASELINE = "baseline"
LOST = "the run lacks this cell of its matrix"


@dataclass(frozen=True)
class Side:
    """One side of a comparison: its name, its run, its results, and notes for the user."""

    name: str
    folder: RunFolder
    record: RunRecord
    results: Results
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SideName:
    """The name of a side on the command line: a run, and a cell of it or None."""

    run: str
    cell: str | None = None

    @classmethod
    def parse(cls, text: str) -> SideName:
        """Parse ``RUN`` or ``RUN:CELL``; a path of a run folder may contain colons."""
        run, colon, cell = text.rpartition(":")
        if not colon or not run or (Path(text) / "run.json").exists():
            return cls(text)
        return cls(run, cell)


def open_sides(
    old: str, new: str, reports: Path, cells: Sequence[str] = ()
) -> tuple[Side, Side, tuple[Acceptance, ...]]:
    """Return both sides, and the accepted differences if the old one is the baseline.

    If both runs have the same matrix, a series that the new one lacks is missing; otherwise it has disappeared.

    Args:
        old: ``RUN``, ``RUN:CELL``, or ``baseline`` (of the matrix of the other side).
        new: the same.
        reports: the folder of the runs and baselines.
        cells: series, ids of cells, or patterns of either; empty for all.

    Raises:
        ConfigError: there is no such run, cell or baseline, or only one side names a cell.
        NothingSelectedError: a pattern in ``cells`` matches nothing.
    """
    names = SideName.parse(old), SideName.parse(new)
    if (names[0].cell is None) != (names[1].cell is None):
        raise ConfigError(f"{old} and {new}: name a cell on both sides (RUN:CELL) or on neither")
    folders, accepted = _folders(*names, reports)
    if names[0].cell is not None and names[1].cell is not None:
        first, second = _read_cell(folders[0], names[0].cell), _read_cell(folders[1], names[1].cell)
        series = _common_series(first, second)
        return (
            replace(first, results=in_one_series(first.results, series)),
            replace(second, results=in_one_series(second.results, series)),
            (),
        )

    first, second = map(read_side, folders)
    first = replace(first, results=with_series_of(first.results, second.results))
    if first.record.matrix and first.record.matrix == second.record.matrix:
        second = replace(second, results=with_lost_series(first.results, second.results, LOST))
    return *_with_series(cells, first, second), accepted


def _folders(old: SideName, new: SideName, reports: Path) -> tuple[tuple[RunFolder, RunFolder], tuple[Acceptance, ...]]:
    """Return the runs of both sides, and the accepted differences if the old one is the baseline."""
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
    """Return the run that is the baseline of a matrix, and the differences that were accepted.

    Raises:
        ConfigError: the matrix has no baseline, or the run was removed.
    """
    baseline = current(reports, matrix)
    if baseline is None:
        raise ConfigError(none_of(matrix))
    folder = RunFolder(reports.absolute() / baseline.run)
    if not folder.record_file.exists():
        raise ConfigError(f"the baseline of {matrix} is {baseline.run}, which is no longer below {reports}")
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


def _read_cell(folder: RunFolder, pattern: str) -> Side:
    record = folder.read_record()
    ids = [cell.id for cell in record.cells]
    chosen = [name for name in ids if matches(name, pattern)]
    if len(chosen) != 1:
        near = nearest_cell(pattern, ids)
        hint = f"; they are {', '.join(chosen)}" if chosen else f"; the nearest is {near}" if near else ""
        what, verb = ("no cell", "matches") if not chosen else (f"{len(chosen)} cells", "match")
        raise ConfigError(f"{folder.path.name} has {what} that {verb} {pattern}{hint}")

    own = {key: one for key, one in read_results(folder).items() if one.cell == chosen[0]}
    return Side(f"{folder.path.name}:{chosen[0]}", folder, record, own)


def _common_series(first: Side, second: Side) -> str:
    """Return the series under which the results of two cells are compared."""
    names = [next((key.series for key in side.results), side.name) for side in (first, second)]
    return " → ".join(dict.fromkeys(names))


def _with_series(patterns: Sequence[str], first: Side, second: Side) -> tuple[Side, Side]:
    """Return both sides with the series that a pattern matches on either side; all without patterns."""
    names = {
        (key.series, name)
        for side in (first, second)
        for key, one in side.results.items()
        for name in (key.series, one.cell)
    }
    kept = {series for series, name in names if not patterns or any(matches(name, pattern) for pattern in patterns)}
    for pattern in patterns:
        if not any(matches(name, pattern) for _, name in names):
            hint = near_hint(pattern, sorted({name for _, name in names}))
            raise NothingSelectedError(f"no cell or series matches {pattern}{hint}")

    made = (
        replace(side, results={key: one for key, one in side.results.items() if key.series in kept})
        for side in (first, second)
    )
    return next(made), next(made)
