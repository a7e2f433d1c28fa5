"""The two environments of a blame, and the packages that differ between them.

An environment is a cell of a run, of a matrix or of a bundle, or a file that lists what is installed.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from packaging.utils import canonicalize_name

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import NO_VERSION, Lock, Unsolvable, base_layer, packages_of
from harness.envs.requirements import exact_pin, is_implicit, read_pinned
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import Cell, Pin, nearest_cell
from harness.matrix.expand import THIS_PYTHON
from harness.matrix.paths import short_path
from harness.matrix.plan import plan_cells
from harness.matrix.schema import Matrix
from harness.search.prober import resolve
from harness.search.records import PackageChange
from harness.session.plan import matches
from harness.store.records import CellRecord
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run, run_folders

Found = TypeVar("Found", Cell, CellRecord)
CELLS_NAMED = 5


@dataclass(frozen=True)
class Environment:
    """One end of a blame.

    Attributes:
        cell: As it was asked for.
        pins: Every package that it has.
        notes: For the user.
        tested: The packages that a cell pins. A file does not say what is under test.
        python_assumed: A file does not name its Python either.
    """

    cell: Cell
    pins: Mapping[str, Pin]
    notes: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    python_assumed: bool = False


@dataclass(frozen=True)
class Difference:
    """Two environments: a cell with everything that both have, the packages that differ, and notes for the user."""

    shared: Cell
    changes: tuple[PackageChange, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EnvironmentQuery:
    """Where environments are looked up.

    Attributes:
        matrix: It says what is under test, and has cells.
        reports: The folder of the runs whose cells can be named.
        run: ``--run``: the run whose cells are named.
        python: The Python of files, which do not name their own.
    """

    matrix: Matrix
    cache_dir: CacheDir
    reports: Path
    run: str | None = None
    python: str | None = None

    def compare(self, good: str, bad: str) -> Difference:
        """Return what differs between two ends; packages that the matrix or the cells pin come first.

        Raises:
            ConfigError: An end names nothing, or only what conda installed, or no package differs.
        """
        old, new = self.both(good, bad)
        tested = tuple(dict.fromkeys((*self.matrix.packages, *old.tested, *new.tested)))
        before, after = (_ordered(one.pins, tested) for one in (old, new))
        changes = diff_pins(before, after, tested)
        if not changes:
            raise ConfigError(f"no package differs between {good} and {bad}")
        moving = {change.package for change in changes}
        installed = tuple(pin for pin in new.cell.pins if pin.installed)
        pins = (*installed, *(pin for name, pin in after.items() if name not in moving))
        base = new.cell.base_python if installed else None
        notes = tuple(dict.fromkeys((*old.notes, *new.notes, *_other_differences(old, new))))
        return Difference(Cell(new.cell.python, pins, new.cell.variables, base_python=base), changes, notes)

    def both(self, good: str, bad: str) -> tuple[Environment, Environment]:
        """Return both ends; a file is resolved for the Python of the other end if that is a cell.

        Raises:
            ConfigError: They name nothing, have no resolution, or are for two Pythons.
        """
        cells = {text: self.load(text) for text in (good, bad) if not _is_file(text)}
        pythons = {one.cell.python for one in cells.values()} | ({self.python} if self.python else set())
        if len(pythons) > 1:
            raise ConfigError(f"the ends are for Python {' and '.join(sorted(pythons))}: blame compares only packages")
        known = replace(self, python=next(iter(pythons), None))
        one, other = (cells.get(text) or known.load(text) for text in (good, bad))
        return one, other

    def load(self, text: str) -> Environment:
        """Return the environment that ``--good`` or ``--bad`` names.

        Raises:
            ConfigError: It names nothing, or has no resolution.
        """
        if _is_file(text):
            return self._of_file(text, Path(text).expanduser())
        run, colon, cell = text.rpartition(":")
        if colon:
            return self._of_run(text, find_run(run, self.reports), cell)
        if self.run is not None:
            return self._of_run(text, find_run(self.run, self.reports), cell)
        newest = next((folder for folder in reversed(run_folders(self.reports)) if _has(folder, text)), None)
        return self._of_matrix(text) if newest is None else self._of_run(text, newest, text)

    def _of_run(self, text: str, folder: RunFolder, wanted: str) -> Environment:
        record = _one(text, wanted, {cell.id: cell for cell in folder.read_record().cells}, short_path(folder.path))
        lock = folder.cell(record.id) / "lock.txt"
        if record.planned is None or not lock.exists():
            why = record.unsolvable or "none was kept"
            raise ConfigError(f"{text}: {record.id} has no lock in {short_path(folder.path)} ({why})")
        pins = self._whole(record.planned, lock.read_text(encoding="utf-8"))
        note = f"{text} is {record.id} of {short_path(folder.path)}"
        return Environment(record.planned, pins, (note,), tested=_tested(record.planned))

    def _of_matrix(self, text: str) -> Environment:
        bundle = opened_bundle()
        cells = plan_cells(self.matrix, cache=self.cache_dir.releases).cells if bundle is None else bundle.cells()
        where = short_path(self.matrix.path) if bundle is None else "the bundle"
        cell = _one(text, text, {one.id: one for one in cells}, where)
        lock = _solved(text, cell, self.cache_dir)
        note = f"{text} is {cell.id} of {where}"
        return Environment(cell, self._whole(cell, lock.text), (note,), tested=_tested(cell))

    def _of_file(self, text: str, path: Path) -> Environment:
        """Read a file and resolve it, so that packages it does not name are known, too."""
        try:
            found = read_pinned(_decoded(path.read_bytes()), text)
        except OSError as error:
            raise ConfigError(f"{text} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{text} is neither UTF-8 nor UTF-16: it is no text") from None

        if not found.pins and found.conda:
            raise ConfigError(
                f"{text} names only packages of conda, which are not those of the package index: give the output of "
                "`pip list --format=freeze` in that environment"
            )

        if not found.pins:
            raise ConfigError(f"{text} names no package at an exact version")

        cell = Cell(self.python or self.matrix.python or THIS_PYTHON.python, (*found.pins, *found.open))
        absent: list[str] = []
        while isinstance(lock := resolve([cell], self.cache_dir)[cell.id], Unsolvable) and not lock.network:
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
        return Environment(cell, pins, tuple(notes), python_assumed=self.python is None)

    def _whole(self, cell: Cell, lock: str) -> dict[str, Pin]:
        """Return a pin for every package of a lock except those of the base interpreter.

        In a bundle these are the packages that its cells pin: nothing else can be moved.
        """
        if opened_bundle() is not None:
            return {pin.package: pin for pin in cell.pins if not pin.installed}
        base = base_layer(lock)
        packages = packages_of(lock).items()
        return {
            name: exact_pin(name, version) for name, version in packages if name not in base and not is_implicit(name)
        }


def diff_pins(good: Mapping[str, Pin], bad: Mapping[str, Pin], first: Sequence[str]) -> tuple[PackageChange, ...]:
    """Return the packages whose pins differ, those of ``first`` in front: they are the likely culprits.

    Installers, the harness's own packages and what torch brings with its build are left out.
    """
    names = [name for name in {**good, **bad} if not is_implicit(name) and not _same(good.get(name), bad.get(name))]
    place = {name: at for at, name in enumerate(first)}
    ordered = sorted(names, key=lambda name: (place.get(name, len(place)), name))
    return tuple(PackageChange(package=name, old=good.get(name), new=bad.get(name)) for name in ordered)


def _same(one: Pin | None, other: Pin | None) -> bool:
    return one is not None and other is not None and one.requirement == other.requirement


def _ordered(pins: Mapping[str, Pin], tested: tuple[str, ...]) -> dict[str, Pin]:
    """Return the pins with those under test first; the others are marked as transitive."""
    place = {name: at for at, name in enumerate(tested)}
    ordered = sorted(pins, key=lambda name: (place.get(name, len(place)), name))
    return {name: replace(pins[name], transitive=name not in place) for name in ordered}


def _other_differences(good: Environment, bad: Environment) -> Iterator[str]:
    """Yield notes on differences that are not packages, and on assumptions."""
    if opened_bundle() is not None:
        yield "a bundle separates only the packages that its cells pin; their dependencies move with them"
    if good.cell.variables != bad.cell.variables:
        names = ", ".join(dict(bad.cell.variables)) or "none"
        yield f"the environment variables differ, too; both ends run with those of the bad one ({names})"
    if good.python_assumed and bad.python_assumed:
        yield f"the files do not name a Python: {bad.cell.python} is taken (--python)"


def _tested(cell: Cell) -> tuple[str, ...]:
    return tuple(pin.package for pin in cell.pins if not pin.transitive)


def _is_file(text: str) -> bool:
    return Path(text).expanduser().is_file()


def _has(folder: RunFolder, pattern: str) -> bool:
    try:
        return any(matches(cell.id, pattern) for cell in folder.read_record().cells)
    except ConfigError:  # a damaged run has no cell; it is an error only if --run names it
        return False


def _one(text: str, wanted: str, there: Mapping[str, Found], where: str) -> Found:
    chosen = [cell for name, cell in there.items() if matches(name, wanted)]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise ConfigError(
            f"{text}: {len(chosen)} cells of {where} are called so: {', '.join(one.id for one in chosen)}"
        )

    near = nearest_cell(wanted, there)
    some = f"there are {', '.join(list(there)[:CELLS_NAMED])}{' …' if len(there) > CELLS_NAMED else ''}"
    hint = f"the nearest is {near}" if near else some
    raise ConfigError(f"{text} is no file, and no cell of {where} is called so; {hint}")


def _solved(text: str, cell: Cell, cache_dir: CacheDir) -> Lock:
    lock = resolve([cell], cache_dir)[cell.id]
    if isinstance(lock, Lock):
        return lock
    if lock.network:
        raise InfrastructureError(f"{text}: the index does not answer: {lock.sentence}")
    raise ConfigError(f"{text} has no resolution: {lock.sentence}")


def _decoded(content: bytes) -> str:
    """Read a text as UTF-8, or as the UTF-16 that PowerShell writes where output goes to a file."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if marked else "utf-8-sig")
