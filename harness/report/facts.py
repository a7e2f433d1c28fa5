"""What the details of one box show, as values."""

from __future__ import annotations

from dataclasses import dataclass

from harness.verdict.known import State
from harness.verdict.noise import Spread


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
class Entry:
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
    entry: Entry


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
class Try:
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
