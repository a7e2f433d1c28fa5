"""What a parametrized test is called with: from ``test_x[4bit-True]`` and its decorators to arguments as source."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError
from harness.report.repro.modules import Module, read_module

CALLS: Mapping[str, Callable[..., Iterable[object]]] = {
    "list": list,
    "tuple": tuple,
    "sorted": sorted,
    "range": range,
}
IDS = {"str": str, "repr": repr}
MOST_SETS = 10_000  # combinations that are looked through


@dataclass(frozen=True)
class ParameterSet:
    """One entry of a ``parametrize``: argument name → source of its value, and the ids that pytest may give it."""

    values: tuple[tuple[str, ast.expr], ...]
    ids: tuple[str, ...]


def arguments(module: Module, test: str, wanted: str | None) -> dict[str, ast.expr]:
    """Return argument name → source of its value for one parameter set of a test.

    Args:
        module: the file of the test.
        test: its name, ``Class::name`` for a method.
        wanted: the id between the brackets; None takes the first set.

    Raises:
        ConfigError: no set has that id, or a decorator cannot be read without running it.
    """
    outer = test.rpartition("::")[0]
    marks = [mark for name in (outer, test) for mark in module.marks.get(name, [])]
    found = [_entries(module, mark) for mark in reversed(marks) if _is_parametrize(mark)]  # the closest comes first
    if not found:
        if wanted is None:
            return {}
        raise ConfigError(f"{module.path.name}: {test} has no parameters, so there is no {test}[{wanted}]")
    for chosen in itertools.islice(itertools.product(*found), MOST_SETS):
        if wanted is None or wanted in _joined([each.ids for each in chosen]):
            return dict(pair for each in chosen for pair in each.values)
    raise ConfigError(f"{module.path.name}: the parameters [{wanted}] of {test} cannot be read from its decorators")


def _is_parametrize(mark: ast.expr) -> bool:
    return isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.parametrize")


def _joined(ids: Sequence[tuple[str, ...]]) -> Iterator[str]:
    return ("-".join(parts) for parts in itertools.product(*ids))


def _entries(module: Module, mark: ast.expr) -> list[ParameterSet]:
    """Return the parameter sets of one decorator, in order."""
    assert isinstance(mark, ast.Call)  # noqa: S101 - _is_parametrize
    keywords = {word.arg: word.value for word in mark.keywords}
    given = dict(zip(("argnames", "argvalues"), mark.args, strict=False)) | keywords
    where = f"{module.path.name}, line {mark.lineno}"
    if not {"argnames", "argvalues"} <= given.keys() or not given.keys() <= {"argnames", "argvalues", "ids"}:
        raise ConfigError(f"{where}: a script cannot tell the arguments of this parametrize without running it")
    named = read(module, given["argnames"], where)
    names = [one.strip() for one in named.split(",")] if isinstance(named, str) else list(map(str, _listed(named)))
    values = elements(module, given["argvalues"], where)
    ids = _explicit_ids(module, given.get("ids"), len(values), where)
    return [_entry(names, value, place, ids, where) for place, value in enumerate(values)]


def _entry(names: Sequence[str], value: ast.expr, place: int, ids: Sequence[object] | type, where: str) -> ParameterSet:
    own: str | None = None
    parts: list[ast.expr]
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("pytest.param"):
        own = next((_text(word.value) for word in value.keywords if word.arg == "id"), None)
        parts = value.args
    elif len(names) > 1:
        parts = value.elts if isinstance(value, ast.Tuple | ast.List) else []
    else:
        parts = [value]
    if len(parts) != len(names):
        raise ConfigError(f"{where}: an entry of this parametrize has not one value for each of {', '.join(names)}")
    given = None if callable(ids) else ids[place] if ids else None
    by_value = tuple(_joined([_ids(name, part, place, ids) for name, part in zip(names, parts, strict=True)]))
    chosen = (own,) if own is not None else (str(given),) if given is not None else by_value
    return ParameterSet(tuple(zip(names, parts, strict=True)), chosen)


def _ids(name: str, value: ast.expr, place: int, ids: object) -> tuple[str, ...]:
    """Return what pytest may call one value: a plain one by its text, a named thing by its name or its place."""
    try:
        plain = ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError):
        text = ast.unparse(value)
        return (text.rpartition(".")[2], text, f"{name}{place}")
    if callable(ids):
        return (str(ids(plain)),)
    simple = plain is None or isinstance(plain, str | int | float | complex)
    return (str(plain),) if simple else (f"{name}{place}",)


def _explicit_ids(module: Module, ids: ast.expr | None, count: int, where: str) -> Sequence[object] | type:
    if ids is None or (isinstance(ids, ast.Constant) and ids.value is None):
        return ()
    if isinstance(ids, ast.Name) and ids.id in IDS:
        return IDS[ids.id]  # type: ignore[return-value]
    found = [read(module, each, where) for each in elements(module, ids, where)]
    if len(found) != count:
        raise ConfigError(f"{where}: this parametrize has {count} values and {len(found)} ids")
    return found


def elements(module: Module, node: ast.expr, where: str) -> list[ast.expr]:
    """Return the sources of what a list, a tuple, a table or a name of one of these holds, in order.

    Raises:
        ConfigError: it cannot be told without running the file.
    """
    if isinstance(node, ast.List | ast.Tuple | ast.Set) and not any(isinstance(e, ast.Starred) for e in node.elts):
        return list(node.elts)
    if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
        return [key for key in node.keys if key is not None]
    if isinstance(node, ast.Name) and node.id not in CALLS:
        home, value = _constant(module, node.id, where)
        return elements(home, value, where)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS and not node.keywords:
        if node.func.id == "list" and len(node.args) == 1:
            return elements(module, node.args[0], where)
        plain = CALLS[node.func.id](*(read(module, each, where) for each in node.args))
        return [ast.parse(repr(each), mode="eval").body for each in plain]
    raise ConfigError(f"{where}: {ast.unparse(node)[:60]} cannot be read without running the file")


def read(module: Module, node: ast.expr, where: str) -> object:
    """Return the value of a literal, or of a name of the file that stands for one.

    Raises:
        ConfigError: it is neither.
    """
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return [read(module, each, where) for each in elements(module, node, where)]


def _constant(module: Module, name: str, where: str) -> tuple[Module, ast.expr]:
    """Return the value of a constant of the file or of a sibling, and the file where it is written."""
    imported = module.imported.get(name, ())
    if len(imported) == 1 and imported[0].name is not None:
        path = module.sibling(imported[0])
        if path is not None:
            return _constant(read_module(path, module.reading), imported[0].name, where)
    statements = module.defined.get(name, [])
    if len(statements) == 1 and isinstance(statements[0], ast.Assign):
        return module, statements[0].value
    raise ConfigError(f"{where}: {name} cannot be read without running the file")


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object) -> str:
    return str(ast.literal_eval(value)) if isinstance(value, ast.expr) else str(value)
