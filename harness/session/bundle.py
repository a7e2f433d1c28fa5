"""Make a bundle of a matrix: cells locked for another machine, their wheels, scenarios, checkpoints and the harness."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.envs import pip_config
from harness.envs.bundle import manifest
from harness.envs.bundle.archive import copy_program, own_requirements, safe_name, write_archive
from harness.envs.bundle.manifest import Manifest, StoredCell, installed_pin
from harness.envs.bundle.resolve import Resolver, packages_of_base
from harness.envs.bundle.target import Target
from harness.envs.bundle.wheels import Wheelhouse, make_wheelhouse
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Unsolvable, packages_of
from harness.envs.usage_locks import UsageLocks
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.base import BaseInterpreter, BasePackage
from harness.matrix.cell import Cell
from harness.matrix.paths import ScenarioFile, find, install_root
from harness.matrix.plan import plan_cells
from harness.matrix.schema import WEIGHTS, Matrix
from harness.reporter import Reporter
from harness.session.begin import KNOWN_ISSUES, known_issues
from harness.session.checkpoint_builder import VARIABLE, builder_cell, builder_python
from harness.session.checkpoints import CheckpointStore, open_store
from harness.session.plan import read_scenarios, select_cells
from harness.version import harness_version


def copy_matrix(matrix: Matrix, issues: str, folder: Path) -> str:
    """Copy the matrix file and the known issues beside it; return its place in the bundle."""
    target = folder / "matrices" / matrix.path.name
    target.parent.mkdir()
    shutil.copyfile(matrix.path, target)
    if find(KNOWN_ISSUES, matrix.path.parent) is not None:
        (target.parent / KNOWN_ISSUES).write_text(issues, encoding="utf-8")
    return target.relative_to(folder).as_posix()


def copy_scenarios(files: Iterable[ScenarioFile], folder: Path, *, chosen: bool) -> tuple[str, ...]:
    """Copy the folders of a user's own scenarios, for the harness's own travel with it.

    Returns all of them by place; none where the matrix's own entries lead to the harness's own there as here.
    """
    own = install_root() / "scenarios"
    places: dict[Path, Path] = {}
    entries = []
    for file in files:
        parent = file.path.parent
        if parent == own:
            place = Path(manifest.PROGRAM, "scenarios")
        elif parent in places:
            place = places[parent]
        else:
            place = places[parent] = Path("scenarios", f"{len(places)}-{safe_name(parent.name)}")
            _copy_folder(parent, folder / place)
        entries.append(f"{(place / file.path.name).as_posix()}{f'::{file.test}' if file.test else ''}")
    return tuple(entries) if places or chosen else ()


def _copy_folder(source: Path, target: Path) -> None:
    """Copy the Python files and the checkpoint definitions beside a scenario, nothing else that lies there."""
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.py")):
        shutil.copyfile(path, target / path.name)
    if (source / "checkpoints").is_dir():
        shutil.copytree(source / "checkpoints", target / "checkpoints", ignore=shutil.ignore_patterns("__pycache__"))


def copy_checkpoints(
    store: CheckpointStore, names: Sequence[str], cache_dir: CacheDir, folder: Path, said: Reporter
) -> None:
    """Build the checkpoints here, as a run would, and copy them."""
    install, log = cache_dir.root / "checkpoints-install.log", cache_dir.root / "checkpoints.log"
    with UsageLocks() as usage_locks:
        usage_locks.acquire(*map(store.folder, store.with_bases(names)))
        store.provide(
            names, lambda: builder_python(store.builder, cache_dir, install, usage_locks=usage_locks), log, said
        )
        for name in names:
            source = store.folder(name)
            shutil.copytree(source, folder / manifest.CHECKPOINTS / source.name)


UNKNOWN = "unknown"  # the version of a base's package that nobody told


@dataclass(frozen=True)
class Order:
    """What to bundle, beyond the matrix.

    ``base`` is name → version of what the other machine has, empty where nobody told; ``exclude`` names packages to be
    taken from there; ``cuda`` thins bitsandbytes to one library.
    """

    target: Target
    base: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    cuda: str | None = None
    scenarios: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    tables: bool = False
    torch: bool = False
    checkpoints: bool = False


@dataclass(frozen=True)
class Made:
    """A finished bundle: its size and number of wheels, and what its user should know."""

    size: int
    wheels: int
    cells: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Locked:
    """Every lock of a bundle: of the cells, of the environment that builds checkpoints, of the harness itself."""

    cells: tuple[StoredCell, ...]
    builder: StoredCell | None
    host: str

    @property
    def texts(self) -> list[str]:
        """Return the locks whose wheels travel."""
        stored = [*self.cells, *([self.builder] if self.builder else [])]
        return [*(one.text for one in stored if one.text is not None), self.host]

    @property
    def unsolvable(self) -> list[str]:
        """Say which cells have no lock."""
        return [f"{one.cell.id} has no lock: {one.sentence}" for one in self.cells if one.text is None]


def make_bundle(matrix: Matrix, order: Order, out: Path, cache_dir: CacheDir, said: Reporter) -> Made:
    """Write the bundle of a matrix to ``out``.

    Raises:
        ConfigError: the matrix cannot be bundled so; one sentence says why.
        InfrastructureError: the index cannot be reached, or the disk is in the way.
    """
    if matrix.checkpoints.weights not in WEIGHTS:
        raise ConfigError(
            f'[checkpoints] weights = "{matrix.checkpoints.weights}": a bundle carries no folder of weights'
        )
    files, infos = read_scenarios(matrix, order.scenarios)
    issues = known_issues(matrix.path.parent)
    cells, notes = plan_for(matrix, order, cache_dir)
    names = list(dict.fromkeys(name for info in infos for name in info.checkpoints))
    store = open_store(cache_dir.checkpoints, {file.path.parent for file in files}, matrix.checkpoints.size)
    wanted = store.with_bases(names) if matrix.checkpoints.weights == "synthetic" else []
    built_there = bool(wanted) and not order.checkpoints
    said(f"locking {len(cells)} cells for Python {order.target.python} on {order.target.platform}")
    locked = _lock(cells, order, cache_dir, store.builder if built_there and not os.environ.get(VARIABLE) else None)
    if built_there and locked.builder is None:
        notes = (*notes, f"{VARIABLE} is set, so no builder travels: the other machine's base builds the checkpoints")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        folder = Path(scratch)
        kept = cache_dir.root / "wheels"
        wheels = make_wheelhouse(locked.texts, order.target, folder / manifest.WHEELS, kept, cuda=order.cuda, said=said)
        copy_program(folder)
        (folder / manifest.HOST_LOCK).write_text(wheels.relock(locked.host), encoding="utf-8")
        if wanted and order.checkpoints:
            copy_checkpoints(store, wanted, cache_dir, folder, said)
        chosen = copy_scenarios(files, folder, chosen=bool(order.scenarios))
        _manifest(order, locked, wheels, copy_matrix(matrix, issues, folder), chosen).write(folder)
        total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        said(f"compressing {total / 1e6:.0f} MB")
        size = write_archive(folder, out, _percent(said, total))
        count = len(list((folder / manifest.WHEELS).glob("*.whl")))
    return Made(size, count, len(locked.cells), (*notes, *locked.unsolvable))


def _lock(cells: Sequence[Cell], order: Order, cache_dir: CacheDir, builder: Path | None) -> _Locked:
    """Lock everything that travels; ``builder`` is the folder of the program that writes checkpoints there."""
    resolver = Resolver(order.target, order.base, cache_dir.locks, pip_config.read_uv_settings())
    return _Locked(
        cells=_locked(cells, resolver, order),
        builder=None if builder is None else _builder(builder, resolver, order, cells),
        host=_must(resolver.plain(own_requirements(tables=order.tables)), "the harness's own needs"),
    )


def _manifest(order: Order, locked: _Locked, wheels: Wheelhouse, matrix: str, chosen: tuple[str, ...]) -> Manifest:
    """Describe the bundle; ``matrix`` and ``chosen`` are places in it."""
    return Manifest(
        harness_version=harness_version(),
        python=order.target.python,
        platform=order.target.platform,
        matrix=matrix,
        selection=chosen,
        needs_base=any(one.from_base for one in locked.cells),
        base={name: order.base[name] for one in locked.cells for name in one.from_base if order.base.get(name)},
        cells=tuple(_relocked(one, wheels) for one in locked.cells),
        builder=None if locked.builder is None else _relocked(locked.builder, wheels),
    )


def plan_for(matrix: Matrix, order: Order, cache_dir: CacheDir) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
    """Expand a matrix for the target, with what ``exclude`` names taken from its base, and a pinned torch too.

    Raises:
        ConfigError: an excluded package is an axis, or a cell wants another Python.
    """
    excluded = dict.fromkeys([*order.exclude, *(["torch"] if "torch" in matrix.pins and not order.torch else [])])
    for name in order.exclude:
        if name in matrix.axes:
            raise ConfigError(f"--exclude {name}: it is an axis of {matrix.name}, and the base has it only once")
    pins = {**matrix.pins, **dict.fromkeys(excluded, "installed")}
    python = matrix.python or order.target.python
    asked = matrix.model_copy(update={"pins": pins, "python": python})
    versions = dict(order.base) or dict.fromkeys([*matrix.packages, *excluded], UNKNOWN)
    packages = {name: BasePackage(name, version) for name, version in versions.items()}
    base = BaseInterpreter(Path(matrix.base or "python3"), order.target.python, packages)
    expansion = plan_cells(asked, cache=cache_dir.releases, base=base)
    cells = select_cells(expansion.cells, order.cells)
    for cell in cells:
        if cell.python != order.target.python:
            raise ConfigError(
                f"{cell.id} wants Python {cell.python}, and the bundle is for {order.target.python}: "
                "a bundle is for one Python (--python, --cells)"
            )
    overruled = [name for name in excluded if matrix.pins.get(name, "installed") != "installed"]
    notes = (f"{name} is taken from the other machine, whatever the matrix pins" for name in overruled)
    return cells, (*expansion.warnings, *notes)


def _locked(cells: Sequence[Cell], resolver: Resolver, order: Order) -> tuple[StoredCell, ...]:
    answers = resolver.cells(cells)
    for cell in cells:
        _refuse(cell.id, answers[cell.id], order)
    if not any(isinstance(answer, str) for answer in answers.values()):
        raise ConfigError(f"no cell has a resolution; {cells[0].id}: {getattr(answers[cells[0].id], 'sentence', '')}")
    return tuple(_stored(cell, answers[cell.id], packages_of_base(cell)) for cell in cells)


def _stored(cell: Cell, answer: str | Unsolvable, from_base: tuple[str, ...]) -> StoredCell:
    if isinstance(answer, Unsolvable):
        return StoredCell(cell=cell, sentence=answer.sentence, from_base=from_base)
    return StoredCell(cell=cell, text=answer, from_base=from_base)


def _refuse(name: str, answer: str | Unsolvable, order: Order) -> None:
    """Refuse what a person would not want to carry, or what no network means."""
    if isinstance(answer, Unsolvable):
        if answer.network:
            raise InfrastructureError(f"{name} cannot be locked: {answer.sentence}")
        if "no usable wheels" in answer.sentence or "no wheels" in answer.sentence:
            raise ConfigError(f"{name}: a bundle holds wheels only, for {order.target.platform}: {answer.sentence}")
        return
    found = packages_of(answer)
    cuda = [package for package in found if package.startswith("nvidia-")]
    if "torch" in found and not order.torch:
        also = f" and {len(cuda)} CUDA packages" if cuda else ""
        raise ConfigError(
            f"{name} would bring torch {found['torch']}{also}: leave it to the other machine "
            'with --exclude torch or torch = "installed", or ask for it with --with-torch'
        )


def _builder(folder: Path, resolver: Resolver, order: Order, cells: Sequence[Cell]) -> StoredCell:
    """Lock the environment that builds checkpoints, on the base's torch where the cells stand on it."""
    cell = replace(builder_cell(folder), python=order.target.python)
    left = sorted({name for one in cells for name in packages_of_base(one)})
    kept = [pin for pin in cell.pins if pin.package not in left]
    pins = (*kept, *(installed_pin(name, UNKNOWN) for name in left))
    standing = replace(cell, pins=pins)
    answer = resolver.cells([standing])[standing.id]
    _refuse("the environment that builds checkpoints", answer, order)
    return StoredCell(
        cell=cell, text=_must(answer, "the environment that builds checkpoints"), from_base=packages_of_base(standing)
    )


def _must(answer: str | Unsolvable, what: str) -> str:
    if isinstance(answer, Unsolvable):
        raise InfrastructureError(f"{what} cannot be locked: {answer.sentence}")
    return answer


def _relocked(stored: StoredCell, wheels: Wheelhouse) -> StoredCell:
    return stored if stored.text is None else stored.model_copy(update={"text": wheels.relock(stored.text)})


def _percent(said: Reporter, total: int) -> Callable[[int], None]:
    """Say every tenth of the way."""
    tenths = [0]

    def hear(done: int) -> None:
        now = done * 10 // max(1, total)
        if now > tenths[0]:
            tenths[0] = now
            said(f"compressed {now * 10} %")

    return hear
