"""The two ends of a blame: a cell of a run, of a matrix or of a bundle, or a file that says what is installed."""

from __future__ import annotations

import codecs
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from packaging.utils import canonicalize_name

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import NO_VERSION, Lock, Unsolvable, base_layer, packages_of
from harness.envs.requirements import exact_pin, is_implicit, read_pinned
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import Cell, Pin
from harness.matrix.expand import THIS_PYTHON
from harness.matrix.paths import nearest, short_path
from harness.matrix.plan import plan_cells
from harness.matrix.schema import Matrix
from harness.search.prober import locks_of
from harness.store.records import CellRecord
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run

Found = TypeVar("Found", Cell, CellRecord)
SHOWN = 5  # so many ids are named where none fits


@dataclass(frozen=True)
class Side:
    """One end: the cell as it was asked for, every package it has with its pin, and what to tell the user."""

    name: str
    cell: Cell
    pins: Mapping[str, Pin]
    notes: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()  # the packages that a cell pins; a file does not say what is under test
    python_assumed: bool = False  # nor its Python


@dataclass(frozen=True)
class Asked:
    """Where ends are looked for, ``run`` as ``--run`` has it; and the Python of what does not say its own."""

    matrix: Matrix
    cache_dir: CacheDir
    reports: Path
    run: str | None = None
    python: str | None = None

    def both(self, good: str, bad: str) -> tuple[Side, Side]:
        """Return both ends; a file is resolved for the Python of the other end where that is a cell.

        Raises:
            ConfigError: they name nothing, have no resolution, or are for two Pythons.
        """
        cells = {text: self.side(text) for text in (good, bad) if not _is_file(text)}
        pythons = {side.cell.python for side in cells.values()} | ({self.python} if self.python else set())
        if len(pythons) > 1:
            raise ConfigError(f"the ends are for Python {' and '.join(sorted(pythons))}: blame compares packages alone")
        known = replace(self, python=next(iter(pythons), None))
        one, other = (cells.get(text) or known.side(text) for text in (good, bad))
        return one, other

    @property
    def default_python(self) -> str:
        """The Python of a file: as the user says, else the matrix, else the running one."""
        return self.python or self.matrix.python or THIS_PYTHON.python

    def side(self, text: str) -> Side:
        """Return what ``--good`` or ``--bad`` names.

        Raises:
            ConfigError: it names nothing, or what it names has no resolution.
        """
        if _is_file(text):
            return self._of_file(text, Path(text).expanduser())
        run, colon, cell = text.rpartition(":")
        if colon:
            return self._of_run(text, find_run(run, self.reports), cell)
        if self.run is not None:
            return self._of_run(text, find_run(self.run, self.reports), cell)
        newest = next((folder for folder in self._runs() if _has(folder, text)), None)
        return self._of_matrix(text) if newest is None else self._of_run(text, newest, text)

    def _runs(self) -> Iterable[RunFolder]:
        return (RunFolder(path.parent) for path in sorted(self.reports.absolute().glob("*/run.json"), reverse=True))

    def _of_run(self, text: str, folder: RunFolder, wanted: str) -> Side:
        record = _one(text, wanted, {cell.id: cell for cell in folder.read_record().cells}, short_path(folder.path))
        lock = folder.cell(record.id) / "lock.txt"
        if record.planned is None or not lock.exists():
            why = record.unsolvable or "none was kept"
            raise ConfigError(f"{text}: {record.id} has no lock in {short_path(folder.path)} ({why})")
        pins = self._whole(record.planned, lock.read_text(encoding="utf-8"))
        note = f"{text} is {record.id} of {short_path(folder.path)}"
        return Side(text, record.planned, pins, (note,), tested=_tested(record.planned))

    def _of_matrix(self, text: str) -> Side:
        bundle = opened_bundle()
        cells = plan_cells(self.matrix, cache=self.cache_dir.releases).cells if bundle is None else bundle.cells()
        where = short_path(self.matrix.path) if bundle is None else "the bundle"
        cell = _one(text, text, {one.id: one for one in cells}, where)
        lock = _solved(text, cell, self.cache_dir)
        note = f"{text} is {cell.id} of {where}"
        return Side(text, cell, self._whole(cell, lock.text), (note,), tested=_tested(cell))

    def _of_file(self, text: str, path: Path) -> Side:
        """Read a file and resolve it, so that what it does not name is known too."""
        try:
            found = read_pinned(_decoded(path.read_bytes()), text)
        except OSError as error:
            raise ConfigError(f"{text} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{text} is neither UTF-8 nor UTF-16: it is no text") from None
        if not found.pins:
            raise ConfigError(f"{text} names no package at an exact version")
        cell = Cell(self.default_python, (*found.pins, *found.open))
        absent: list[str] = []
        while isinstance(lock := locks_of([cell], self.cache_dir)[cell.id], Unsolvable) and not lock.network:
            names = {str(canonicalize_name(one or two)) for one, two in NO_VERSION.findall(lock.sentence)}
            gone = [pin for pin in cell.pins if pin.package in names and pin.package not in self.matrix.packages]
            if not gone:
                break
            absent += [pin.requirement for pin in gone]
            cell = replace(cell, pins=tuple(pin for pin in cell.pins if pin not in gone))
        lock = _solved(text, cell, self.cache_dir)
        pins = self._whole(cell, lock.text)
        unnamed = sorted(pins.keys() - {pin.package for pin in found.pins})
        notes = [f"{text}: {note}" for note in found.notes]
        notes += [f"{text}: left out, on no index: {', '.join(absent)}"] if absent else []
        notes += [f"{text}: not named there, so resolved now: {', '.join(unnamed)}"] if unnamed else []
        return Side(text, cell, pins, tuple(notes), python_assumed=self.python is None)

    def _whole(self, cell: Cell, lock: str) -> dict[str, Pin]:
        """Return a pin for every package of a lock; what the base interpreter keeps is not among them.

        In a bundle only what its cells pin: nothing else is there to be moved.
        """
        if opened_bundle() is not None:
            return {pin.package: pin for pin in cell.pins if not pin.installed}
        base = base_layer(lock)
        packages = packages_of(lock).items()
        return {
            name: exact_pin(name, version) for name, version in packages if name not in base and not is_implicit(name)
        }


def _tested(cell: Cell) -> tuple[str, ...]:
    return tuple(pin.package for pin in cell.pins if not pin.transitive)


def _is_file(text: str) -> bool:
    return Path(text).expanduser().is_file()


def _has(folder: RunFolder, pattern: str) -> bool:
    try:
        return any(_is(cell.id, pattern) for cell in folder.read_record().cells)
    except ConfigError:  # a run that cannot be read has no cell for us; named by --run it is an error
        return False


def _is(cell: str, pattern: str) -> bool:
    return cell == pattern or fnmatch.fnmatchcase(cell, pattern)


def _one(text: str, wanted: str, there: Mapping[str, Found], where: str) -> Found:
    chosen = [cell for name, cell in there.items() if _is(name, wanted)]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise ConfigError(
            f"{text}: {len(chosen)} cells of {where} are called so: {', '.join(one.id for one in chosen)}"
        )
    near = nearest(wanted, there)
    some = f"there are {', '.join(list(there)[:SHOWN])}{' …' if len(there) > SHOWN else ''}"
    hint = f"the nearest is {near}" if near else some
    raise ConfigError(f"{text} is no file, and no cell of {where} is called so; {hint}")


def _solved(text: str, cell: Cell, cache_dir: CacheDir) -> Lock:
    lock = locks_of([cell], cache_dir)[cell.id]
    if isinstance(lock, Lock):
        return lock
    if lock.network:
        raise InfrastructureError(f"{text}: the index does not answer: {lock.sentence}")
    raise ConfigError(f"{text} has no resolution: {lock.sentence}")


def _decoded(content: bytes) -> str:
    """Read a text as UTF-8, or as the UTF-16 that PowerShell writes where output goes to a file."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if marked else "utf-8-sig")
