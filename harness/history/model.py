"""What the history keeps of one box of one run, small enough for years of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import NamedTuple

from harness.store.records import Outcome


class Measured(NamedTuple):
    """One figure over the attempts that measured it, in its own unit; ``Spread(*measured)`` is a verdict's."""

    median: float
    low: float
    high: float
    attempts: int


class Figures(Mapping[str, Measured]):
    """The figures of one night by name, packed: a value is unpacked when it is asked for."""

    __slots__ = ("_medians", "_places", "_spreads")

    def __init__(self, places: Mapping[str, int], medians: bytes, spreads: bytes | None) -> None:
        """Take what :func:`pack` made; ``places`` is the name's place in it."""
        self._places, self._medians, self._spreads = places, medians, spreads

    def __getitem__(self, name: str) -> Measured:
        """Return one figure."""
        place = self._places[name]
        (middle,) = struct.unpack_from("<d", self._medians, 8 * place)
        if self._spreads is None:
            return Measured(middle, middle, middle, 1)
        low, high, count = struct.unpack_from("<ddI", self._spreads, 20 * place)
        return Measured(middle, low, high, count)

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order they were measured."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places)

    def __repr__(self) -> str:
        """Write them as a plain mapping."""
        return f"Figures({dict(self)})"


def measured(values: Sequence[float]) -> Measured:
    """Reduce the values of several attempts, one at least."""
    return Measured(float(median(values)), float(min(values)), float(max(values)), len(values))


def pack(values: Mapping[str, Sequence[float]]) -> tuple[bytes, bytes | None]:
    """Return the medians, 8 bytes each, and the spreads, 20 bytes each; None where one attempt measured everything."""
    if all(len(each) == 1 for each in values.values()):
        return struct.pack(f"<{len(values)}d", *(value for (value,) in values.values())), None
    found = [measured(each) for each in values.values()]
    medians = struct.pack(f"<{len(values)}d", *(each.median for each in found))
    return medians, b"".join(struct.pack("<ddI", each.low, each.high, each.attempts) for each in found)


@dataclass(frozen=True, order=True)
class Track:
    """What is followed over nights: one scenario in one cell-line of one matrix, on one model of GPU."""

    matrix: str
    line: str
    scenario: str
    gpu: str = ""  # the model; empty on a machine without one

    def __str__(self) -> str:
        """Write it for a person."""
        return f"{self.scenario} · {self.line}" + (f" · {self.gpu}" if self.gpu else "")


@dataclass(frozen=True)
class Night:
    """One box of one run.

    ``outcomes`` are those of every attempt in their order, none where the plan expected one and none was made.
    ``signature`` is the last red attempt's, its outcome where it has none, and empty where no attempt was red.
    ``versions`` is the whole lock, as the cell saw itself, and ``python``. ``figures`` holds ``seconds`` (of the
    attempt) beside what the attempts measured. ``built`` names the commit or folder (``git@1a2b3c4d``) of each package
    that is built from one: two commits may call themselves one version.
    """

    run: str  # the run folder's name
    started: datetime
    matrix: str
    line: str
    scenario: str
    gpu: str
    cell: str
    versions: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    signature: str
    figures: Mapping[str, Measured]
    built: Mapping[str, str] = field(default_factory=dict)

    @property
    def exact(self) -> Mapping[str, str]:
        """Return the versions, with the commit or folder of what was built."""
        return {**self.versions, **self.built}

    @property
    def track(self) -> Track:
        """Return what this is a night of."""
        return Track(self.matrix, self.line, self.scenario, self.gpu)
