"""The plan of a run: its cells with their locks, and its scenarios."""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, Unsolvable, resolve_cells
from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import Cell, nearest_cell
from harness.matrix.paths import ScenarioFile, find_scenarios, near_hint, short_path
from harness.matrix.plan import Expansion, plan_cells
from harness.matrix.schema import Matrix
from harness.reporter import counted
from harness.session.checkpoints import CheckpointStore, open_store
from harness.session.source_digest import source_digest
from harness.store.records import CellRecord, ScenarioInfo


def read_catalogue(files: Iterable[ScenarioFile]) -> tuple[ScenarioInfo, ...]:
    """Return one entry per test function of the files, in their order, with the digest of its source.

    A parametrized function has one entry. The files are parsed, not imported.

    Raises:
        ConfigError: a file is not Python, two files have one name, or a file lacks the selected ``::test``.
        NothingSelectedError: no file has a test.
    """
    stems: dict[str, Path] = {}
    found: dict[str, ScenarioInfo] = {}
    files = tuple(files)
    for file in files:
        other = stems.setdefault(file.path.stem, file.path)
        if other != file.path:
            raise ConfigError(f"{short_path(other)} and {short_path(file.path)} have the same name: rename one")
        found |= {info.id: info for info in _selected(file, read_file(file.path))}

    if not found:
        raise NothingSelectedError(
            f"there is no test in {', '.join(short_path(path) for path in stems.values()) or 'no file'}"
        )

    store = _definitions(files)
    return tuple(
        info.model_copy(update={"source": source_digest(Path(info.nodeid.partition("::")[0]), info.checkpoints, store)})
        for info in found.values()
    )


def _definitions(files: Iterable[ScenarioFile]) -> CheckpointStore:
    """Return a store of which only the definitions are used."""
    return open_store(Path(), {file.path.parent for file in files}, "")


def read_file(path: Path) -> list[ScenarioInfo]:
    """Return the test functions of one file, and the methods of its ``Test`` classes.

    Raises:
        ConfigError: the file cannot be read or is not Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"{short_path(path)} cannot be read: {error.strerror}") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{short_path(path)} is not valid Python{line}: {error.args[0]}") from error
    return [_describe(path, names, node) for names, node in _tests(tree.body, ())]


def _tests(body: Sequence[ast.stmt], outer: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield (*outer, node.name), node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _tests(node.body, (*outer, node.name))


def _describe(path: Path, names: tuple[str, ...], node: ast.FunctionDef) -> ScenarioInfo:
    declared: dict[str, Any] = {}
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "scenario":
            declared = {keyword.arg: _literal(path, keyword) for keyword in decorator.keywords if keyword.arg}
    title = (ast.get_docstring(node) or "").split("\n", 1)[0]
    known = {name: value for name, value in declared.items() if name in ScenarioInfo.model_fields}
    return ScenarioInfo(id="::".join([path.stem, *names]), nodeid="::".join([str(path), *names]), title=title, **known)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _literal(path: Path, keyword: ast.keyword) -> Any:
    try:
        return ast.literal_eval(keyword.value)
    except ValueError as error:
        where = f"{short_path(path)}, line {keyword.value.lineno}"
        raise ConfigError(f"{where}: @scenario({keyword.arg}=…) must be a literal; the file is not imported") from error


def _selected(file: ScenarioFile, infos: list[ScenarioInfo]) -> list[ScenarioInfo]:
    if file.test is None:
        return infos
    function = file.test.split("[", 1)[0]
    chosen = [info for info in infos if info.id.partition("::")[2] == function]
    if chosen:
        return chosen
    hint = near_hint(function, [info.id.partition("::")[2] for info in infos])
    raise ConfigError(f"{short_path(file.path)} has no test {function}{hint}")


LOCK_JOBS = 4
MOST_IDS = 2  # cells in one sentence


@dataclass(frozen=True)
class PlannedCell:
    """One cell and its resolution."""

    cell: Cell
    lock: Lock | Unsolvable

    def record(self) -> CellRecord:
        """Return the record for ``run.json``."""
        cell, lock = self.cell, self.lock
        return CellRecord(
            id=cell.id,
            labels={axis: cell.label(axis) for axis in cell.axes},
            pins={pin.package: pin.label for pin in cell.pins if not pin.transitive},
            python=cell.python,
            variables=dict(cell.variables),
            reference=cell.reference,
            lock=lock.hash if isinstance(lock, Lock) else None,
            lock_base=lock.base if isinstance(lock, Lock) else None,
            unsolvable=lock.sentence if isinstance(lock, Unsolvable) else None,
            versions=lock.packages if isinstance(lock, Lock) else {},
            series=cell.series(),
            planned=cell,
        )


@dataclass(frozen=True)
class Plan:
    """The cells, scenario files and scenarios of a run, decided before anything is installed.

    ``only`` has the scenarios of a resumed run that were selected; empty for all.
    """

    matrix: Matrix
    cells: tuple[PlannedCell, ...]
    files: tuple[ScenarioFile, ...]
    scenarios: tuple[ScenarioInfo, ...]
    warnings: tuple[str, ...] = ()
    only: tuple[ScenarioFile, ...] = ()


def make_plan(matrix: Matrix, cache_dir: CacheDir, *, scenarios: Sequence[str] = (), cells: Sequence[str] = ()) -> Plan:
    """Expand a matrix, select its cells and lock them.

    Args:
        matrix: the matrix.
        cache_dir: the cache of locks and release lists.
        scenarios: scenario entries that replace the matrix's.
        cells: ids or glob patterns of ids; empty for all.

    Raises:
        ConfigError: the matrix, a scenario, a checkpoint or a version is wrong.
        NothingSelectedError: a pattern matches no cell, or no file has a test.
    """
    files, infos = read_scenarios(matrix, scenarios)
    _definitions(files).with_bases(name for info in infos for name in info.checkpoints)  # a wrong name is refused
    bundle = opened_bundle()
    expansion = plan_cells(matrix, cache=cache_dir.releases) if bundle is None else Expansion(bundle.cells())
    chosen = select_cells(expansion.cells, cells)
    locks = resolve_cells(chosen, cache=cache_dir.locks, jobs=LOCK_JOBS) if bundle is None else bundle.locks(chosen)
    planned = tuple(PlannedCell(cell, locks[cell.id]) for cell in chosen)
    return Plan(matrix, planned, files, infos, tuple(expansion.warnings))


def read_scenarios(
    matrix: Matrix, selection: Sequence[str] = ()
) -> tuple[tuple[ScenarioFile, ...], tuple[ScenarioInfo, ...]]:
    """Return the scenario files and their tests: of the entries in ``selection``, else of the matrix.

    Entries of ``selection`` are relative to the current folder, those of the matrix to its file.
    """
    base = Path.cwd() / matrix.path.name if selection else matrix.path
    files = find_scenarios(selection or matrix.scenarios, base, from_options=bool(selection))
    return files, read_catalogue(files)


def select_cells(cells: Sequence[Cell], wanted: Sequence[str]) -> tuple[Cell, ...]:
    """Return the cells that match a pattern (all without patterns), reference cells first.

    Raises:
        NothingSelectedError: a pattern matches no cell; the sentence names the nearest id.
    """
    for pattern in wanted:
        if not any(matches(cell.id, pattern) for cell in cells):
            raise NothingSelectedError(f"no cell matches {pattern}{_cell_hint(pattern, [cell.id for cell in cells])}")
    chosen = [cell for cell in cells if not wanted or any(matches(cell.id, pattern) for pattern in wanted)]
    return tuple(sorted(chosen, key=lambda cell: not cell.reference))


def _cell_hint(wanted: str, ids: Sequence[str]) -> str:
    """Return how to select the cell that was meant: its id, a pattern, or the first few ids."""
    near = nearest_cell(wanted, ids)
    if near:
        return f"; the nearest is {near}"
    parts = sum(wanted in each for each in ids)
    if parts:
        return f"; '*{wanted}*' matches {counted(parts, 'cell')}"
    return f"; the cells are {', '.join(ids[:MOST_IDS])}{' …' if ids[MOST_IDS:] else ''}"


def matches(name: str, pattern: str) -> bool:
    """Return whether a name equals a pattern, or matches it as a glob."""
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


def is_selected(info: ScenarioInfo, only: Sequence[ScenarioFile]) -> bool:
    """Return whether one of the files, functions or tests in ``only`` selects a scenario; empty selects all."""
    path, _, test = info.nodeid.partition("::")
    names = (None, test, test.split("[", 1)[0])
    return not only or any(str(file.path) == path and file.test in names for file in only)


def shards(cells: Sequence[PlannedCell], count: int) -> tuple[tuple[str, ...], ...]:
    """Distribute cells over ``count`` machines, and return one group of cell ids per machine.

    Cells with one lock are in one group, so that their environment is built once. The reference cells are in every
    group, as control cells. A group without other cells is omitted.
    """
    control = tuple(one.cell.id for one in cells if one.cell.reference)
    by_lock: dict[str, list[str]] = {}
    for one in cells:
        if not one.cell.reference:
            key = one.lock.hash if isinstance(one.lock, Lock) else one.cell.id
            by_lock.setdefault(key, []).append(one.cell.id)

    groups: list[list[str]] = [[] for _ in range(count)]
    for ids in sorted(by_lock.values(), key=len, reverse=True):  # the largest first, each to the smallest group
        min(groups, key=len).extend(ids)
    order = [one.cell.id for one in cells]
    filled = [(*control, *sorted(group, key=order.index)) for group in groups if group]
    return tuple(filled) if filled else ((control,) if control else ())
