"""The table: one row per cell × scenario × attempt, as a pandas DataFrame, parquet and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.store.files import replacing
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord
from harness.store.run_folder import RunFolder

TEXT = (
    "cell",
    "scenario",
    "row",
    "outcome",
    "stage",
    "status",
    "reason",
    "signature",
    "detail",
    "simulated",
    "ran_on",
    "isolation",
)


def load(run: str | Path) -> pd.DataFrame:
    """Return the table of a run folder; built from the journal where ``results.parquet`` is missing or older.

    Columns: ``cell``, one per package by its index name, ``python``, ``gpu``, one per variable, ``scenario``, ``row``,
    ``attempt``, ``outcome``, ``stage``, ``status``, ``reason``, ``signature``, ``detail``, ``simulated``, ``ran_on``
    (``cuda``, ``cpu``, ``simulated``), ``isolation``, ``started`` (UTC), ``seconds``, then figures as
    ``<figure>.<phase>`` (bytes; ``seconds.*``: seconds) and a scenario's own as ``x.<name>``.

    Raises:
        ConfigError: the folder is not a run.
    """
    folder = RunFolder(Path(run))
    parquet = folder.path / "results.parquet"
    if parquet.exists() and parquet.stat().st_mtime >= folder.journal_file.stat().st_mtime:
        return pd.read_parquet(parquet)
    return build(folder.read_record(), folder.attempts())


def build(run: RunRecord, attempts: Sequence[AttemptRecord]) -> pd.DataFrame:
    """Make the table from the records; columns are typed even where every value is missing."""
    cells = {cell.id: cell for cell in run.cells}
    gpus = {part.run: gpu_names(part.host) for part in run.parts}
    gpu = gpu_names(run.host)
    packages = sorted({name for cell in run.cells for name in cell.pins})
    variables = sorted({name for cell in run.cells for name in cell.variables})
    rows = [
        _row(cells[attempt.cell], attempt, packages, variables, gpus.get(attempt.part, gpu)) for attempt in attempts
    ]
    figures = sorted({name for attempt in attempts for name in attempt.figures})
    fixed = ["cell", *packages, "python", "gpu", *variables, "scenario", "row", "attempt", "outcome", "stage", "status"]
    fixed += ["reason", "signature", "detail", "simulated", "ran_on", "isolation", "started", "seconds"]
    frame = pd.DataFrame(rows, columns=[*fixed, *figures])
    texts = dict.fromkeys([*TEXT, *packages, "python", "gpu", *variables], "string")
    return frame.astype({**texts, "attempt": "int64", "seconds": "float64"}).astype(_figure_types(attempts, figures))


def write(run: RunRecord, attempts: Sequence[AttemptRecord], folder: Path) -> pd.DataFrame:
    """Build the table and write ``results.parquet`` and ``results.csv`` into ``folder``."""
    frame = build(run, attempts)
    with replacing(folder / "results.parquet") as scratch:
        frame.to_parquet(scratch, index=False)
    with replacing(folder / "results.csv") as scratch:
        frame.to_csv(scratch, index=False)
    return frame


def gpu_names(host: HostRecord) -> str | None:
    """Return the models of a machine's GPUs, None where it has none."""
    return ", ".join(sorted({gpu.name for gpu in host.gpus})) or None


def _row(
    cell: CellRecord, attempt: AttemptRecord, packages: list[str], variables: list[str], gpu: str | None
) -> dict[str, Any]:
    outcome = attempt.outcome
    return {
        "cell": cell.id,
        **{name: cell.versions.get(name, cell.pins.get(name)) for name in packages},
        "python": cell.python,
        "gpu": gpu,
        **{name: cell.variables.get(name) for name in variables},
        "scenario": attempt.scenario,
        "row": attempt.row,
        "attempt": attempt.attempt,
        "outcome": str(outcome),
        "stage": outcome.stage.value,
        "status": outcome.status.value,
        "reason": outcome.reason.value if outcome.reason else None,
        "signature": attempt.signature,
        "detail": attempt.detail,
        "simulated": attempt.simulated,
        "ran_on": attempt.ran_on or None,
        "isolation": attempt.isolation or None,
        "started": pd.Timestamp(attempt.started).tz_convert("UTC"),
        "seconds": attempt.seconds,
        **attempt.figures,
    }


def _figure_types(attempts: Sequence[AttemptRecord], figures: list[str]) -> dict[str, str]:
    """Nullable integers where every attempt gave an integer (bytes, counts), else floats."""
    measured = dict.fromkeys(figures, True)
    for attempt in attempts:
        for name, value in attempt.figures.items():
            measured[name] = measured[name] and isinstance(value, int)
    return {name: "Int64" if whole else "Float64" for name, whole in measured.items()}
