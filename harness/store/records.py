"""What is written down: the plan of a run, and one record per attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from harness.matrix.cell import Cell, stable_label
from harness.runner.process import ProcessExit


class Stage(StrEnum):
    """How far the attempt came."""

    RESOLVE = "resolve"
    INSTALL = "install"
    IMPORT = "import"
    COLLECT = "collect"
    RUN = "run"
    CHECK = "check"


class Status(StrEnum):
    """The status of an attempt, or of a scenario in a cell; only several attempts together are ``flaky``.

    ``fail`` is the software under test, ``error`` the scenario's script, the machine or the harness. ``unavailable`` is
    a cell that could not be resolved or installed, or has no interpreter: no evidence about the software.
    """

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    UNAVAILABLE = "unavailable"
    SKIP = "skip"
    MISS = "miss"
    FLAKY = "flaky"


class Reason(StrEnum):
    """Why an attempt did not pass."""

    UNSOLVABLE = "unsolvable"
    INSTALL_FAILED = "install_failed"
    IMPORT_ERROR = "import_error"
    EXCEPTION = "exception"
    ASSERTION = "assertion"
    OOM = "oom"
    HOST_OOM = "host_oom"
    CRASH = "crash"
    TIMEOUT = "timeout"
    GPU_BUSY = "gpu_busy"
    NO_GPU = "no_gpu"
    NOT_APPLICABLE = "not_applicable"
    NETWORK = "network"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Outcome:
    """Stage, status and reason of one attempt; ``str()`` and :meth:`parse` round-trip.

    A passed attempt has no reason (``pass:check``); every other one has.
    """

    status: Status
    stage: Stage
    reason: Reason | None = None

    def __post_init__(self) -> None:
        """Refuse a pass with a reason, anything else without one, and what only several attempts can be."""
        if self.status is Status.FLAKY:
            raise ValueError("one attempt is not flaky")
        if (self.status is Status.PASS) != (self.reason is None):
            raise ValueError(f"an outcome has a reason exactly when it is not a pass: {self}")

    def __str__(self) -> str:
        """Write it as ``status:stage`` or ``status:stage:reason``."""
        return ":".join(part for part in (self.status, self.stage, self.reason) if part is not None)

    @classmethod
    @lru_cache(maxsize=1024)  # few differ, and a history reads hundreds of thousands
    def parse(cls, text: str) -> Outcome:
        """Read the text form back; schema 1 called a cell that is unavailable a failure.

        Raises:
            ValueError: the text is not one of the outcomes.
        """
        status, stage, *reason = UNAVAILABLE_IN_SCHEMA_1.get(text, text).split(":")
        if len(reason) > 1:
            raise ValueError(f"not an outcome: {text!r}")
        return cls(Status(status), Stage(stage), Reason(reason[0]) if reason else None)


UNAVAILABLE_IN_SCHEMA_1 = {
    "fail:resolve:unsolvable": "unavailable:resolve:unsolvable",
    "fail:install:install_failed": "unavailable:install:install_failed",
}


SCHEMA_VERSION = 2  # 2: run.json has the kind of the run


class Record(BaseModel):
    """A frozen value that goes to JSON and back; a field with an alias is written under its alias."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


class Frame(Record):
    """One line of a traceback; ``path`` is relative to site-packages or to the scenario's folder."""

    path: str
    function: str
    line: int
    package: str | None = (
        None  # top-level import name inside site-packages; None: the scenario, the probe, the standard library
    )


class Failure(Record):
    """One exception as the probe saw it, frames outermost first."""

    when: str  # import, collect, setup, call, teardown
    type: str  # qualified: builtins leave their module out (``TypeError``, ``torch.OutOfMemoryError``)
    message: str
    frames: tuple[Frame, ...] = ()
    text: str = ""  # the traceback as Python prints it, capped


class Expectation(Record):
    """One sentence of ``probe.expect`` and whether it held."""

    text: str
    held: bool
    detail: str = ""
    about: str = ""  # ``memory``: the answer means nothing on a card that others use too


class ScenarioInfo(Record):
    """One scenario as collected: its id (``load_4bit::test_counts[plain]``) and what its decorator declares."""

    id: str
    nodeid: str  # pytest node id with the absolute path of the file
    row: str | None = None
    title: str = ""  # first line of the docstring
    tracker: str | None = None
    needs: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    timeout: float | None = None  # seconds
    source: str = ""  # digest of all that decides what it does; empty where nobody computed one


class GpuBefore(Record):
    """One card as it was before an attempt began; bytes."""

    uuid: str
    total: int
    used: int
    processes: tuple[dict[str, Any], ...] = ()  # of others: pid, name, used


class AttemptSummary(Record):
    """The fields of an attempt that decide a result; read alone if nothing else of a journal is needed."""

    model_config = ConfigDict(extra="ignore")

    cell: str
    scenario: str
    attempt: int  # 1, 2, …; 0 where nothing could be started (resolve, install, collect)
    outcome: Outcome
    signature: str | None = None
    detail: str = ""  # one sentence: the resolver's, the exception's, the skip's
    started: datetime
    seconds: float
    failure: Failure | None = None
    figures: dict[str, float | int] = Field(
        default_factory=dict
    )  # ``<figure>.<phase>`` (bytes, seconds) and ``x.<name>``
    gpus_before: tuple[GpuBefore, ...] = ()
    part: str = ""  # in a merged run: the run it was taken from

    @field_validator("outcome", mode="before")
    @classmethod
    def _read_outcome(cls, value: object) -> object:
        return Outcome.parse(value) if isinstance(value, str) else value

    @field_serializer("outcome")
    def _write_outcome(self, value: Outcome) -> str:
        return str(value)


class AttemptRecord(AttemptSummary):
    """One run of one scenario in one cell: a line of the journal, a row of the table."""

    model_config = ConfigDict(extra="forbid")

    row: str | None = None
    isolation: str = ""  # fork, spawn, or empty when no process was started
    simulated: str | None = None  # what was simulated, as one sentence
    ran_on: str = ""  # cuda, cpu, simulated; empty where it was killed before anybody knew
    exit: ProcessExit = ProcessExit()
    expectations: tuple[Expectation, ...] = ()
    notes: dict[str, Any] = Field(default_factory=dict)  # what ``probe.record`` got that is not a number
    placements: dict[str, Any] = Field(default_factory=dict)  # stage -> where the model lay, as the probe wrote it
    allocator: dict[str, Any] | None = None  # the effective settings of torch's caching allocator
    sources: dict[str, str] = Field(default_factory=dict)  # figure -> its source, where there are several
    folder: str | None = None  # relative to the run folder

    @model_validator(mode="before")
    @classmethod
    def _read_old(cls, value: object) -> object:
        """Pass over what the first journals name and nothing ever set."""
        return {k: v for k, v in value.items() if k != "known_issue"} if isinstance(value, dict) else value


class CellRecord(Record):
    """One planned cell, with its lock and the versions installed in it."""

    id: str
    labels: dict[str, str]  # axis -> label, in the order of the matrix
    pins: dict[str, str]  # package -> label, of axes and fixed pins
    python: str
    variables: dict[str, str] = Field(default_factory=dict)
    reference: bool = False
    lock: str | None = None  # hash; None when unsolvable
    lock_base: str | None = None  # the base interpreter that the lock builds on
    unsolvable: str | None = None  # the resolver's sentence
    versions: dict[str, str] = Field(default_factory=dict)  # the whole lock: package -> version
    series: str = Field(default="", alias="line")  # what is tracked over runs; series_name also covers older runs
    planned: Cell | None = None  # the pins themselves, so that a run can be resumed as it was planned

    @property
    def built(self) -> dict[str, str]:
        """What is built from a commit or a folder: package -> its address."""
        pins = self.planned.pins if self.planned is not None else ()
        return {pin.package: pin.address for pin in pins if pin.address}


class GpuRecord(Record):
    """One accelerator of the host."""

    uuid: str
    name: str
    memory_bytes: int
    driver: str


class HostRecord(Record):
    """The machine of a run; nothing here names it."""

    platform: str
    cpus: int
    memory_bytes: int
    gpus: tuple[GpuRecord, ...] = ()


class PartRecord(Record):
    """One run that a merged run was made of: its folder's name, its machine and its cells."""

    run: str
    started: datetime
    host: HostRecord
    cells: tuple[str, ...]


class RunOptions(Record):
    """The options of a run, kept when it is resumed; None is the default of the matrix or the machine."""

    repeat: int = 1
    timeout: float | None = None  # seconds
    jobs: int | None = None
    isolation: str = "fork"
    check_isolation: bool = False
    control_last: bool = False
    gpu_busy: int | None = None  # bytes


class RunKind(StrEnum):
    """What a run folder holds: a whole matrix, or the cells that a search picked."""

    RUN = "run"
    NIGHT = "night"
    BISECT = "bisect"
    BLAME = "blame"
    PROBE = "probe"
    MERGED = "merged"


class RunRecord(Record):
    """``run.json``: the matrix as read, the cells as planned, the machine."""

    schema_version: int = SCHEMA_VERSION
    kind: RunKind | None = None  # None in older runs: harness.store.runs.kind_of tells
    name: str  # the matrix's name
    title: str = ""
    started: datetime
    matrix: dict[str, Any]  # the TOML as read
    matrix_file: str
    scenarios: tuple[ScenarioInfo, ...] = ()  # expected, by function, from reading the files
    cells: tuple[CellRecord, ...]
    axes: tuple[str, ...]  # what varies, in the order of the matrix
    host: HostRecord
    harness_version: str
    command: tuple[str, ...] = ()  # how to run it again
    selection: tuple[str, ...] = ()  # scenarios named instead of the matrix's own
    keyword: str = ""
    markers: str = ""
    asked: RunOptions = RunOptions()  # empty in older runs
    parts: tuple[PartRecord, ...] = ()  # what it was merged from; empty for a run of one machine


WHOLE_CELL = "*"  # the scenario of an attempt for a cell in which nothing could be started


def function_of(scenario: str) -> str:
    """Return the id of a scenario's test function: the id without its parameters."""
    return scenario.partition("[")[0]


def fallback_ids(scenario: str) -> tuple[str, str, str, str]:
    """Return the fallback order for a scenario without attempts: scenario, test function, file, whole cell."""
    return scenario, function_of(scenario), scenario.partition("::")[0], WHOLE_CELL


def series_name(cell: CellRecord, matrix: str = "") -> str:
    """Return the series of a cell: ``transformers=latest accelerate=1.13.0``.

    Runs from before series were kept have their labels instead, without commits; there ``latest`` is the version of
    its day. A cell in which nothing varies bears the name of its ``matrix``, else its id.
    """
    kept = cell.series or " ".join(f"{axis}={stable_label(label)}" for axis, label in cell.labels.items())
    return kept or matrix or cell.id


def series_names(cells: Sequence[CellRecord], matrix: str = "") -> dict[str, str]:
    """Return cell id → series, no two alike.

    In a run that was planned on several days (merged or extended) several cells can be ``latest``: the one planned
    last bears the plain name, the others carry their id behind it.
    """
    last = {series_name(cell, matrix): cell.id for cell in cells}
    return {
        cell.id: name if last[name] == cell.id else f"{name} ({cell.id})"
        for cell in cells
        for name in [series_name(cell, matrix)]
    }
