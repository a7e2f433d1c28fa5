"""Turn cells into attempts: lock, install and run what a run folder does not hold yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import InvalidName, canonicalize_name

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, Unsolvable, resolve_cells
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.expression import Folder, parse
from harness.matrix.git import GitFailed, git, installer_address
from harness.matrix.index import list_releases
from harness.matrix.plan import Sources
from harness.matrix.schema import Matrix
from harness.search.commits import commit_pin
from harness.search.reuse import reuse_query, take_over
from harness.session.begin import extend
from harness.session.conclude import conclude, standing
from harness.session.context import Options
from harness.session.plan import LOCK_JOBS, Plan, PlannedCell
from harness.session.run import run_plan
from harness.store.journal import Listener
from harness.store.records import AttemptRecord, Reason
from harness.store.run_folder import RunFolder

Order = Callable[[str], int]  # cell id -> its place in the report


@dataclass(frozen=True)
class Prober:
    """One run folder that grows cell by cell; ``plan`` has the matrix and the scenario, its own cells do not matter.

    Every probe is journalled by the run itself: a cell that has all its results is not run again, also after an
    interrupt. With ``reuse`` the results of earlier runs beside this one count too.
    """

    plan: Plan
    folder: RunFolder
    cache_dir: CacheDir
    options: Options
    reuse: bool = True

    def attempts(self, cell: Cell) -> list[AttemptRecord]:
        """Return the attempts of a cell that count, in the order they were made."""
        return [one for one in standing(self.folder.attempts()) if one.cell == cell.id]

    def probed(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of the cells that have all their results."""
        record = self.folder.read_record()
        left = conclude(record.cells, self.folder.collected(), self.folder.attempts()).missing
        whole = {one.id for one in record.cells} - {cell for cell, _ in left}
        return [cell for cell in cells if cell.id in whole]

    def probe(self, cells: Sequence[Cell], listener: Listener, *, repeat: int = 1, order: Order | None = None) -> bool:
        """Run the cells that lack one of ``repeat`` attempts of a scenario; return False when the user interrupted.

        ``order`` says how the run's cells stand in its report, which compares neighbours.
        """
        wanted = self._lacking(cells, repeat)
        if not wanted:
            return True
        plan = replace(self.plan, cells=locked(wanted, self.cache_dir))
        extend(plan, self.folder)
        if order is not None:
            self._sort(order)
        if self.reuse:
            take_over(self.folder, [cell.id for cell in wanted], reuse_query(self.folder, plan, self.options))
            left = self._lacking(wanted, repeat)
            plan = replace(plan, cells=tuple(planned for planned in plan.cells if planned.cell in left))
        if not plan.cells:
            return True
        return run_plan(plan, self.folder, self.cache_dir, replace(self.options, repeat=repeat), listener)

    def _lacking(self, cells: Sequence[Cell], repeat: int) -> list[Cell]:
        """Return the cells that lack a result, or one of ``repeat`` attempts of a scenario that they listed."""
        known, listed = self.probed(cells), self.folder.collected()
        ended = Counter(
            (one.cell, one.scenario)
            for one in self.folder.attempts()
            if one.attempt and one.outcome.reason is not Reason.INTERRUPTED
        )
        short = {
            cell.id
            for cell in cells
            if repeat > 1
            and not (listed.get(cell.id) and all(ended[cell.id, one] >= repeat for one in listed[cell.id]))
        }
        return [cell for cell in cells if cell not in known or cell.id in short]

    def _sort(self, order: Order) -> None:
        record = self.folder.read_record()
        cells = tuple(sorted(record.cells, key=lambda cell: order(cell.id)))
        self.folder.write_record(record.model_copy(update={"cells": cells}))


def locked(cells: Sequence[Cell], cache_dir: CacheDir) -> tuple[PlannedCell, ...]:
    """Return the cells with their locks."""
    locks = locks_of(cells, cache_dir)
    return tuple(PlannedCell(cell, locks[cell.id]) for cell in cells)


def locks_of(cells: Sequence[Cell], cache_dir: CacheDir) -> dict[str, Lock | Unsolvable]:
    """Return cell id → lock: from the index, or what the bundle that is open holds for the same pins."""
    bundle = opened_bundle()
    if bundle is None:
        return resolve_cells(cells, cache=cache_dir.locks, jobs=LOCK_JOBS)
    return bundle.locks_by_pins(cells)


def cell_at(base: Cell, package: str, release: str) -> Cell:
    """Return the cell that has one release of a package and everything else as ``base`` has it."""
    return cell_with(base, Pin(package, release, f"{package}=={release}"))


def cell_with(base: Cell, pin: Pin) -> Cell:
    """Return the cell that has ``pin`` and every other package as ``base`` has it; its id names that package alone."""
    held = any(one.package == pin.package for one in base.pins)
    pins = tuple(pin if one.package == pin.package else one for one in base.pins) + (() if held else (pin,))
    ground = base.base_python if any(one.installed for one in pins) else None
    return replace(base, pins=pins, axes=(pin.package,), base_python=ground, reference=False)


@dataclass(frozen=True)
class Overridden:
    """The cell, and what to tell the user about what was put into it."""

    cell: Cell
    notes: tuple[str, ...] = ()


def override_pins(cell: Cell, wanted: Sequence[str], matrix: Matrix, cache_dir: CacheDir) -> Overridden:
    """Return the cell with each ``PACKAGE=EXPRESSION`` in place of what it holds; paths are looked up from here.

    Raises:
        ConfigError: one of them is not of that form, or means none or several versions.
        InfrastructureError: the index or a repository cannot be reached.
    """
    notes: list[str] = []
    for text in wanted:
        name, equals, expression = text.partition("=")
        try:
            package = str(canonicalize_name(name, validate=True))
        except InvalidName:
            equals = ""
        if not equals or not expression:
            raise ConfigError(f"--with {text} is not PACKAGE=VERSION (or PACKAGE=path:FOLDER, PACKAGE=git:REF)")
        pin = _pin(package, expression.removeprefix("="), matrix, cache_dir, notes)
        axes = tuple(dict.fromkeys((*cell.axes, package)))
        cell = replace(cell_with(cell, pin), axes=axes)
    return Overridden(cell, tuple(notes))


def _pin(package: str, expression: str, matrix: Matrix, cache_dir: CacheDir, notes: list[str]) -> Pin:
    try:
        kind = parse(expression)
        if isinstance(kind, Folder):
            return _folder_pin(package, Path(kind.folder).expanduser().absolute(), notes)
        resolver = replace(
            Sources(matrix, cache_dir.releases).resolver(),
            releases=lambda name: list_releases([name], cache_dir.releases).releases[name],
        )
        pins = resolver(package, expression)
    except (ConfigError, ValueError) as error:
        raise ConfigError(f'--with {package}="{expression}": {error}') from None
    notes += resolver.warnings
    if len(pins) > 1:
        raise ConfigError(f"--with {package}={expression} means {len(pins)} versions; name one")
    return pins[0]


def _folder_pin(package: str, folder: Path, notes: list[str]) -> Pin:
    """Return the pin of a working copy: of its commit where git tracks every change, else of the folder as it stands.

    A build inside the folder leaves files behind that the build of the next commit would pack: with setuptools a module
    that is gone from the sources stays in ``build/``. A commit is built in a copy of its own.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    try:
        changed = git(folder, "status", "--porcelain", "--untracked-files=no")
        commit = git(folder, "rev-parse", "HEAD").strip()
        top = Path(git(folder, "rev-parse", "--show-toplevel").strip())
        inside = git(folder, "rev-parse", "--show-prefix").strip().strip("/")
    except GitFailed:
        return Pin(package, f"path:{folder.name}", f"{package} @ {folder.as_uri()}")
    if changed:
        notes.append(f"{package} is built from {folder} as it stands, for files in it differ from its commit")
        return Pin(package, f"path:{folder.name}", f"{package} @ {folder.as_uri()}")
    notes.append(f"{package} is commit {commit[:10]} of {folder}; files that git does not track are left out")
    return commit_pin(package, installer_address(top), commit, inside)
