"""What a report shows, as values: every text is rendered from these and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from harness.search.conclusions import Conclusion
from harness.store.records import Status
from harness.verdict.comparison import Change
from harness.verdict.known_issues import State
from harness.verdict.package_diff import PackageChange
from harness.verdict.statistics import Spread


@dataclass(frozen=True)
class KnownFailure:
    """A signature with its name and tracker, where the rules know it."""

    id: str
    rule: str | None = None
    tracker: str | None = None
    summary: str = ""

    @property
    def key(self) -> str:
        """Return what failures are grouped by: the rule where there is one, for it outlives a moved frame."""
        return self.rule or self.id


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
class Known:
    """What became of a known issue in one box."""

    state: State
    entry: IssueEntry


@dataclass(frozen=True)
class Figure:
    """One figure over the attempts that measured it, beside the reference cell's; ``unit``: ``bytes``, ``s``, empty."""

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
    """One attempt of a box, and where its files lie in the run folder."""

    number: int
    outcome: str
    seconds: float
    isolation: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """One GPU before the attempt began; bytes. ``others`` are programs that computed on it, with what they held."""

    name: str
    total: int
    free: int
    others: tuple[tuple[str, int | None], ...] = ()


@dataclass(frozen=True)
class Where:
    """On what an attempt ran, and who told the figures of the device."""

    cards: tuple[Card, ...] = ()
    allocator: tuple[tuple[str, str], ...] = ()  # effective settings
    sources: tuple[tuple[str, str], ...] = ()  # figure -> who told it


@dataclass(frozen=True)
class Parameter:
    """One of the largest parameters."""

    name: str
    dtype: str
    device: str
    bytes: int


@dataclass(frozen=True)
class Placed:
    """Where a model lay after one stage."""

    stage: str
    bytes: tuple[tuple[str, str, int], ...]  # device, dtype, bytes
    largest: tuple[Parameter, ...]
    unmatched: tuple[str, ...]  # keys that name no module
    device_map: tuple[tuple[str, int, str], ...] | None  # place, count, names in short; None: the model has no map
    device_map_text: str = ""  # a map that is no mapping, as text
    hooks: tuple[tuple[str, int], ...] = ()


GLYPHS = {  # the sign that says the same without colour
    Status.PASS: "✔",
    Status.FAIL: "✘",
    Status.ERROR: "⚠",
    Status.UNAVAILABLE: "⊘",
    Status.SKIP: "○",
    Status.MISS: "?",
    Status.FLAKY: "≈",
}
MEANINGS = {  # for the legend
    Status.PASS: "the scenario held",
    Status.FAIL: "the software under test failed",
    Status.ERROR: "the script, the harness or the machine failed",
    Status.UNAVAILABLE: "the cell could not be set up",
    Status.SKIP: "does not apply here, with a reason",
    Status.MISS: "expected, but there is no result",
    Status.FLAKY: "attempts disagree",
}
UNLISTED = "–"  # where a cell does not list the scenario


@dataclass(frozen=True)
class TableCell:
    """One scenario in one cell of the matrix.

    ``status`` is None where the cell does not list the scenario. ``applies_to`` says whether the status is the
    scenario's, its file's or the whole cell's.
    """

    cell: str
    status: Status | None
    outcome: str
    label: str  # the reason in a word, empty for a pass
    applies_to: str = "scenario"
    change: Change | None = None  # against the reference cell; None there, or where there is none
    ran_on: str = ""  # cuda, cpu, simulated; empty where nothing ran or nobody knows
    simulated: str | None = None
    known: Known | None = None  # what became of a known issue here
    seconds: float = 0.0
    detail: str = ""
    signature: KnownFailure | None = None
    frames: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    where: Where | None = None
    placements: tuple[Placed, ...] = ()
    tries: tuple[Attempt, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def red(self) -> bool:
        """Tell whether a person should look: a failure, an error, an unavailable cell, or attempts that disagree."""
        return self.status in {Status.FAIL, Status.ERROR, Status.UNAVAILABLE, Status.FLAKY}


@dataclass(frozen=True)
class Column:
    """One cell."""

    id: str
    labels: tuple[str, ...]  # one per axis
    name: str  # what varies, in words: ``transformers 5.0.0 · accelerate 1.13.0``
    reference: bool
    compared_with: str | None  # the id of its reference cell
    unavailable: str | None  # why nothing could run here
    pins: tuple[tuple[str, str], ...]
    differences: tuple[PackageChange, ...] = ()  # from the reference cell to this one


@dataclass(frozen=True)
class HeaderBox:
    """Neighbouring columns that share a label on an axis and on every axis before it."""

    label: str
    span: int
    reference: bool


@dataclass(frozen=True)
class HeaderRow:
    """One axis of the table's head."""

    axis: str
    boxes: tuple[HeaderBox, ...]


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
    """Every box that shows one failure."""

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
    """A change between two neighbouring releases of one axis; ``where`` fixes the other axes, empty when it is all."""

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
    """A known issue that did not show, or that showed in another way, and where."""

    state: State
    entry: IssueEntry
    cells: tuple[str, ...]  # names
    scenarios: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Say it, without the tracker."""
        cells, scenarios = "; ".join(self.cells), ", ".join(self.scenarios)
        if self.state is State.GONE:
            return f"did not show in {cells}: {scenarios}; remove the entry or narrow it ({self.entry.versions})"
        return f"is known to fail as {self.entry.signature}, and fails in another way in {cells}: {scenarios}"


@dataclass(frozen=True)
class MemoryLine:
    """One cell of a memory table; shares are of the model's bf16 size, where the scenario recorded it."""

    cell: str
    status: Status
    figures: tuple[Figure | None, ...]  # one per measure of the table
    ratio: float | None  # reserved by allocated
    bf16: float | None = None  # bytes
    reserved_share: float | None = None
    peak_share: float | None = None
    as_unquantized: bool = False  # reserved about the bf16 size, though less is allocated

    @property
    def moved(self) -> bool:
        """Tell whether any figure changed against the reference."""
        return any(each is not None and each.changed for each in self.figures)


@dataclass(frozen=True)
class MemoryTable:
    """What one phase of one scenario took, one line per cell."""

    scenario: str
    report_row: str | None
    title: str
    phase: str
    measures: tuple[str, ...]  # names of figures
    lines: tuple[MemoryLine, ...]

    @property
    def telling(self) -> bool:
        """Tell whether something moved or stands out."""
        return any(line.moved or line.as_unquantized for line in self.lines)


@dataclass(frozen=True)
class ReportContext:
    """Everything a report says."""

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
    differences: tuple[AxisChange, ...]
    memory: tuple[MemoryTable, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    conclusion: Conclusion | None = None  # of a search

    def counts(self) -> dict[Status, int]:
        """Count the results by status, every status present."""
        found = [each.status for row in self.rows for each in row.table_cells]
        return {status: found.count(status) for status in Status}

    def standings(self) -> dict[State, int]:
        """Count the boxes that a known issue is about, every state present."""
        states = [box.known.state for row in self.rows for box in row.table_cells if box.known]
        return {state: states.count(state) for state in State}
