"""Make a bundle: cells locked for another machine, their wheels, scenarios, checkpoints and the harness."""

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
from harness.envs.bundle.resolve import Resolver, Target, packages_of_base
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
from harness.session.begin import KNOWN_ISSUES, read_known_issues
from harness.session.checkpoint_builder import VARIABLE, builder_cell, builder_python
from harness.session.checkpoints import CheckpointStore, open_store
from harness.session.plan import read_scenarios, select_cells
from harness.version import harness_version


def copy_matrix(matrix: Matrix, issues: str, folder: Path) -> str:
    """Copy the matrix file and its known issues; return the path of the matrix in the bundle."""
    target = folder / "matrices" / matrix.path.name
    target.parent.mkdir()
    shutil.copyfile(matrix.path, target)
    if find(KNOWN_ISSUES, matrix.path.parent) is not None:
        (target.parent / KNOWN_ISSUES).write_text(issues, encoding="utf-8")
    return target.relative_to(folder).as_posix()


def copy_scenarios(files: Iterable[ScenarioFile], folder: Path, *, chosen: bool) -> tuple[str, ...]:
    """Copy the folders of a user's scenarios; those of the harness are in its program.

    Returns the paths of all scenarios in the bundle; empty if the entries of the matrix find the same files there.
    """
    own = install_root() / "scenarios"
    copies: dict[Path, Path] = {}
    entries = []
    for file in files:
        parent = file.path.parent
        if parent == own:
            copy = Path(manifest.PROGRAM, "scenarios")
        elif parent in copies:
            copy = copies[parent]
        else:
            copy = copies[parent] = Path("scenarios", f"{len(copies)}-{safe_name(parent.name)}")
            _copy_folder(parent, folder / copy)
        entries.append(f"{(copy / file.path.name).as_posix()}{f'::{file.test}' if file.test else ''}")

    return tuple(entries) if copies or chosen else ()


def _copy_folder(source: Path, target: Path) -> None:
    """Copy the Python files and the checkpoint definitions of a folder of scenarios, nothing else."""
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.py")):
        shutil.copyfile(path, target / path.name)
    if (source / "checkpoints").is_dir():
        shutil.copytree(source / "checkpoints", target / "checkpoints", ignore=shutil.ignore_patterns("__pycache__"))


def copy_checkpoints(
    store: CheckpointStore, names: Sequence[str], cache_dir: CacheDir, folder: Path, report: Reporter
) -> None:
    """Build the checkpoints on this machine and copy them."""
    install, log = cache_dir.root / "checkpoints-install.log", cache_dir.root / "checkpoints.log"
    with UsageLocks() as usage_locks:
        usage_locks.acquire(*map(store.folder, store.with_bases(names)))
        store.provide(
            names, lambda: builder_python(store.builder, cache_dir, install, usage_locks=usage_locks), log, report
        )
        for name in names:
            source = store.folder(name)
            shutil.copytree(source, folder / manifest.CHECKPOINTS / source.name)


UNKNOWN_VERSION = "unknown"  # the version of a package of an unknown base


@dataclass(frozen=True)
class BundleOptions:
    """The options of a bundle.

    Attributes:
        target: the other machine.
        base: name → version of the packages of its base, empty if unknown.
        exclude: packages to take from that base.
        cuda: the only CUDA library to keep in bitsandbytes.
        scenarios: scenarios instead of the matrix's.
        cells: patterns of the cells to bundle; all if empty.
        tables: include pandas and pyarrow.
        torch: include torch.
        checkpoints: build the checkpoints on this machine and include them.
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
class BundleResult:
    """A finished bundle: its size in bytes, its numbers of wheels and cells, and notes for the user."""

    size: int
    wheels: int
    cells: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _BundleLocks:
    """The locks of a bundle: of the cells, of the environment that builds checkpoints, of the harness."""

    cells: tuple[StoredCell, ...]
    builder: StoredCell | None
    host: str

    @property
    def texts(self) -> list[str]:
        """The locks whose wheels are in the bundle."""
        stored = [*self.cells, *([self.builder] if self.builder else [])]
        return [*(one.text for one in stored if one.text is not None), self.host]

    @property
    def unsolvable(self) -> list[str]:
        """One sentence for each cell without a lock."""
        return [f"{one.cell.id} has no lock: {one.sentence}" for one in self.cells if one.text is None]


def make_bundle(
    matrix: Matrix, options: BundleOptions, out: Path, cache_dir: CacheDir, report: Reporter
) -> BundleResult:
    """Write the bundle of a matrix to ``out``.

    Raises:
        ConfigError: the matrix cannot be bundled with these options.
        InfrastructureError: the index cannot be reached, or the bundle cannot be written.
    """
    if matrix.checkpoints.weights not in WEIGHTS:
        raise ConfigError(
            f'[checkpoints] weights = "{matrix.checkpoints.weights}": a bundle carries no folder of weights'
        )

    files, infos = read_scenarios(matrix, options.scenarios)
    issues = read_known_issues(matrix.path.parent)
    cells, notes = plan_target_cells(matrix, options, cache_dir)
    names = list(dict.fromkeys(name for info in infos for name in info.checkpoints))
    store = open_store(cache_dir.checkpoints, {file.path.parent for file in files}, matrix.checkpoints.size)
    wanted = store.with_bases(names) if matrix.checkpoints.weights == "synthetic" else []
    builds_there = bool(wanted) and not options.checkpoints
    builder = store.builder if builds_there and not os.environ.get(VARIABLE) else None
    report(f"locking {len(cells)} cells for Python {options.target.python} on {options.target.platform}")
    locked = _lock_all(cells, options, cache_dir, builder)
    if builds_there and builder is None:
        notes = (*notes, f"{VARIABLE} is set: the bundle has no builder, the other machine's base builds checkpoints")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        folder = Path(scratch)
        target, wheel_cache = folder / manifest.WHEELS, cache_dir.root / "wheels"
        wheels = make_wheelhouse(locked.texts, options.target, target, wheel_cache, cuda=options.cuda, report=report)
        copy_program(folder)
        (folder / manifest.HOST_LOCK).write_text(wheels.relock(locked.host), encoding="utf-8")
        if wanted and options.checkpoints:
            copy_checkpoints(store, wanted, cache_dir, folder, report)
        chosen = copy_scenarios(files, folder, chosen=bool(options.scenarios))
        _manifest(options, locked, wheels, copy_matrix(matrix, issues, folder), chosen).write(folder)
        total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        report(f"compressing {total / 1e6:.0f} MB")
        size = write_archive(folder, out, _progress(report, total))
        count = len(list((folder / manifest.WHEELS).glob("*.whl")))

    return BundleResult(size, count, len(locked.cells), (*notes, *locked.unsolvable))


def _lock_all(cells: Sequence[Cell], options: BundleOptions, cache_dir: CacheDir, builder: Path | None) -> _BundleLocks:
    """Lock the cells, the harness, and the environment of ``builder``, the program that writes checkpoints."""
    resolver = Resolver(
        options.target,
        options.base,
        cache_dir.locks,
        pip_config.read_uv_settings(),
    )
    return _BundleLocks(
        cells=_lock_cells(cells, resolver, options),
        builder=None if builder is None else _lock_builder(builder, resolver, options, cells),
        host=_solved(resolver.plain(own_requirements(tables=options.tables)), "the requirements of the harness"),
    )


def _manifest(
    options: BundleOptions, locked: _BundleLocks, wheels: Wheelhouse, matrix: str, chosen: tuple[str, ...]
) -> Manifest:
    """Return the manifest; ``matrix`` and ``chosen`` are paths in the bundle."""
    return Manifest(
        harness_version=harness_version(),
        python=options.target.python,
        platform=options.target.platform,
        matrix=matrix,
        selection=chosen,
        needs_base=any(one.from_base for one in locked.cells),
        base={name: options.base[name] for one in locked.cells for name in one.from_base if options.base.get(name)},
        cells=tuple(_relock(one, wheels) for one in locked.cells),
        builder=None if locked.builder is None else _relock(locked.builder, wheels),
    )


def plan_target_cells(
    matrix: Matrix, options: BundleOptions, cache_dir: CacheDir
) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
    """Return the cells of a matrix for the target, with notes; excluded packages and a pinned torch are ``installed``.

    Raises:
        ConfigError: an excluded package is an axis, or a cell needs another Python.
    """
    excluded = dict.fromkeys([*options.exclude, *(["torch"] if "torch" in matrix.pins and not options.torch else [])])
    for name in options.exclude:
        if name in matrix.axes:
            raise ConfigError(f"--exclude {name}: it is an axis of {matrix.name}, and the base has it only once")

    pins = {**matrix.pins, **dict.fromkeys(excluded, "installed")}
    python = matrix.python or options.target.python
    asked = matrix.model_copy(update={"pins": pins, "python": python})
    versions = dict(options.base) or dict.fromkeys([*matrix.packages, *excluded], UNKNOWN_VERSION)
    packages = {name: BasePackage(name, version) for name, version in versions.items()}
    base = BaseInterpreter(Path(matrix.base or "python3"), options.target.python, packages)

    expansion = plan_cells(asked, cache=cache_dir.releases, base=base)
    cells = select_cells(expansion.cells, options.cells)
    for cell in cells:
        if cell.python != options.target.python:
            raise ConfigError(
                f"{cell.id} wants Python {cell.python}, and the bundle is for {options.target.python}: "
                "a bundle is for one Python (--python, --cells)"
            )

    overruled = [name for name in excluded if matrix.pins.get(name, "installed") != "installed"]
    notes = (f"{name} is taken from the other machine: the pin of the matrix is ignored" for name in overruled)
    return cells, (*expansion.warnings, *notes)


def _lock_cells(cells: Sequence[Cell], resolver: Resolver, options: BundleOptions) -> tuple[StoredCell, ...]:
    answers = resolver.cells(cells)
    for cell in cells:
        _check_lock(cell.id, answers[cell.id], options)
    if not any(isinstance(answer, str) for answer in answers.values()):
        raise ConfigError(f"no cell has a resolution; {cells[0].id}: {getattr(answers[cells[0].id], 'sentence', '')}")
    return tuple(_stored(cell, answers[cell.id], packages_of_base(cell)) for cell in cells)


def _stored(cell: Cell, answer: str | Unsolvable, from_base: tuple[str, ...]) -> StoredCell:
    if isinstance(answer, Unsolvable):
        return StoredCell(cell=cell, sentence=answer.sentence, from_base=from_base)
    return StoredCell(cell=cell, text=answer, from_base=from_base)


def _check_lock(name: str, answer: str | Unsolvable, options: BundleOptions) -> None:
    """Check that a lock can be bundled."""
    if isinstance(answer, Unsolvable):
        if answer.network:
            raise InfrastructureError(f"{name} cannot be locked: {answer.sentence}")
        if "no usable wheels" in answer.sentence or "no wheels" in answer.sentence:
            raise ConfigError(f"{name}: a bundle holds wheels only, for {options.target.platform}: {answer.sentence}")
        return

    found = packages_of(answer)
    cuda = [package for package in found if package.startswith("nvidia-")]
    if "torch" in found and not options.torch:
        also = f" and {len(cuda)} CUDA packages" if cuda else ""
        raise ConfigError(
            f"{name} would include torch {found['torch']}{also}: leave it to the other machine "
            'with --exclude torch or torch = "installed", or include it with --with-torch'
        )


def _lock_builder(folder: Path, resolver: Resolver, options: BundleOptions, cells: Sequence[Cell]) -> StoredCell:
    """Lock the environment that builds checkpoints, with the packages of the base that the cells take from it."""
    cell = replace(builder_cell(folder), python=options.target.python)
    left = sorted({name for one in cells for name in packages_of_base(one)})
    own = [pin for pin in cell.pins if pin.package not in left]
    pins = (*own, *(installed_pin(name, UNKNOWN_VERSION) for name in left))
    on_base = replace(cell, pins=pins)
    answer = resolver.cells([on_base])[on_base.id]
    _check_lock("the environment that builds checkpoints", answer, options)
    return StoredCell(
        cell=cell, text=_solved(answer, "the environment that builds checkpoints"), from_base=packages_of_base(on_base)
    )


def _solved(answer: str | Unsolvable, what: str) -> str:
    if isinstance(answer, Unsolvable):
        raise InfrastructureError(f"{what} cannot be locked: {answer.sentence}")
    return answer


def _relock(stored: StoredCell, wheels: Wheelhouse) -> StoredCell:
    return stored if stored.text is None else stored.model_copy(update={"text": wheels.relock(stored.text)})


def _progress(report: Reporter, total: int) -> Callable[[int], None]:
    """Return a function that reports every tenth of ``total`` bytes."""
    tenths = [0]

    def update(done: int) -> None:
        now = done * 10 // max(1, total)
        if now > tenths[0]:
            tenths[0] = now
            report(f"compressed {now * 10} %")

    return update
