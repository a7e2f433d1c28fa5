"""Pins and cells of candidates: a release, a commit, a working copy, and the overrides of ``--with``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import InvalidName, canonicalize_name

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import NO_VERSION, Lock, Unsolvable
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.expression import Folder, parse
from harness.matrix.git import GitFailed, git, installer_address
from harness.matrix.index import list_releases
from harness.matrix.paths import short_path
from harness.matrix.plan import Sources
from harness.matrix.schema import Matrix
from harness.matrix.versions import Resolver


def commit_pin(package: str, address: str, commit: str, subfolder: str = "") -> Pin:
    """Return the pin of a commit: ``package @ git+<address>@<commit>``."""
    inside = f"#subdirectory={subfolder}" if subfolder else ""
    name = canonicalize_name(package)
    return Pin(name, f"git@{commit[:8]}", f"{name} @ git+{address}@{commit}{inside}")


@dataclass(frozen=True)
class CommitAddress:
    """The source of a package: the address of a repository, the full hash of a commit, the folder inside it."""

    address: str
    commit: str
    subfolder: str = ""


def parse_commit_address(text: str) -> CommitAddress | None:
    """Read an address as :func:`commit_pin` writes it (``git+<address>@<commit>``); None for anything else."""
    found = re.fullmatch(r"git\+(.+)@([0-9a-f]{40})(?:#subdirectory=(.+))?", text)
    return CommitAddress(found[1], found[2], found[3] or "") if found else None


def cell_at(base: Cell, package: str, release: str) -> Cell:
    """Return ``base`` with one release of a package."""
    return cell_with(base, Pin(package, release, f"{package}=={release}"))


def cell_with(base: Cell, pin: Pin) -> Cell:
    """Return ``base`` with another pin; the id of the cell names only that package."""
    held = any(one.package == pin.package for one in base.pins)
    pins = tuple(pin if one.package == pin.package else one for one in base.pins) + (() if held else (pin,))
    base_python = base.base_python if any(one.installed for one in pins) else None
    return replace(base, pins=pins, axes=(pin.package,), base_python=base_python, reference=False)


def override_pins(
    cell: Cell, wanted: Sequence[str], matrix: Matrix, cache_dir: CacheDir
) -> tuple[Cell, tuple[str, ...]]:
    """Return a cell with the pin of each ``PACKAGE=EXPRESSION``, and notes; paths are relative to the current folder.

    Raises:
        ConfigError: One has another form, or means none or several versions.
        InfrastructureError: The index or a repository does not answer.
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

    return cell, tuple(notes)


def _pin(package: str, expression: str, matrix: Matrix, cache_dir: CacheDir, notes: list[str]) -> Pin:
    try:
        kind = parse(expression)
        if isinstance(kind, Folder):
            return _folder_pin(package, Path(kind.folder).expanduser().absolute(), notes)
        resolver = _resolver(matrix, cache_dir)
        pins = resolver(package, expression)
    except (ConfigError, ValueError) as error:
        raise ConfigError(f'--with {package}="{expression}": {error}') from None

    notes += resolver.warnings
    if len(pins) > 1:
        raise ConfigError(f"--with {package}={expression} means {len(pins)} versions; name one")
    return pins[0]


def _resolver(matrix: Matrix, cache_dir: CacheDir) -> Resolver:
    """Return a resolver that lists the releases of any package, not only of those in the matrix."""
    return replace(
        Sources(matrix, cache_dir.releases).resolver(),
        releases=lambda name: list_releases([name], cache_dir.releases, matrix.packages).releases[name],
    )


def _folder_pin(package: str, folder: Path, notes: list[str]) -> Pin:
    """Return the pin of a working copy: its commit if git tracks every change, else the folder as it is.

    A build inside the folder leaves files behind that the build of the next commit would include: with setuptools a
    module that was removed from the sources stays in ``build/``. A commit is built in a copy of its own.
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
        notes.append(f"{package} is built from {folder} as it is, because files in it differ from its commit")
        return Pin(package, f"path:{folder.name}", f"{package} @ {folder.as_uri()}")
    notes.append(f"{package} is commit {commit[:10]} of {folder}; files that git does not track are left out")
    return commit_pin(package, installer_address(top), commit, inside)


def require_releases(
    cell: Cell, lock: Lock | Unsolvable, matrix: Matrix, cache_dir: CacheDir, typed: Sequence[str] = ()
) -> None:
    """Reject pins to releases that do not exist on the index, instead of reporting them as undecided.

    Args:
        cell: The cell as it was asked for.
        lock: Its resolution. The index is asked only about packages without a version in it.
        matrix: Its ``as_of`` counts; and it names the pins that were not typed.
        cache_dir: The cache of release lists.
        typed: Each ``PACKAGE=VERSION`` of ``--with``.

    Raises:
        ConfigError: There is no such release or package; the nearest ones are named.
        InfrastructureError: The index does not answer.
    """
    if isinstance(lock, Lock) or lock.network or opened_bundle() is not None:
        return
    missing = {str(canonicalize_name(one or two)) for one, two in NO_VERSION.findall(lock.sentence)}
    overrides = {str(canonicalize_name(text.partition("=")[0])): text for text in typed}
    for pin in cell.pins:
        if pin.package in missing and pin.requirement.startswith(f"{pin.package}=="):
            typed_as = overrides.get(pin.package)
            where = f"--with {typed_as}" if typed_as else f"{short_path(matrix.path)}, {pin.package}"
            _look_up(pin, where, matrix, cache_dir)


def _look_up(pin: Pin, where: str, matrix: Matrix, cache_dir: CacheDir) -> None:
    try:
        _resolver(matrix, cache_dir)(pin.package, f"=={pin.requirement.partition('==')[2]}")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
