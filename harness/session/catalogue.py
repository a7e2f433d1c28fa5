"""Read scenario files without running them: which tests they hold and what their decorators declare."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.places import ScenarioFile, nearest, short
from harness.session.checkpoints import open_shelf
from harness.session.sources import digest
from harness.store.records import ScenarioInfo


def read_catalogue(files: Iterable[ScenarioFile]) -> tuple[ScenarioInfo, ...]:
    """Return one entry per test function of the files, in their order, with the digest of its source.

    Parametrized ones count once.

    Raises:
        ConfigError: a file is not Python, two files share a name, or a ``::test`` is not there.
        NothingSelectedError: no file holds a test.
    """
    stems: dict[str, Path] = {}
    found: dict[str, ScenarioInfo] = {}
    files = tuple(files)
    for file in files:
        other = stems.setdefault(file.path.stem, file.path)
        if other != file.path:
            raise ConfigError(
                f"{short(other)} and {short(file.path)} would both be called {file.path.stem}: rename one"
            )
        found |= {info.id: info for info in _selected(file, read_file(file.path))}
    if not found:
        raise NothingSelectedError(f"no test in {', '.join(short(path) for path in stems.values()) or 'no file'}")
    shelf = open_shelf(Path(), {file.path.parent for file in files}, "")  # for its definitions alone
    return tuple(
        info.model_copy(update={"source": digest(Path(info.nodeid.partition("::")[0]), info.checkpoints, shelf)})
        for info in found.values()
    )


def read_file(path: Path) -> list[ScenarioInfo]:
    """Return the test functions of one file, methods of ``Test`` classes included.

    Raises:
        ConfigError: it cannot be read or is not Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"{short(path)} cannot be read: {error.strerror}") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{short(path)} is not valid Python{line}: {error.args[0]}") from error
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
        if isinstance(decorator, ast.Call) and _called(decorator.func) == "scenario":
            declared = {word.arg: _literal(path, word) for word in decorator.keywords if word.arg}
    title = (ast.get_docstring(node) or "").split("\n", 1)[0]
    known = {name: value for name, value in declared.items() if name in ScenarioInfo.model_fields}
    return ScenarioInfo(id="::".join([path.stem, *names]), nodeid="::".join([str(path), *names]), title=title, **known)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _literal(path: Path, word: ast.keyword) -> Any:
    try:
        return ast.literal_eval(word.value)
    except ValueError as error:
        where = f"{short(path)}, line {word.value.lineno}"
        raise ConfigError(f"{where}: @scenario({word.arg}=…) must be a literal, for the plan reads it unrun") from error


def _selected(file: ScenarioFile, infos: list[ScenarioInfo]) -> list[ScenarioInfo]:
    if file.test is None:
        return infos
    function = file.test.split("[", 1)[0]
    chosen = [info for info in infos if info.id.partition("::")[2] == function]
    if chosen:
        return chosen
    names = [info.id.partition("::")[2] for info in infos]
    near = nearest(function, names)
    hint = f"; the nearest is {near}" if near else ""
    raise ConfigError(f"{short(file.path)} has no test {function}{hint}")
