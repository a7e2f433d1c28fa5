"""What a value can be while its flow is followed: the code's own functions and classes, and the types made of them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

DEEPEST = 4  # containers in containers, so that types are finite


class Level(IntEnum):
    """How far a value is followed."""

    NOT = 0
    HOLDER = 1
    VALUE = 2


@dataclass(frozen=True)
class Value:
    """What an expression may be: followed or not, and of which types."""

    level: Level = Level.NOT
    types: frozenset[Any] = frozenset()

    def __or__(self, other: Value) -> Value:
        """Return what is either."""
        return Value(max(self.level, other.level), self.types | other.types)

    def holder(self) -> Value:
        """Return the same, followed as a holder at most."""
        return Value(min(self.level, Level.HOLDER), self.types)


NOTHING = Value()


def union(values: Iterable[Value]) -> Value:
    """Return what is any of the values."""
    found = NOTHING
    for value in values:
        found |= value
    return found


@dataclass(eq=False)
class Module:
    """One file of the package, and what its names are."""

    name: str
    tree: ast.Module
    names: dict[str, Function | Class | Imported | ast.expr] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """A name that another module has, or that is a module."""

    module: str
    name: str = ""


@dataclass(eq=False)
class Class:
    """One class: its methods and its fields' annotations."""

    module: Module
    node: ast.ClassDef
    methods: dict[str, Function] = field(default_factory=dict)
    fields: dict[str, ast.expr] = field(default_factory=dict)
    bases: list[Class] = field(default_factory=list)
    subclasses: list[Class] = field(default_factory=list)


@dataclass(eq=False)
class Function:
    """One function, method or lambda, and the functions in it."""

    module: Module
    node: ast.FunctionDef | ast.Lambda
    owner: Class | None = None
    outer: Function | None = None
    inner: dict[ast.AST, Function] = field(default_factory=dict)

    @property
    def positional(self) -> list[ast.arg]:
        """The parameters that a position fills."""
        return [*self.node.args.posonlyargs, *self.node.args.args]

    @property
    def decorators(self) -> set[str]:
        """The last names of its decorators."""
        nodes = [] if isinstance(self.node, ast.Lambda) else self.node.decorator_list
        return {last_name(node.func if isinstance(node, ast.Call) else node) for node in nodes}


# The atoms of a type. A class or a function stands for itself as an object.


@dataclass(frozen=True)
class Instance:
    """An object of a class."""

    of: Class


@dataclass(frozen=True)
class Bound:
    """A method with its receiver."""

    function: Function
    receiver: Value


@dataclass(frozen=True)
class Many:
    """A container of unknown length."""

    element: frozenset[Any]


@dataclass(frozen=True)
class Items:
    """A tuple, item by item."""

    items: tuple[frozenset[Any], ...]


@dataclass(frozen=True)
class Keyed:
    """A mapping."""

    keys: frozenset[Any]
    values: frozenset[Any]


def elements(types: frozenset[Any]) -> frozenset[Any]:
    """Return what iterating over any of the types gives."""
    found: frozenset[Any] = frozenset()
    for one in types:
        match one:
            case Many(element):
                found |= element
            case Items(items):
                found = found.union(*items)
            case Keyed(keys, _):
                found |= keys
    return found


def item(types: frozenset[Any], number: int | None) -> frozenset[Any]:
    """Return what an index gives; without a number, any."""
    found: frozenset[Any] = frozenset()
    for one in types:
        match one:
            case Keyed(_, values):
                found |= values
            case Items(items) if number is not None and number < len(items):
                found |= items[number]
            case Many() | Items():
                found |= elements(frozenset({one}))
    return found


def depth(types: frozenset[Any]) -> int:
    """Return how many containers lie in each other."""
    parts: list[frozenset[Any]] = []
    for one in types:
        match one:
            case Many(element):
                parts.append(element)
            case Items(items):
                parts += items
            case Keyed(keys, values):
                parts += (keys, values)
    return 1 + max(map(depth, parts)) if parts else 0


def container(atom: Many | Items | Keyed) -> frozenset[Any]:
    """Return the type of one container, or nothing where it is too deep."""
    types = frozenset({atom})
    return types if depth(types) <= DEEPEST else frozenset()


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def own_and_inherited(one: Class) -> Iterator[Class]:
    """Yield a class and what it inherits from, itself first."""
    yield one
    for base in one.bases:
        yield from own_and_inherited(base)


def inheriting(one: Class) -> Iterator[Class]:
    """Yield everything that inherits from a class."""
    for each in one.subclasses:
        yield each
        yield from inheriting(each)


def methods(one: Class, name: str) -> list[Function]:
    """Return the methods that an object of this annotated class may have under a name."""
    own = [each.methods[name] for each in own_and_inherited(one) if name in each.methods][:1]
    return own + [each.methods[name] for each in inheriting(one) if name in each.methods]


def fields(one: Class) -> dict[str, tuple[Module, ast.expr]]:
    """Return the annotated fields of a class in the order of its constructor, with the module of each annotation."""
    found: dict[str, tuple[Module, ast.expr]] = {}
    for each in reversed(list(own_and_inherited(one))):
        found |= {name: (each.module, annotation) for name, annotation in each.fields.items()}
    return found
