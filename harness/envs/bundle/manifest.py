"""``bundle.json``, the manifest of a bundle: written where it is packed, read where it runs."""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.envs.lock import Lock, Unsolvable, packages_of, read_lock
from harness.errors import ConfigError
from harness.matrix.base import BaseInterpreter, read_base
from harness.matrix.cell import Cell, Pin

SCHEMA_VERSION = 1
FILE = "bundle.json"
WHEELS, CHECKPOINTS, PROGRAM, HOST_LOCK = "wheels", "checkpoints", "app", "host.txt"
VARIABLE = "HARNESS_BUNDLE"  # the folder of an unpacked bundle
BASE_VARIABLE = "HARNESS_BUNDLE_BASE"  # the interpreter with the packages that the bundle leaves out
FREEZE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*===?\s*(\S+)")
DIRECT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*) @ ")
COLUMNS = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s+(\d\S*)(?:\s.*)?")


class StoredCell(BaseModel):
    """One cell with its lock, or with the sentence why it has none.

    ``from_base`` lists the packages of the base of the other machine, which the lock leaves out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: Cell
    text: str | None = None
    sentence: str | None = None
    from_base: tuple[str, ...] = ()


class Manifest(BaseModel):
    """The content of a bundle, for ``harness run``.

    Attributes:
        schema_version: the version of this form.
        harness_version: the version of the harness in the bundle.
        python: the Python of the other machine (``3.12``).
        platform: its platform (``linux-x86_64``).
        matrix: the matrix file, relative to the folder of the bundle.
        selection: the scenarios, relative to that folder; empty if all belong to the harness.
        needs_base: a cell takes packages from a base.
        base: name → version of the base that the bundle was made for, if known.
        cells: the cells with their locks.
        builder: the environment that builds checkpoints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    harness_version: str
    python: str
    platform: str
    matrix: str
    selection: tuple[str, ...] = ()
    needs_base: bool
    base: dict[str, str] = {}
    cells: tuple[StoredCell, ...]
    builder: StoredCell | None = None

    def write(self, folder: Path) -> None:
        """Write ``bundle.json``."""
        (folder / FILE).write_text(self.model_dump_json(indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read ``bundle.json``.

    Raises:
        ConfigError: it is missing, damaged, or of a newer harness.
    """
    try:
        manifest = Manifest.model_validate_json((folder / FILE).read_bytes())
    except OSError as missing:
        raise ConfigError(f"{folder} is not an unpacked bundle: it has no {FILE}") from missing
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or FILE
        raise ConfigError(f"{folder / FILE}: {where}: {first['msg']}") from invalid

    if manifest.schema_version > SCHEMA_VERSION:
        raise ConfigError(f"{folder / FILE} has schema {manifest.schema_version}, newer than {SCHEMA_VERSION}")
    return manifest


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle and its base interpreter, None if it needs none."""

    folder: Path
    manifest: Manifest
    program: str | None

    @cached_property
    def _entries(self) -> dict[str, StoredCell]:
        builder = () if self.manifest.builder is None else (self.manifest.builder,)
        return {self._on_base(stored).id: stored for stored in (*self.manifest.cells, *builder)}

    @cached_property
    def _base(self) -> BaseInterpreter:
        if self.program is None:
            raise ConfigError("this bundle leaves packages to a base interpreter: name it with --base")
        base = read_base(self.program)
        for name, version in self.manifest.base.items():
            found_version = base.packages[name].version if name in base.packages else "none"
            if version and found_version != version:
                raise ConfigError(f"the bundle was made for {name} {version}, and {self.program} has {found_version}")
        return base

    def cells(self) -> tuple[Cell, ...]:
        """Return the planned cells, with the versions of this base."""
        return tuple(self._on_base(stored) for stored in self.manifest.cells)

    def locks(self, cells: Iterable[Cell]) -> dict[str, Lock | Unsolvable]:
        """Return cell id → stored lock.

        Raises:
            ConfigError: the bundle has no such cell, or the base lacks a package of the cell.
        """
        return {cell.id: self._lock(cell) for cell in cells}

    def locks_by_pins(self, cells: Iterable[Cell]) -> dict[str, Lock | Unsolvable]:
        """Return cell id → the stored lock of the same pins, for the cells of a search.

        A cell without a stored lock is unsolvable.
        """
        stored = {_content(cell): cell for cell in self.cells()}
        absent = Unsolvable("the bundle has no cell with these pins, and there is no index to resolve them")
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

    def _on_base(self, stored: StoredCell) -> Cell:
        return replace(stored.cell, pins=tuple(self._pin(pin) for pin in stored.cell.pins))

    def _pin(self, pin: Pin) -> Pin:
        if not pin.installed:
            return pin
        version = self._base.layer([pin.package])[pin.package]
        return installed_pin(pin.package, version)


def _content(cell: Cell) -> tuple[object, ...]:
    return (cell.python, frozenset((pin.package, pin.requirement) for pin in cell.pins), cell.variables)


def installed_pin(package: str, version: str) -> Pin:
    """Return the pin of a package of the base, equal to that of a plan without a bundle."""
    return Pin(package, f"installed@{version}", f"{package}=={version}", installed=True)


def opened_bundle(environ: Mapping[str, str] | None = None) -> Bundle | None:
    """Return the bundle of ``HARNESS_BUNDLE``, None if the variable is not set.

    Raises:
        ConfigError: the folder is not a bundle.
    """
    found = os.environ if environ is None else environ
    folder = found.get(VARIABLE)
    if not folder:
        return None
    return Bundle(Path(folder), read_manifest(Path(folder)), found.get(BASE_VARIABLE) or None)


def read_freeze(path: Path) -> dict[str, str]:
    """Return normalized name → version of a listing; a package from a file or a commit has an empty version.

    Raises:
        ConfigError: the file cannot be read, or a line is neither ``name==version`` nor ``name version``.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--base-freeze {path} cannot be read: {error}") from error

    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if not text or text.startswith(("-", "Package ")):  # editable installs, options, the heading of a table
            continue
        match = FREEZE.fullmatch(text) or COLUMNS.fullmatch(text)
        direct = DIRECT.match(text)
        if match is None and direct is None:
            raise ConfigError(f"--base-freeze {path}, line {number}: {text!r} is not name==version")
        name, version = match.groups() if match else (direct[1] if direct else "", "")
        found[str(canonicalize_name(name))] = version

    if not found:
        raise ConfigError(f"--base-freeze {path} names no package; write it with `pip list --format=freeze`")
    return found
