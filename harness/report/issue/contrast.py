"""The closest red and green cell, and what differs between them: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from harness.report.issue.context import Change
from harness.store.records import CellRecord


@dataclass(frozen=True)
class Side:
    """One cell as a contrast sees it.

    ``machine`` says on what it ran, in words; empty: not known. ``place`` is its column in the report.
    """

    cell: CellRecord
    machine: str = ""
    place: int = 0


def closest(red: Sequence[Side], green: Sequence[Side]) -> tuple[Side, Side] | None:
    """Return the pair with the fewest packages that differ in their whole locks, then the fewest other things.

    Of pairs as close as each other the one whose columns are nearest, then the first; None where one side is empty. A
    cell without a lock is compared with nothing: what it had is not known.
    """
    pairs = [(one, other) for one in red for other in green if one.cell.versions and other.cell.versions]

    def apart(pair: tuple[Side, Side]) -> tuple[int, int, int]:
        return *distance(changes(*pair)), abs(pair[0].place - pair[1].place)

    return min(pairs, key=apart, default=None)


def distance(found: Sequence[Change]) -> tuple[int, int]:
    """Count what differs: packages, and everything else."""
    packages = sum(each.kind == "package" for each in found)
    return packages, len(found) - packages


def changes(red: Side, green: Side) -> tuple[Change, ...]:
    """Return all that differs: packages (pinned ones first, then those that both have), variables, Python, machine."""
    here, there = red.cell, green.cell
    red_has, green_has = installed(here), installed(there)
    pinned = {*here.pins, *there.pins}
    order = sorted(
        {*here.versions, *there.versions},
        key=lambda name: (name not in pinned, name not in here.versions or name not in there.versions, name),
    )
    found = [Change("package", *each, each[0] in pinned) for each in _differing(order, red_has, green_has)]
    names = sorted({*here.variables, *there.variables})
    found += [Change("variable", *each) for each in _differing(names, here.variables, there.variables)]
    if here.python != there.python:
        found.append(Change("python", "Python", here.python, there.python))
    if red.machine and green.machine and red.machine != green.machine:
        found.append(Change("machine", "machine", red.machine, green.machine))
    return tuple(found)


def installed(cell: CellRecord) -> dict[str, str]:
    """Return package → version; with the pin's label where that is no release: two commits may share a version."""
    return {name: _named(version, cell.pins.get(name, version)) for name, version in cell.versions.items()}


def _named(version: str, label: str) -> str:
    try:
        Version(label)
    except InvalidVersion:
        return f"{version} ({label})"
    return version


def _differing(
    names: Sequence[str], here: Mapping[str, str], there: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    return [(name, here.get(name), there.get(name)) for name in names if here.get(name) != there.get(name)]
