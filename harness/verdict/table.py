"""The table of a run: one row per cell × scenario × attempt, with the result that all attempts give together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.store.files import replacing
from harness.store.journal import JournalContent
from harness.store.records import AttemptRecord, CellRecord, RunRecord, Status
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run
from harness.verdict.result import ScenarioResult
from harness.verdict.results import GpuModels, results_of

TEXT = (
    "cell",
    "scenario",
    "row",
    "outcome",
    "stage",
    "status",
    "reason",
    "result",
    "signature",
    "detail",
    "simulated",
    "ran_on",
    "isolation",
)
FIXED = ("scenario", "row", "attempt", *TEXT[3:], "started", "seconds")


def load_table(run: str | Path, reports: str | Path = "reports") -> pd.DataFrame:
    """Return the table of a run; built from the journal where ``results.parquet`` is missing or older.

    One row per attempt. A result without attempts of its own (missing, or recorded for its whole file or cell) has one
    row with attempt 0. Columns: ``cell``, one per package by its index name, ``python``, ``gpu``, one per variable,
    ``scenario``, ``row``, ``attempt``, ``outcome``, ``stage``, ``status``, ``reason`` (of the attempt), ``result`` (the
    status of the scenario in the cell over all its attempts; empty for an attempt that no result counts),
    ``signature``, ``detail``, ``simulated``, ``ran_on`` (``cuda``, ``cpu``, ``simulated``), ``isolation``, ``started``
    (UTC), ``seconds``, then figures as ``<figure>.<phase>`` (bytes; ``seconds.*``: seconds) and a scenario's own as
    ``x.<name>``.

    Args:
        run: a path, a run's name, a unique beginning or end of it, ``latest``, ``latest~2``.
        reports: the folder with the run folders.

    Raises:
        ConfigError: there is no such run, or it cannot be read.
    """
    folder = find_run(str(run), Path(reports))
    parquet = folder.path / "results.parquet"
    if parquet.exists() and parquet.stat().st_mtime >= folder.journal_file.stat().st_mtime:
        frame = pd.read_parquet(parquet)
        if "result" in frame.columns:  # older versions did not write it
            return frame
    return build_table(*folder.read(AttemptRecord))


def build_table(run: RunRecord, journal: JournalContent[AttemptRecord]) -> pd.DataFrame:
    """Make the table from the records; columns are typed even where every value is missing."""
    packages = sorted({name for cell in run.cells for name in cell.pins})
    variables = sorted({name for cell in run.cells for name in cell.variables})
    cells, gpus = {cell.id: cell for cell in run.cells}, GpuModels(run)
    rows = [
        {
            "gpu": gpus.of_part(attempt.part if attempt else "") or None,
            **_cell_columns(cells[cell], packages, variables),
            **row,
        }
        for cell, attempt, row in _rows(run, journal)
    ]
    figures = sorted({name for attempt in journal.attempts for name in attempt.figures})
    frame = pd.DataFrame(rows, columns=["cell", *packages, "python", "gpu", *variables, *FIXED, *figures])
    texts = dict.fromkeys([*TEXT, *packages, "python", "gpu", *variables], "string")
    frame = frame.astype({**texts, "attempt": "int64", "seconds": "float64", "started": "datetime64[us, UTC]"})
    return frame.astype(_figure_types(journal.attempts, figures))


def write_table(run: RunRecord, journal: JournalContent[AttemptRecord], folder: RunFolder) -> pd.DataFrame:
    """Write ``results.parquet`` and ``results.csv`` into a run folder, each whole or not at all."""
    frame = build_table(run, journal)
    with replacing(folder.path / "results.parquet") as scratch:
        frame.to_parquet(scratch, index=False)
    with replacing(folder.path / "results.csv") as scratch:
        frame.to_csv(scratch, index=False)
    return frame


def _rows(
    run: RunRecord, journal: JournalContent[AttemptRecord]
) -> Iterator[tuple[str, AttemptRecord | None, dict[str, Any]]]:
    """Yield the cell, the attempt and the remaining columns of each row, results first, then what none counts."""
    counted: set[int] = set()
    for result in results_of(run, journal).values():
        attempts = [one for one in result.attempts if isinstance(one, AttemptRecord)]
        counted |= {id(one) for one in attempts}
        if result.recorded_as == result.key.scenario and attempts:
            for one in attempts:
                yield result.cell, one, _attempt_columns(one, result.key.scenario, result.status)
        else:
            yield result.cell, None, _without_attempt(result)

    known = {cell.id for cell in run.cells}
    for one in journal.attempts:
        if id(one) not in counted and one.cell in known:
            yield one.cell, one, _attempt_columns(one, one.scenario, None)


def _attempt_columns(attempt: AttemptRecord, scenario: str, result: Status | None) -> dict[str, Any]:
    outcome = attempt.outcome
    return {
        "scenario": scenario,
        "row": attempt.row,
        "attempt": attempt.attempt,
        "outcome": str(outcome),
        "stage": outcome.stage.value,
        "status": outcome.status.value,
        "reason": outcome.reason.value if outcome.reason else None,
        "result": result.value if result else None,
        "signature": attempt.signature,
        "detail": attempt.detail,
        "simulated": attempt.simulated,
        "ran_on": attempt.ran_on or None,
        "isolation": attempt.isolation or None,
        "started": pd.Timestamp(attempt.started).tz_convert("UTC"),
        "seconds": attempt.seconds,
        **attempt.figures,
    }


def _without_attempt(result: ScenarioResult) -> dict[str, Any]:
    """Return the row of a result without attempts of its own: what its file or cell gave, or that it is missing."""
    decisive = result.decisive
    if isinstance(decisive, AttemptRecord):
        return {**_attempt_columns(decisive, result.key.scenario, result.status), "attempt": 0}
    missing = {"status": Status.MISS.value, "result": Status.MISS.value, "detail": result.reason}
    return {"scenario": result.key.scenario, "attempt": 0, **missing}


def _cell_columns(cell: CellRecord, packages: Sequence[str], variables: Sequence[str]) -> dict[str, Any]:
    return {
        "cell": cell.id,
        **{name: cell.versions.get(name, cell.pins.get(name)) for name in packages},
        "python": cell.python,
        **{name: cell.variables.get(name) for name in variables},
    }


def _figure_types(attempts: Sequence[AttemptRecord], figures: Sequence[str]) -> dict[str, str]:
    """Nullable integers where every attempt gave an integer (bytes, counts), else floats."""
    measured = dict.fromkeys(figures, True)
    for attempt in attempts:
        for name, value in attempt.figures.items():
            measured[name] = measured[name] and isinstance(value, int)
    return {name: "Int64" if whole else "Float64" for name, whole in measured.items()}
