"""The files of a nightly run: ``night.json`` when it begins, ``nightly.json`` and the ledger when it ends."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from harness.errors import ConfigError
from harness.nightly.claim import Claim
from harness.nightly.ledger import LastResult, Ledger
from harness.nightly.machine import MachineSnapshot
from harness.nightly.selection import PlannedSeries
from harness.store.files import write_bytes
from harness.store.records import Record
from harness.store.run_folder import RunFolder
from harness.store.runs import NIGHT
from harness.verdict.result import ResultKey

STATE, REPORT, LEDGER = NIGHT, "nightly.json", "ledger.json.gz"
SCHEMA = 1
AnyRecord = TypeVar("AnyRecord", bound=Record)


class NightlyState(Record):
    """``night.json``: what a nightly run needs to be resumed.

    Attributes:
        previous: The nightly run whose ledger it uses; empty for the first.
        planned: Every planned cell.
        run_all: Every cell is run (``--all``).
        machine: The machine at the beginning.
        attempts_before_last: Scenario of the control cell → its attempts before the control cell ran last.
        searches: Key of a search → its run folder.
    """

    matrix: str
    today: date
    previous: str
    planned: tuple[PlannedSeries, ...]
    run_all: bool = Field(default=False, alias="everything")
    machine: MachineSnapshot = Field(MachineSnapshot(), alias="facts")
    attempts_before_last: dict[str, int] | None = Field(None, alias="before_last")
    searches: dict[str, str] = Field(default_factory=dict)


class SearchSummary(Record):
    """A search for the cause of a new regression.

    Attributes:
        keys: The regressions that it explains.
        change: What changed, such as ``transformers 5.6.2 → 5.23.0``.
        answer: The conclusion in one sentence, or why nothing was searched.
        ending: ``found``, ``inconclusive``, ``interrupted``, …; empty if nothing was run.
        run: Its run folder, if it has one.
        versions: The last good and the first bad release or commit.
    """

    keys: tuple[ResultKey, ...] = Field(alias="places")
    change: str = Field(alias="what")
    answer: str
    ending: str = ""
    run: str = ""
    package: str = ""
    versions: tuple[str, str] | None = None


class ReusedResults(Record):
    """The results that were reused from one nightly run."""

    run: str = Field(alias="night")
    count: int
    keys: tuple[ResultKey, ...] = Field((), alias="places")


class NightlyReport(Record):
    """``nightly.json``: what a nightly run claims.

    Attributes:
        code: The exit code.
        verdict: The exit code in words.
        drift: How the control cell drifted.
        changes: What else changed on the machine.
        counts: Status → number of results that were run.
        resolved: Series → package → version, or address of what is built from a commit.
        reasons: Series → why it was run.
    """

    schema_version: int = SCHEMA
    run: str = Field(alias="night")
    matrix: str
    title: str = ""
    started: datetime
    finished: datetime
    previous: str
    baseline: str = ""
    code: int
    verdict: str
    gpus: tuple[str, ...] = ()
    control: str
    drift: tuple[str, ...] = Field((), alias="moved")
    changes: tuple[str, ...] = Field((), alias="machine")
    counts: dict[str, int]
    reused: tuple[ReusedResults, ...] = Field((), alias="carried")
    resolved: dict[str, dict[str, str]] = Field(default_factory=dict)
    reasons: dict[str, str] = Field(default_factory=dict, alias="ran")
    claims: tuple[Claim, ...] = ()
    against_baseline: tuple[str, ...] = ()
    searches: tuple[SearchSummary, ...] = ()
    drafts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write(record: Record, path: Path) -> None:
    """Write a record whole or not at all, compressed where the name says so."""
    text = record.model_dump_json(indent=1).encode()
    write_bytes(path, gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def read(path: Path, kind: type[AnyRecord]) -> AnyRecord | None:
    """Read a record back; None if there is none.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        raw = path.read_bytes()
        return kind.model_validate_json(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except FileNotFoundError:
        return None
    except (ValidationError, OSError, EOFError) as error:
        raise ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def read_ledger(reports: Path, run: str) -> Ledger | None:
    """Return the ledger of a nightly run; None if ``run`` is empty.

    Raises:
        ConfigError: It cannot be read.
    """
    return read(reports.absolute() / run / LEDGER, Ledger) if run else None


def previous_report(
    reports: Path, matrix: str, gpus: Sequence[str], evaluated: RunFolder | None = None
) -> NightlyReport | None:
    """Return the report of the newest nightly run of a matrix that finished on the same GPU models.

    If ``evaluated`` is evaluated, neither it nor a nightly run that began after it counts.
    """
    until = evaluated.read_record().started if evaluated else None
    found = [
        one
        for path in reports.absolute().glob(f"*/{REPORT}")
        if (evaluated is None or path.parent.resolve() != evaluated.path.resolve())
        and (path.parent / LEDGER).exists()
        and (one := read(path, NightlyReport)) is not None
    ]
    earlier = [one for one in found if until is None or one.started <= until]
    comparable = [one for one in earlier if one.matrix == matrix and one.gpus == tuple(gpus)]
    return max(comparable, key=lambda one: one.finished, default=None)


def interrupted_run(reports: Path, matrix: str) -> RunFolder | None:
    """Return the newest nightly run of a matrix if it began and did not finish."""
    for path in sorted(reports.absolute().glob(f"*/{STATE}"), reverse=True):
        state = read(path, NightlyState)
        if state is not None and state.matrix == matrix:
            return None if (path.parent / REPORT).exists() else RunFolder(path.parent)
    return None


def count_reused(reused: Mapping[ResultKey, LastResult]) -> tuple[ReusedResults, ...]:
    """Group reused results by the nightly run that made them."""
    runs = sorted({one.run for one in reused.values()})
    groups = {run: tuple(sorted(key for key, one in reused.items() if one.run == run)) for run in runs}
    return tuple(ReusedResults(run=run, count=len(keys), keys=keys) for run, keys in groups.items())
