"""Which expressions only look at things: a figure that nobody asks for can be left out with them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

BUILTINS = frozenset(
    """len sum int float str bool dict list tuple set sorted max min round type repr any all getattr hasattr isinstance
    zip range enumerate abs Counter""".split()  # noqa: SIM905 - a list of lines would say no more
)
METHODS = frozenset(
    """named_modules modules named_parameters parameters named_buffers buffers numel element_size dim size items keys
    values get count most_common elements append extend update add split startswith endswith partition rpartition
    removeprefix removesuffix join lower placement get_submodule setdefault has argmax sum""".split()  # noqa: SIM905
)
LOUD = (ast.With, ast.Raise, ast.Global, ast.Nonlocal, ast.Delete, ast.Await, ast.ClassDef)


def only_looks(node: ast.AST, file: Path) -> bool:
    """Tell whether a node calls nothing but builtins, methods that look, and functions of the files that do the same.

    ``file`` is where the node stands; functions are looked up there and in the files beside it.
    """
    for each in ast.walk(node):
        if isinstance(each, LOUD) or _changes(each):
            return False
        if isinstance(each, ast.Call) and not _is_quiet(each.func, file):
            return False
    return True


def _changes(node: ast.AST) -> bool:
    """Tell whether a node writes into a thing: ``layer.flag = True``. What a function keeps in a table is its own."""
    return isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)


def _is_quiet(function: ast.expr, file: Path) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr in METHODS
    return isinstance(function, ast.Name) and (function.id in BUILTINS or _function_looks(file, function.id))


@functools.cache
def _function_looks(file: Path, name: str) -> bool:
    """Tell whether a function of a file, or one that it imports from beside it, only looks; recursion is not quiet."""
    functions, imports = _names(file)
    if name in imports:
        module, original = imports[name]
        beside = file.parent.joinpath(*module.split(".")).with_suffix(".py")
        return beside.is_file() and _function_looks(beside, original)
    found = functions.get(name)
    if found is None or found.decorator_list or _names_itself(found):
        return False
    return all(only_looks(each, file) for each in found.body)


def _names_itself(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Name) and node.id == function.name for node in ast.walk(function))


@functools.cache
def _names(file: Path) -> tuple[dict[str, ast.FunctionDef], dict[str, tuple[str, str]]]:
    tree = ast.parse(file.read_bytes(), str(file))
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    imports = {
        alias.asname or alias.name: (each.module, alias.name)
        for each in tree.body
        if isinstance(each, ast.ImportFrom) and each.module and not each.level
        for alias in each.names
    }
    return functions, imports
