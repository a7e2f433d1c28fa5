"""One cell with some of its packages replaced, as ``--with PACKAGE=EXPRESSION`` says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import InvalidName, canonicalize_name

from harness.envs.places import Places
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.expression import Folder, parse
from harness.matrix.gitcommand import GitFailed, git
from harness.matrix.model import Matrix
from harness.matrix.plan import Outside
from harness.matrix.releases import list_releases
from harness.search.commits import commit_pin
from harness.search.history import address_of
from harness.search.prober import cell_with


@dataclass(frozen=True)
class Replaced:
    """The cell, and what to tell the user about what was put into it."""

    cell: Cell
    notes: tuple[str, ...] = ()


def replaced(cell: Cell, wanted: Sequence[str], matrix: Matrix, places: Places) -> Replaced:
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
        pin = _pin(package, expression.removeprefix("="), matrix, places, notes)
        axes = tuple(dict.fromkeys((*cell.axes, package)))
        cell = replace(cell_with(cell, pin), axes=axes)
    return Replaced(cell, tuple(notes))


def _pin(package: str, expression: str, matrix: Matrix, places: Places, notes: list[str]) -> Pin:
    try:
        kind = parse(expression)
        if isinstance(kind, Folder):
            return _folder_pin(package, Path(kind.folder).expanduser().absolute(), notes)
        resolver = replace(
            Outside(matrix, places.releases).resolver(),
            releases=lambda name: list_releases([name], places.releases).releases[name],
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
    return commit_pin(package, address_of(top), commit, inside)
