"""Plan the cells of a matrix; the network is asked only for expressions that need it."""

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
from harness.matrix.expand import THIS_PYTHON, PythonContext, expand, product_cells
from harness.matrix.expression import GitRef, Latest, Range, parse, selector_matches
from harness.matrix.index import Listing, list_releases
from harness.matrix.paths import find, short_path
from harness.matrix.schema import Matrix
from harness.matrix.versions import Resolver


@dataclass(frozen=True)
class Expansion:
    """The cells of a matrix, and warnings for the user."""

    cells: tuple[Cell, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One version expression of a matrix, and its position in the file."""

    where: str
    package: str
    text: str


def plan_cells(matrix: Matrix, *, cache: Path, base: BaseInterpreter | None = None) -> Expansion:
    """Return the cells of a matrix.

    Exact pins need no network; ranges and ``latest`` need the index, ``dev``, ``git:`` and ``pr:`` their repository.

    Args:
        matrix: The matrix.
        cache: Folder in which answers of the network are cached for an hour.
        base: The base interpreter, if it is on another machine; by default it is asked.

    Raises:
        ConfigError: an expression cannot be resolved; the sentence has file, key and value.
        NothingSelectedError: everything is excluded.
        InfrastructureError: the index or a repository cannot be reached and no answer is cached.
    """
    sources = Sources(matrix, cache, base)
    resolve = LocatedResolver(matrix, sources.resolver())
    try:
        context = _python_context(matrix, sources, resolve)
        cells = expand(matrix, resolve, context)
    except HarnessError as error:
        text = str(error).rstrip(".")
        name = short_path(matrix.path)
        raise type(error)(f"{text}." if text.startswith(name) else f"{name}: {text}.") from error

    warnings = (*sources.listing.warnings, *resolve.resolver.warnings, *_unused_exclusions(matrix, resolve, context))
    return Expansion(cells, tuple(dict.fromkeys(warnings)))


@dataclass(frozen=True)
class Sources:
    """The machine and the network as sources of versions; each is asked once, when it is needed."""

    matrix: Matrix
    cache: Path
    known_base: BaseInterpreter | None = None

    def resolver(self) -> Resolver:
        """Return a resolver over these sources."""
        return Resolver(
            releases=lambda package: self.listing.releases[package],
            commit=self._commit,
            base=lambda: self.base,
            folder=self._folder,
            as_of=self.matrix.as_of,
        )

    @cached_property
    def listing(self) -> Listing:
        """The releases of all packages whose expressions need them, asked at once."""
        packages = {entry.package for entry in entries(self.matrix) if _needs_releases(entry)}
        if not packages:
            return Listing({})
        known = (*git.DEFAULT_REPOSITORIES, *self.matrix.packages)
        return list_releases(sorted(packages), self.cache, known)

    @cached_property
    def base(self) -> BaseInterpreter:
        """The base interpreter of ``installed`` pins."""
        if self.known_base is not None:
            return self.known_base
        if self.matrix.base is None:
            raise ConfigError('needs the key base, an interpreter with the package (base = "python3")')
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


class LocatedResolver:
    """A resolver that caches its answers and adds the position in the file to its errors."""

    def __init__(self, matrix: Matrix, resolver: Resolver) -> None:
        """Wrap a resolver for one matrix."""
        self.resolver = resolver
        self._matrix = matrix
        self._answers: dict[tuple[str, str], tuple[Pin, ...]] = {}

    def __call__(self, package: str, text: str) -> tuple[Pin, ...]:
        """Return an expression's pins."""
        key = (package, text)
        if key not in self._answers:
            try:
                self._answers[key] = self.resolver(package, text)
            except ConfigError as error:
                raise ConfigError(f'{self._where(package, text)} {package} = "{text}": {error}') from error
        return self._answers[key]

    def _where(self, package: str, text: str) -> str:
        same = (entry.where for entry in entries(self._matrix) if (entry.package, entry.text) == (package, text))
        return next(same, "")


def entries(matrix: Matrix) -> Iterator[Entry]:
    """Yield every version expression of a package in the matrix."""
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
    if _is_selector(entry):
        return "@" not in entry.text and isinstance(parse(entry.text), Latest)
    return isinstance(parse(entry.text), Latest | Range)


def _is_selector(entry: Entry) -> bool:
    """Return whether the entry selects cells instead of adding pins."""
    return entry.where.startswith(("[[exclude]]", "[reference]"))


def _python_context(matrix: Matrix, sources: Sources, resolve: LocatedResolver) -> PythonContext:
    """Return the Python of the base interpreter if a pin is ``installed`` there, else the running one."""
    from_base = [entry for entry in entries(matrix) if entry.text == "installed" and not _is_selector(entry)]
    if not from_base:
        return THIS_PYTHON
    first = from_base[0]
    resolve(first.package, first.text)  # so that an error about the base has a position in the file
    base = sources.base
    minor = ".".join(base.python.split(".")[:2])
    for wanted in matrix.axes.get("python", (matrix.python or minor,)):
        if not re.match(rf"{re.escape(wanted)}(\.|$)", base.python):
            raise ConfigError(f'python = "{wanted}", but {base.executable} (base) is Python {base.python}')
    return PythonContext(minor, str(base.executable))


def _unused_exclusions(matrix: Matrix, resolve: LocatedResolver, context: PythonContext) -> Iterator[str]:
    """Yield a warning for every exclusion that matches no cell, as after a release that ``latest`` no longer means."""
    cells = tuple(product_cells(matrix, resolve, context)) if matrix.exclude else ()
    for index, row in enumerate(matrix.exclude, 1):
        named = {matrix.key(key): value for key, value in row.items()}
        if not any(selector_matches(named, cell, resolve) for cell in cells):
            yield f"[[exclude]] {index} matches no cell"
