"""The front door of the room: from a matrix to its cells, asking the network only for what needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import ConfigError, HarnessError
from harness.matrix import git
from harness.matrix.base import BaseInterpreter, ask_interpreter
from harness.matrix.cell import Cell, Pin
from harness.matrix.expand import HERE, PythonContext, expand, product_cells
from harness.matrix.expression import GitRef, Latest, Range, parse, selector_matches
from harness.matrix.index import Listing, list_releases
from harness.matrix.paths import find, short_path
from harness.matrix.schema import Matrix
from harness.matrix.versions import Resolver


@dataclass(frozen=True)
class Expansion:
    """The cells of a matrix, and what the user should know about how they were found."""

    cells: tuple[Cell, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One version expression of a matrix, and where it stands."""

    where: str
    package: str
    text: str


def plan_cells(matrix: Matrix, *, cache: Path, base: BaseInterpreter | None = None) -> Expansion:
    """Expand a matrix.

    Exact pins need no network; ranges and ``latest`` need the index, ``dev``, ``git:`` and ``pr:`` their repository.

    Args:
        matrix: The matrix as read.
        cache: Folder where answers of the network are kept for an hour.
        base: What the base interpreter has, where it cannot be asked; by default it is asked.

    Raises:
        ConfigError: an expression means nothing; file, key and value are in the sentence.
        NothingSelectedError: everything is excluded.
        InfrastructureError: the index or a repository cannot be reached and no older answer is kept.
    """
    outside = Outside(matrix, cache, base)
    resolve = Located(matrix, outside.resolver())
    try:
        ground = _ground(matrix, outside, resolve)
        cells = expand(matrix, resolve, ground)
    except HarnessError as error:
        text = str(error).rstrip(".")
        name = short_path(matrix.path)
        raise type(error)(f"{text}." if text.startswith(name) else f"{name}: {text}.") from error
    warnings = (*outside.listing.warnings, *resolve.resolver.warnings, *_idle(matrix, resolve, ground))
    return Expansion(cells, tuple(dict.fromkeys(warnings)))


@dataclass(frozen=True)
class Outside:
    """What a matrix may ask of the machine and of the network; each is asked once, and only when needed."""

    matrix: Matrix
    cache: Path
    told: BaseInterpreter | None = None

    def resolver(self) -> Resolver:
        """Return a resolver that asks these sources."""
        return Resolver(
            releases=lambda package: self.listing.releases[package],
            commit=self._commit,
            base=lambda: self.base,
            folder=self._folder,
            as_of=self.matrix.as_of,
        )

    @cached_property
    def listing(self) -> Listing:
        """The releases of every package for which an expression needs them, asked for at once."""
        packages = {entry.package for entry in entries(self.matrix) if _needs_releases(entry)}
        if not packages:
            return Listing({})
        known = (*git.DEFAULT_REPOSITORIES, *self.matrix.packages)
        return list_releases(sorted(packages), self.cache, known)

    @cached_property
    def base(self) -> BaseInterpreter:
        """The base interpreter of ``installed`` pins."""
        if self.told is not None:
            return self.told
        if self.matrix.base is None:
            raise ConfigError('needs the key base, the interpreter that has the package (base = "python3")')
        return ask_interpreter(self.matrix.base, self.matrix.path.parent)

    def _commit(self, package: str, wanted: GitRef) -> tuple[str, git.ResolvedRef]:
        named = {**git.DEFAULT_REPOSITORIES, **self.matrix.repositories}
        if package not in named:
            raise ConfigError(f"the repository of {package} is not known; give it under [repositories]")
        address = git.repository_address(named[package], self.matrix.path.parent)
        return address, git.resolve_ref(wanted, address, self.cache)

    def _folder(self, text: str) -> Path:
        found = find(text, self.matrix.path.parent)
        if found is None or not found.is_dir():
            raise ConfigError(f"there is no folder {text}")
        return found.resolve()


class Located:
    """A resolver that remembers its answers, and whose errors name the place in the file."""

    def __init__(self, matrix: Matrix, resolver: Resolver) -> None:
        """Wrap a resolver for one matrix."""
        self.resolver = resolver
        self._matrix = matrix
        self._answers: dict[tuple[str, str], tuple[Pin, ...]] = {}

    def __call__(self, package: str, text: str) -> tuple[Pin, ...]:
        """Return the pins of an expression."""
        key = (package, text)
        if key not in self._answers:
            try:
                self._answers[key] = self.resolver(package, text)
            except ConfigError as error:
                raise ConfigError(f'{self._where(package, text)} {package} = "{text}": {error}') from error
        return self._answers[key]

    def _where(self, package: str, text: str) -> str:
        places = (entry.where for entry in entries(self._matrix) if (entry.package, entry.text) == (package, text))
        return next(places, "")


def entries(matrix: Matrix) -> Iterator[Entry]:
    """Yield every version expression of the matrix that is about a package."""
    rows = [(f"[[include]] {index}", row) for index, row in enumerate(matrix.include, 1)]
    rows += [(f"[[exclude]] {index}", row) for index, row in enumerate(matrix.exclude, 1)]
    for package, texts in matrix.axes.items():
        yield from (Entry("[axes]", package, text) for text in texts if package != "python")
    for package, text in matrix.pins.items():
        yield Entry("[pins]", package, text)
    for where, row in (*rows, ("[reference]", matrix.reference)):
        for key, text in row.items():
            if matrix.key(key) in matrix.packages:
                yield Entry(where, matrix.key(key), text)


def _needs_releases(entry: Entry) -> bool:
    if _compares(entry):
        return "@" not in entry.text and isinstance(parse(entry.text), Latest)
    return isinstance(parse(entry.text), Latest | Range)


def _compares(entry: Entry) -> bool:
    """Say whether the entry is only held against pins that others made."""
    return entry.where.startswith(("[[exclude]]", "[reference]"))


def _ground(matrix: Matrix, outside: Outside, resolve: Located) -> PythonContext:
    """Take Python from the base interpreter when a pin is installed there, for they cannot differ."""
    from_base = [entry for entry in entries(matrix) if entry.text == "installed" and not _compares(entry)]
    if not from_base:
        return HERE
    resolve(
        from_base[0].package, from_base[0].text
    )  # first, so that what is wrong with the base is said with its place
    base = outside.base
    minor = ".".join(base.python.split(".")[:2])
    for wanted in matrix.axes.get("python", (matrix.python or minor,)):
        if not re.match(rf"{re.escape(wanted)}(\.|$)", base.python):
            raise ConfigError(f'python = "{wanted}", but {base.executable} (base) is Python {base.python}')
    return PythonContext(minor, str(base.executable))


def _idle(matrix: Matrix, resolve: Located, ground: PythonContext) -> Iterator[str]:
    """Yield a warning for every exclusion that excludes nothing, which a version that moved on makes easily."""
    cells = tuple(product_cells(matrix, resolve, ground)) if matrix.exclude else ()
    for index, row in enumerate(matrix.exclude, 1):
        named = {matrix.key(key): value for key, value in row.items()}
        if not any(selector_matches(named, cell, resolve) for cell in cells):
            yield f"[[exclude]] {index} matches no cell"
