"""What a report shows, as values; every text is rendered from nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from harness.search.conclusions import Conclusion
from harness.store.records import Status
from harness.verdict.comparison import Change
from harness.verdict.known_issues import State
from harness.verdict.package_diff import PackageChange
from harness.verdict.signature import Signature
from harness.verdict.statistics import Spread


@dataclass(frozen=True)
class IssueEntry:
    """One entry of ``known_issues.toml`` in words."""

    tracker: str
    scenario: str
    signature: str
    versions: str  # ``transformers >=5.0,<5.4``
    note: str = ""
    review_by: str = ""


@dataclass(frozen=True)
class KnownIssueState:
    """The state of a known issue in one table cell."""

    state: State
    entry: IssueEntry


@dataclass(frozen=True)
class Figure:
    """One figure over the attempts that measured it, and the reference cell's. ``unit``: ``bytes``, ``s`` or empty."""

    name: str
    phase: str
    unit: str
    spread: Spread
    reference: Spread | None = None
    changed: bool = False

    @property
    def value(self) -> float:
        """Return the median."""
        return self.spread.median


@dataclass(frozen=True)
class Check:
    """One expectation of the scenario."""

    text: str
    held: bool
    detail: str


@dataclass(frozen=True)
class Attempt:
    """One attempt, with links to its files in the run folder."""

    number: int
    outcome: str
    seconds: float
    isolation: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class GpuState:
    """One GPU before the attempt; sizes in bytes. ``others`` are other processes on it, with their memory."""

    name: str
    total: int
    free: int
    others: tuple[tuple[str, int | None], ...] = ()


@dataclass(frozen=True)
class Hardware:
    """The GPUs of an attempt, its allocator settings, and the sources of the device figures."""

    gpus: tuple[GpuState, ...] = ()
    allocator: tuple[tuple[str, str], ...] = ()  # effective settings
    sources: tuple[tuple[str, str], ...] = ()  # figure, source


@dataclass(frozen=True)
class Parameter:
    """One of the largest parameters."""

    name: str
    dtype: str
    device: str
    bytes: int


@dataclass(frozen=True)
class Placement:
    """The placement of a model after one stage."""

    stage: str
    bytes: tuple[tuple[str, str, int], ...]  # device, dtype, bytes
    largest: tuple[Parameter, ...]
    unmatched: tuple[str, ...]  # keys of the device map without a module
    device_map: tuple[tuple[str, int, str], ...] | None  # device, count, names; None without a map
    device_map_text: str = ""  # a map that is not a mapping
    hooks: tuple[tuple[str, int], ...] = ()


GLYPHS = {  # a status without colour
    Status.PASS: "✔",
    Status.FAIL: "✘",
    Status.ERROR: "⚠",
    Status.UNAVAILABLE: "⊘",
    Status.SKIP: "○",
    Status.MISS: "?",
    Status.FLAKY: "≈",
}
MEANINGS = {  # for the legend
    Status.PASS: "the scenario passed",
    Status.FAIL: "the software under test failed",
    Status.ERROR: "the script, the harness or the machine failed",
    Status.UNAVAILABLE: "the cell could not be resolved or installed",
    Status.SKIP: "does not apply here",
    Status.MISS: "expected, but without a result",
    Status.FLAKY: "attempts disagree",
}
KNOWN_ISSUE_TEXTS = {
    State.KNOWN: "known issue",
    State.GONE: "known issue not reproduced",
    State.CHANGED: "differs from the known issue",
}
UNLISTED = "–"  # the cell does not list the scenario


@dataclass(frozen=True)
class TableCell:
    """One scenario in one cell of the matrix.

    ``status`` is None if the cell does not list the scenario. ``applies_to`` tells whether the status is that of the
    ``scenario``, of its ``file`` or of the whole ``cell``.
    """

    cell: str
    status: Status | None
    outcome: str
    label: str  # the reason, empty for a pass
    applies_to: str = "scenario"
    change: Change | None = None  # against the reference cell; None without one
    ran_on: str = ""  # cuda, cpu, simulated; empty if unknown
    simulated: str | None = None
    known: KnownIssueState | None = None
    seconds: float = 0.0
    detail: str = ""
    signature: Signature | None = None
    frames: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    hardware: Hardware | None = None
    placements: tuple[Placement, ...] = ()
    attempts: tuple[Attempt, ...] = ()

    @property
    def is_red(self) -> bool:
        """Tell whether the result is a failure, an error, unavailable or flaky."""
        return self.status in {Status.FAIL, Status.ERROR, Status.UNAVAILABLE, Status.FLAKY}


@dataclass(frozen=True)
class Column:
    """One cell."""

    id: str
    labels: tuple[str, ...]  # one per axis
    name: str  # the axes: ``transformers 5.0.0 · accelerate 1.13.0``
    reference: bool
    compared_with: str | None  # the id of its reference cell
    unavailable: str | None  # the reason
    pins: tuple[tuple[str, str], ...]
    differences: tuple[PackageChange, ...] = ()  # from the reference cell to this one


@dataclass(frozen=True)
class HeaderCell:
    """Adjacent columns that share a label on an axis and on every axis before it."""

    label: str
    span: int
    reference: bool


@dataclass(frozen=True)
class HeaderRow:
    """One axis of the table's head."""

    axis: str
    cells: tuple[HeaderCell, ...]


@dataclass(frozen=True)
class Row:
    """One scenario over all cells, in the order of the columns."""

    scenario: str
    report_row: str | None
    title: str
    tracker: str | None
    table_cells: tuple[TableCell, ...]


@dataclass(frozen=True)
class Group:
    """All results with the same failure."""

    key: str
    status: Status
    rule: str | None
    summary: str
    ids: tuple[str, ...]
    trackers: tuple[str, ...]
    cells: tuple[str, ...]
    scenarios: tuple[str, ...]
    total_cells: int


@dataclass(frozen=True)
class AxisChange:
    """A change between two adjacent releases of one axis.

    ``where`` lists the settings of the other axes for which it holds, and is empty if it holds for all.
    """

    axis: str
    scenario: str
    report_row: str | None
    before: str
    after: str
    change: Change
    sentence: str
    cause: str
    tracker: str | None
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class Announcement:
    """A known issue that was not reproduced or fails differently, with its cells and scenarios."""

    state: State
    entry: IssueEntry
    cells: tuple[str, ...]  # names
    scenarios: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Return the text, without the tracker."""
        cells, scenarios = "; ".join(self.cells), ", ".join(self.scenarios)
        if self.state is State.GONE:
            return f"not reproduced in {cells}: {scenarios}; remove or narrow the entry ({self.entry.versions})"
        return f"known to fail as {self.entry.signature}, fails differently in {cells}: {scenarios}"


@dataclass(frozen=True)
class MemoryRow:
    """One cell of a memory table. Shares are of the model's bf16 size, if the scenario recorded it."""

    cell: str
    status: Status
    figures: tuple[Figure | None, ...]  # one per measure of the table
    ratio: float | None  # reserved by allocated
    bf16: float | None = None  # bytes
    reserved_share: float | None = None
    peak_share: float | None = None
    as_unquantized: bool = False  # reserved about the bf16 size, but allocated less

    @property
    def changed(self) -> bool:
        """Tell whether any figure changed against the reference."""
        return any(each is not None and each.changed for each in self.figures)


@dataclass(frozen=True)
class MemoryTable:
    """The memory of one phase of one scenario, one row per cell."""

    scenario: str
    report_row: str | None
    title: str
    phase: str
    measures: tuple[str, ...]  # names of figures
    rows: tuple[MemoryRow, ...]

    @property
    def notable(self) -> bool:
        """Tell whether any row changed or is as large as without quantization."""
        return any(row.changed or row.as_unquantized for row in self.rows)


@dataclass(frozen=True)
class ReportContext:
    """Everything that a report shows."""

    name: str
    title: str
    started: str
    command: str
    matrix_file: str
    harness_version: str
    machine: tuple[tuple[str, str], ...]
    axes: tuple[str, ...]
    header: tuple[HeaderRow, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    axis_changes: tuple[AxisChange, ...]
    memory: tuple[MemoryTable, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    conclusion: Conclusion | None = None  # of a search

    def counts(self) -> dict[Status, int]:
        """Count the results by status, every status present."""
        found = [each.status for row in self.rows for each in row.table_cells]
        return {status: found.count(status) for status in Status}

    def known_issue_counts(self) -> dict[State, int]:
        """Count the results with a known issue by its state, every state present."""
        states = [each.known.state for row in self.rows for each in row.table_cells if each.known]
        return {state: states.count(state) for state in State}
