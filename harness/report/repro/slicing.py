"""The part of a scenario file that one test needs, with what it takes from the files beside it, as one text."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import ConfigError
from harness.matrix.paths import short_path
from harness.report.repro.modules import Import, Module, read_module
from harness.report.repro.scopes import bound, module_names, rename

FIRST = ("torch", "transformers", "accelerate", "peft")  # the order in which a cell imports them
Symbol = tuple[Path, str] | tuple[Import, ...]


@dataclass(frozen=True)
class Slice:
    """What a script takes over: imports as source, constants, classes and functions, and the call of the test."""

    imports: tuple[str, ...]
    constants: tuple[ast.stmt, ...]
    definitions: tuple[ast.stmt, ...]
    call: ast.expr
    texts: frozenset[str]  # quoted texts anywhere in it: names of checkpoints among them
    attributes: frozenset[str]  # every ``.name`` in it
    of_probe: frozenset[str]  # every name that is asked of ``probe`` itself


def slice_test(
    module: Module, test: str, call: ast.expr, arguments: Sequence[ast.expr], reserved: Collection[str]
) -> Slice:
    """Follow the names from a test to everything it needs.

    Args:
        module: the file of the test.
        test: the name on the module's level that ``call`` calls: a function, or the class of a method.
        call: how the script calls it; its names are those of the script, but for the test's and the arguments'.
        arguments: the parts of ``call`` that come from the file.
        reserved: names that the script has for itself.

    Raises:
        ConfigError: something that it needs cannot be in a script.
    """
    taken = _Taken()
    taken.take(module, test)
    for argument in arguments:
        taken.follow(module, argument)
    if taken.asks("placement"):  # the stand-in of the probe calls the real one
        module.imported.setdefault("placement", (Import("harness.probe.placement", "placement"),))
        taken.take(module, "placement")
    names = taken.names({*reserved, *dir(builtins)}, module.path)
    statements = [_renamed(taken, names, home, statement) for home, statement in taken.statements]
    for argument in arguments:
        rename(argument, lambda name: names.get(taken.symbol(module, name), name))
    head = names[module.path, test]
    rename(call, lambda name: head if name == test else name)
    nodes = [node for root in (*statements, call) for node in ast.walk(root)]
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    plain = [each for each in statements if not isinstance(each, ast.FunctionDef | ast.ClassDef)]
    early = _independent(plain, statements)
    return Slice(
        imports=tuple(_import_lines({symbol: names[symbol] for symbol in taken.imports})),
        constants=tuple(early),
        definitions=tuple(each for each in statements if each not in early),
        call=call,
        texts=frozenset(n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)),
        attributes=frozenset(node.attr for node in attributes),
        of_probe=frozenset(n.attr for n in attributes if isinstance(n.value, ast.Name) and n.value.id == "probe"),
    )


@dataclass
class _Taken:
    """Statements in an order in which they can be run, and what is imported."""

    statements: list[tuple[Module, ast.stmt]] = field(default_factory=list)
    imports: list[tuple[Import, ...]] = field(default_factory=list)
    wanted: dict[Symbol, str] = field(default_factory=dict)  # symbol → the name it has at home
    seen: set[int] = field(default_factory=set)
    files: set[Path] = field(default_factory=set)

    def take(self, module: Module, name: str) -> None:
        """Take a name of a module with all that it needs."""
        symbol = self.symbol(module, name)
        if symbol is None or (symbol in self.wanted):
            return
        self.wanted[symbol] = name if isinstance(symbol[0], Import) else str(symbol[1])
        if isinstance(symbol[0], Import):
            self.imports.append(symbol)
            return
        home = read_module(symbol[0], module.reading)
        for statement in home.defined[str(symbol[1])]:
            self.add(home, statement)
        if home.path not in self.files:
            self.files.add(home.path)
            for statement in home.always:
                self.add(home, statement)

    def add(self, home: Module, statement: ast.stmt) -> None:
        if id(statement) in self.seen:
            return
        self.seen.add(id(statement))
        for name in bound([statement]):
            self.wanted.setdefault((home.path, name), name)
        self.follow(home, statement)
        self.statements.append((home, statement))

    def asks(self, what: str) -> bool:
        """Tell whether something taken so far asks the probe for this."""
        nodes = (node for _, statement in self.statements for node in ast.walk(statement))
        return any(isinstance(node, ast.Attribute) and ast.unparse(node) == f"probe.{what}" for node in nodes)

    def follow(self, home: Module, node: ast.AST) -> None:
        """Take every name that a node looks up."""
        for name in module_names(node):
            self.take(home, name)

    def symbol(self, module: Module, name: str) -> Symbol | None:
        """Return what a name means in a module, through imports from siblings; None for a builtin."""
        if name in module.defined:
            return (module.path, name)
        found = module.imported.get(name)
        if found is None:
            return None
        path = module.sibling(found[0])
        if path is None:
            return found
        home, wanted = read_module(path, module.reading), found[0].name or ""
        symbol = self.symbol(home, wanted)
        if symbol is None:
            raise ConfigError(
                f"{short_path(module.path)} imports {wanted} from {short_path(path)}, which has no such name"
            )
        return symbol

    def names(self, reserved: set[str], main: Path) -> dict[Symbol | None, str]:
        """Return the name of every symbol in the script; of two with one name that of ``main`` keeps it."""
        found: dict[Symbol | None, str] = {}
        used = set(reserved)
        for symbol, name in sorted(self.wanted.items(), key=lambda pair: pair[0][0] != main):
            plain = isinstance(symbol[0], Import) and _is_plain(symbol[0], name)
            home = "imported" if isinstance(symbol[0], Import) else symbol[0].stem
            free = name if name not in used or (plain and name not in found.values()) else f"{name}_of_{home}"
            found[symbol] = free
            used.add(free)
        return found


def _is_plain(found: Import, name: str) -> bool:
    """Tell whether an import is ``import json``, which means the same everywhere."""
    return found.name is None and found.module.partition(".")[0] == name


def _renamed(taken: _Taken, names: Mapping[Symbol | None, str], home: Module, statement: ast.stmt) -> ast.stmt:
    return rename(copy.deepcopy(statement), lambda name: names.get(taken.symbol(home, name), name))


def _independent(plain: Sequence[ast.stmt], statements: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Return the constants that need no class or function of the script: they can stand at its top."""
    late = {name for each in statements if isinstance(each, ast.FunctionDef | ast.ClassDef) for name in bound([each])}
    found = []
    for statement in plain:
        if late & set(module_names(statement)):
            late |= bound([statement])
        else:
            found.append(statement)
    return found


def _import_lines(imports: Mapping[tuple[Import, ...], str]) -> list[str]:
    """Write imports: whole modules first, the packages of ``FIRST`` before others."""
    whole: list[tuple[tuple[int, str], str]] = []
    parts: dict[str, list[str]] = {}
    for found, name in imports.items():
        for each in found:
            if each.name is not None:
                parts.setdefault(each.module, []).append(each.name if each.name == name else f"{each.name} as {name}")
                continue
            alias = "" if name == each.module.partition(".")[0] else f" as {name}"
            whole.append((_rank(each.module), f"import {each.module}{alias}"))
    some = [(_rank(module), f"from {module} import {', '.join(sorted(names))}") for module, names in parts.items()]
    return [line for _, line in sorted(whole)] + [line for _, line in sorted(some)]


def _rank(module: str) -> tuple[int, str]:
    top = module.partition(".")[0]
    return (FIRST.index(top) if top in FIRST else len(FIRST), module)
