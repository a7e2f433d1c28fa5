"""The bundle on the machine without an index: its cells and locks, put on the base that is there."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness.envs.base import Base, read_base
from harness.envs.bundle.manifest import Manifest, Stored, read_manifest
from harness.envs.lock import Lock, Unsolvable, packages_of, read_lock
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin

VARIABLE = "HARNESS_BUNDLE"  # the folder of an unpacked bundle
BASE_VARIABLE = "HARNESS_BUNDLE_BASE"  # the interpreter that has what the bundle leaves out


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle and the interpreter it stands on; ``program`` is None where it needs none."""

    folder: Path
    manifest: Manifest
    program: str | None

    @cached_property
    def _entries(self) -> dict[str, Stored]:
        builder = () if self.manifest.builder is None else (self.manifest.builder,)
        return {self._on_base(stored).id: stored for stored in (*self.manifest.cells, *builder)}

    @cached_property
    def _base(self) -> Base:
        if self.program is None:
            raise ConfigError("this bundle leaves packages to a base interpreter: name it with --base")
        base = read_base(self.program)
        for name, version in self.manifest.base.items():
            here = base.packages[name].version if name in base.packages else "none"
            if version and here != version:
                raise ConfigError(f"the bundle was made for {name} {version}, and {self.program} has {here}")
        return base

    def cells(self) -> tuple[Cell, ...]:
        """Return the cells as they were planned, with the versions that this base really has."""
        return tuple(self._on_base(stored) for stored in self.manifest.cells)

    def locks(self, cells: Iterable[Cell]) -> dict[str, Lock | Unsolvable]:
        """Return cell id → lock; nothing is resolved here.

        Raises:
            ConfigError: the bundle has no such cell, or the base lacks a package that the cell takes from it.
        """
        return {cell.id: self._lock(cell) for cell in cells}

    def locks_by_pins(self, cells: Iterable[Cell]) -> dict[str, Lock | Unsolvable]:
        """Return cell id → the lock of the stored cell with the same pins: a search plans cells of its own.

        A cell that the bundle does not hold is unsolvable here.
        """
        stored = {_content(cell): cell for cell in self.cells()}
        absent = Unsolvable("the bundle has no cell with these pins, and nothing can be resolved without an index")
        return {cell.id: self._lock(stored[_content(cell)]) if _content(cell) in stored else absent for cell in cells}

    def _lock(self, cell: Cell) -> Lock | Unsolvable:
        stored = self._entries.get(cell.id)
        if stored is None:
            raise ConfigError(f"the bundle has no lock for {cell.id}: make it again with this harness")
        if stored.text is None:
            return Unsolvable(stored.sentence or "")
        if not stored.from_base:
            return read_lock(stored.text, cell.python, None, sysconfig.get_platform())
        own = packages_of(stored.text)
        layer = {name: v for name, v in self._base.layer(stored.from_base).items() if name not in own}
        text = "".join(f"# base: {name}=={version}\n" for name, version in layer.items()) + stored.text
        return read_lock(text, cell.python, self.program, sysconfig.get_platform())

    def _on_base(self, stored: Stored) -> Cell:
        return replace(stored.cell, pins=tuple(self._pin(pin) for pin in stored.cell.pins))

    def _pin(self, pin: Pin) -> Pin:
        if not pin.installed:
            return pin
        version = self._base.layer([pin.package])[pin.package]
        return installed_pin(pin.package, version)


def _content(cell: Cell) -> tuple[object, ...]:
    return (cell.python, frozenset((pin.package, pin.requirement) for pin in cell.pins), cell.variables)


def installed_pin(package: str, version: str) -> Pin:
    """Return the pin of what a base has, as a plan without a bundle would make it."""
    return Pin(package, f"installed@{version}", f"{package}=={version}", installed=True)


def opened(environ: Mapping[str, str] | None = None) -> Bundle | None:
    """Return the bundle that ``HARNESS_BUNDLE`` names, None where it names none.

    Raises:
        ConfigError: the folder is not a bundle.
    """
    found = os.environ if environ is None else environ
    folder = found.get(VARIABLE)
    if not folder:
        return None
    return Bundle(Path(folder), read_manifest(Path(folder)), found.get(BASE_VARIABLE) or None)
