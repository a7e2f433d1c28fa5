"""What is kept of a night beside its run: ``night.json`` when it begins, ``nightly.json`` and the ledger at its end."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from harness.errors import ConfigError
from harness.nightly.claim import Claim
from harness.nightly.machine import MachineSnapshot
from harness.nightly.selection import Wanted
from harness.store.files import write_bytes
from harness.store.records import Record
from harness.store.run_folder import RunFolder
from harness.store.runs import NIGHT

BEGUN, ENDED, LEDGER = NIGHT, "nightly.json", "ledger.json.gz"
SCHEMA = 1
Kept = TypeVar("Kept", bound=Record)


class Begun(Record):
    """A night that began: what it goes by whatever happens, so that it can be gone on with.

    ``before_last`` maps each scenario of the control cell to its attempts before it ran last; ``searches`` maps what is
    searched to the name of the search's run folder.
    """

    matrix: str
    today: date
    previous: str  # the night whose ledger it goes by; empty where there is none
    planned: tuple[Wanted, ...]
    everything: bool = False
    facts: MachineSnapshot = MachineSnapshot()
    before_last: dict[str, int] | None = None
    searches: dict[str, str] = Field(default_factory=dict)


class Searched(Record):
    """What was searched for a new regression, and what came of it. ``run`` is the name of its folder, if it has one."""

    places: tuple[tuple[str, str], ...]
    what: str  # ``transformers 5.6.2 → 5.23.0``
    answer: str
    ending: str = ""  # found, inconclusive, interrupted, …; empty where nothing was run
    run: str = ""
    package: str = ""
    versions: tuple[str, str] | None = None  # the last good and the first bad release or commit


class CarriedCount(Record):
    """So many answers that were not asked for again, the night in which they were seen, and their places."""

    night: str
    count: int
    places: tuple[tuple[str, str], ...] = ()  # line, scenario


class Ended(Record):
    """``nightly.json``: what a night claims. ``code`` is its exit code, ``verdict`` that in words."""

    schema_version: int = SCHEMA
    night: str
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
    moved: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()  # what else is not as it was
    counts: dict[str, int]  # green, red, … of what was run tonight
    carried: tuple[CarriedCount, ...] = ()
    resolved: dict[str, dict[str, str]] = Field(default_factory=dict)  # line -> package -> version or address
    ran: dict[str, str] = Field(default_factory=dict)  # line -> why it was run
    claims: tuple[Claim, ...] = ()
    against_baseline: tuple[str, ...] = ()
    searches: tuple[Searched, ...] = ()
    drafts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write(record: Record, path: Path) -> None:
    """Write a record whole or not at all."""
    text = record.model_dump_json(indent=1).encode()
    write_bytes(path, gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def read(path: Path, kind: type[Kept]) -> Kept | None:
    """Read a record back; None where there is none.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        raw = path.read_bytes()
        return kind.model_validate_json(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except FileNotFoundError:
        return None
    except (ValidationError, OSError, EOFError) as error:
        raise ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def last_night(reports: Path, matrix: str, gpus: Sequence[str], but: RunFolder | None = None) -> Ended | None:
    """Return the newest night of a matrix that came to its end, on the same models of GPU.

    Where ``but`` is judged, which may be late or once more, neither it nor a night that began after it counts.
    """
    until = but.read_record().started if but else None
    found = [
        one
        for path in reports.absolute().glob(f"*/{ENDED}")
        if (but is None or path.parent.resolve() != but.path.resolve())
        and (path.parent / LEDGER).exists()
        and (one := read(path, Ended)) is not None
    ]
    earlier = [one for one in found if until is None or one.started <= until]
    alike = [one for one in earlier if one.matrix == matrix and one.gpus == tuple(gpus)]
    return max(alike, key=lambda one: one.finished, default=None)


def torn_night(reports: Path, matrix: str) -> RunFolder | None:
    """Return the newest night of a matrix if it began and never came to its end."""
    for path in sorted(reports.absolute().glob(f"*/{BEGUN}"), reverse=True):
        begun = read(path, Begun)
        if begun is not None and begun.matrix == matrix:
            return None if (path.parent / ENDED).exists() else RunFolder(path.parent)
    return None
