"""A whole comparison: its entries, the versions that differ line by line, and what could not be compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.matrix.cell import display_version
from harness.store.baseline import Acceptance
from harness.store.records import WHOLE_CELL
from harness.verdict.acceptance import with_accepted
from harness.verdict.box import Answer, Box, Entry, Kind, Place
from harness.verdict.comparison import comparable, compare_sides, pairs
from harness.verdict.known_issues import KnownIssue
from harness.verdict.measures import unit_of
from harness.verdict.shifts import ENOUGH, unsure

ANSWERED = {Answer.PASS, Answer.FAIL, Answer.FLAKY}
Sides = tuple[Mapping[Place, Box], Mapping[Place, Box]]


@dataclass(frozen=True)
class VersionChange:
    """One package that is not what it was, None where a side does not have it."""

    package: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Write ``torch 2.12.0 → 2.13.0``."""
        return f"{self.package} {self.before or '–'} → {self.after or '–'}"


@dataclass(frozen=True)
class Comparison:
    """Two sides compared.

    ``versions`` maps a line to what differs in its cells, transitive packages too, those that name the line first.
    ``compared`` counts places that have an answer on both sides, ``same`` places of which nothing is to be said.
    """

    old: str
    new: str
    entries: tuple[Entry, ...]
    versions: Mapping[str, tuple[VersionChange, ...]]
    notes: tuple[str, ...]
    compared: int
    same: int

    def of(self, kind: Kind) -> tuple[Entry, ...]:
        """Return the entries of one kind."""
        return tuple(entry for entry in self.entries if entry.kind is kind)


def compared(
    names: tuple[str, str],
    sides: Sides,
    known: Sequence[KnownIssue] = (),
    accepted: Sequence[Acceptance] = (),
) -> Comparison:
    """Compare two sides; ``names`` are what they are called."""
    both = [(old, new) for _, old, new in pairs(*sides)]
    entries = with_accepted(compare_sides(*sides, known), accepted)
    told = {(entry.line, entry.scenario) for entry in entries}
    met = [(old, new) for old, new in both if old is not None and new is not None]
    return Comparison(
        *names,
        entries=entries,
        versions=version_changes(*sides),
        notes=_notes(met),
        compared=sum(old.answer in ANSWERED and new.answer in ANSWERED for old, new in met),
        same=len(both) - len(told),
    )


def version_changes(before: Mapping[Place, Box], after: Mapping[Place, Box]) -> dict[str, tuple[VersionChange, ...]]:
    """Return what differs per line; nothing of a line that one side does not have or never locked."""
    old, new = ({line: box.exact for (line, _), box in side.items()} for side in (before, after))
    both = [line for line in old if old[line] and new.get(line)]
    return {line: changes for line in both if (changes := _changes(line, old[line], new[line]))}


def _changes(line: str, old: Mapping[str, str], new: Mapping[str, str]) -> tuple[VersionChange, ...]:
    named = {word.partition("=")[0] for word in line.split()}
    names = sorted(old.keys() | new.keys(), key=lambda name: (name not in named, name))
    both = [(name, old.get(name), new.get(name)) for name in names]
    return tuple(
        VersionChange(name, one and display_version(one), other and display_version(other))
        for name, one, other in both
        if one != other
    )


def _notes(met: Sequence[tuple[Box, Box]]) -> tuple[str, ...]:
    """Say where memory was measured on both sides and not compared: because of the GPU, or for want of attempts."""
    places: dict[tuple[str, str], int] = {}
    for old, new in met:
        measured = any(name in new.figures and unit_of(name) == "bytes" for name in old.figures)
        one_gpu = replace(old, gpu=""), replace(new, gpu="")
        if measured and not comparable(old, new) and comparable(*one_gpu):
            places[old.gpu or "no GPU", new.gpu or "no GPU"] = (
                places.get((old.gpu or "no GPU", new.gpu or "no GPU"), 0) + 1
            )
    said = [
        f"memory is not compared in {_boxes(count)}: measured on {old} before, on {new} now"
        for (old, new), count in places.items()
    ]
    doubtful = sum(comparable(old, new) and unsure(old.figures, new.figures) for old, new in met)
    if doubtful:
        said.append(
            f"host memory moved in {_boxes(doubtful)} that fewer than {ENOUGH} attempts measured: not called a change, "
            f"for its spread is not known (--repeat {ENOUGH})"
        )
    return tuple(said)


def _boxes(count: int) -> str:
    return f"{count} box{'' if count == 1 else 'es'}"


def with_lost_lines(before: Mapping[Place, Box], after: Mapping[Place, Box], reason: str) -> dict[Place, Box]:
    """Add a missing box for the whole of every line that ``after`` should have as ``before`` does, and has not."""
    there = {line for line, _ in after}
    lost = {line: box for (line, _), box in before.items() if line not in there}
    holes = {
        (line, WHOLE_CELL): Box(line, WHOLE_CELL, box.cell, reason=reason, gpu=box.gpu) for line, box in lost.items()
    }
    return {**after, **holes}


def with_lines_of(before: Mapping[Place, Box], after: Mapping[Place, Box]) -> dict[Place, Box]:
    """Give cells of ``before`` the line they have in ``after``, where neither line is on both sides.

    A run from before lines were kept calls its ``latest`` by version; the same cell is the same line.
    """
    old, new = ({box.cell: line for (line, _), box in side.items()} for side in (before, after))
    shared = set(old.values()) & set(new.values())
    renamed = {old[cell]: new[cell] for cell in old if cell in new and not {old[cell], new[cell]} & shared}
    lines = {line: renamed.get(line, line) for line, _ in before}
    return {(lines[line], name): replace(box, line=lines[line]) for (line, name), box in before.items()}
