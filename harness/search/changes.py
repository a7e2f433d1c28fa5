"""What differs between two environments, package by package, and the environments between them: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.envs.requirements import is_implicit
from harness.matrix.cell import Cell, Pin
from harness.store.records import Record

Subset = frozenset[int]
NAMED = 3  # so many changes are named in the id of a cell


class Change(Record):
    """One package that is not the same at both ends; a side that does not have it is None."""

    package: str
    old: Pin | None
    new: Pin | None

    def words(self) -> str:
        """Say it: ``accelerate 1.13.0 → 1.15.0``, ``torchao 0.15.0 added``."""
        if self.old is not None and self.new is not None:
            return f"{self.package} {self.old.label} → {self.new.label}"
        return f"{self.package} {self.new.label} added" if self.new else f"{self.package} {self.old_label} removed"

    @property
    def old_label(self) -> str:
        """The version at the good end, empty where it is not there."""
        return self.old.label if self.old else ""


def changes(good: Mapping[str, Pin], bad: Mapping[str, Pin], first: Sequence[str]) -> tuple[Change, ...]:
    """Return what differs, the packages of ``first`` in front: these are the likely culprits.

    ``good`` and ``bad`` map packages to pins. What the harness brings itself, installers and what torch brings with its
    build are no changes.
    """
    names = [name for name in {**good, **bad} if not is_implicit(name) and not _same(good.get(name), bad.get(name))]
    place = {name: at for at, name in enumerate(first)}
    ordered = sorted(names, key=lambda name: (place.get(name, len(place)), name))
    return tuple(Change(package=name, old=good.get(name), new=bad.get(name)) for name in ordered)


def between(shared: Cell, found: Sequence[Change], applied: Subset) -> Cell:
    """Return the cell in which some changes are applied and the others are not; ``shared`` has what both ends have.

    Its id names the changes where they are few, and counts them where they are not. With none applied it is the
    reference.
    """
    chosen = (change.new if at in applied else change.old for at, change in enumerate(found))
    names = tuple(change.package for at, change in enumerate(found) if at in applied and change.new)
    count = f"{len(applied)}-of-{len(found)}"
    ends = {0: ("good",), len(found): ("bad",)}
    axes = ends.get(len(applied)) or (names if 0 < len(names) == len(applied) <= NAMED else (count,))
    pins = (*shared.pins, *(pin for pin in chosen if pin is not None))
    held = tuple(sorted(pins, key=lambda pin: pin.transitive))
    return replace(shared, pins=held, axes=axes, reference=not applied)


def moved_otherwise(found: Sequence[Change], applied: Subset, packages: Mapping[str, str]) -> tuple[str, ...]:
    """Name the packages of a lock that are there although they should not be: something needs them."""
    absent = (change for at, change in enumerate(found) if (change.new if at in applied else change.old) is None)
    return tuple(change.package for change in absent if change.package in packages)


def label(found: Sequence[Change], applied: Collection[int]) -> str:
    """Say in a few words which changes are applied, as the head of a report's column."""
    names = [change.package for at, change in enumerate(found) if at in applied]
    without = [change.package for at, change in enumerate(found) if at not in applied]
    if not names:
        return "none"
    if not without:
        return f"all {len(found)}"
    if len(without) <= NAMED < len(names):
        return f"all but {', '.join(without)}"
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _same(one: Pin | None, other: Pin | None) -> bool:
    return one is not None and other is not None and one.requirement == other.requirement
