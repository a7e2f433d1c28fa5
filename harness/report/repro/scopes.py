"""Which names a statement takes from its module: found, or replaced, by Python's rules of scope."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
Node = TypeVar("Node", bound=ast.AST)


def module_names(node: ast.AST) -> list[str]:
    """Return the names that a statement or expression looks up in its module or among the builtins, as they come."""
    found: dict[str, None] = {}

    def keep(name: str) -> str:
        found[name] = None
        return name

    _Walk(keep).visit(node)
    return list(found)


def rename(node: Node, names: Callable[[str], str]) -> Node:
    """Replace the names of the module in a node, in place: what it binds on the module's level and what it looks up."""
    _Walk(names).visit(node)
    return node


def bound(statements: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements bind in their own scope."""
    binder = _Binder()
    for statement in statements:
        binder.visit(statement)
    return binder.names - binder.elsewhere


class _Binder(ast.NodeVisitor):
    """Collect what is bound in one scope; scopes inside are left alone."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.elsewhere: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.names.add(node.id)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.names.add(node.name)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.names.add(node.name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names.add(node.name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Pass over it: its arguments are its own."""

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Pass over its target: that is the comprehension's own, but ``:=`` inside binds here."""
        self.visit(node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def visit_alias(self, node: ast.alias) -> None:
        self.names.add(node.asname or node.name.partition(".")[0])

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.names |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.names |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self.names |= {node.name} if node.name else set()

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.names |= {node.rest} if node.rest else set()
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.elsewhere |= set(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.elsewhere |= set(node.names)


@dataclass
class _Scope:
    names: set[str]
    of_class: bool = False


class _Walk(ast.NodeTransformer):
    """Call ``names`` for every name of the module and put what it returns in its place."""

    def __init__(self, names: Callable[[str], str]) -> None:
        self._of = names
        self._scopes: list[_Scope] = []

    def _local(self, name: str) -> bool:
        """Tell whether an enclosing scope binds the name; a class's names are not seen by what is inside of it."""
        inner = len(self._scopes) - 1
        seen = (scope for place, scope in enumerate(self._scopes) if not scope.of_class or place == inner)
        return any(name in scope.names for scope in seen)

    def _named(self, name: str) -> str:
        return name if self._local(name) else self._of(name)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._named(node.id)
        return node

    def visit_Global(self, node: ast.Global) -> ast.Global:
        node.names = [self._of(name) for name in node.names]
        return node

    def _function(self, node: Function) -> ast.AST:
        if not isinstance(node, ast.Lambda):
            node.name = self._named(node.name)
            node.decorator_list = [self.visit(each) for each in node.decorator_list]
            node.returns = self.visit(node.returns) if node.returns else None
        given = node.args
        given.defaults = [self.visit(each) for each in given.defaults]
        given.kw_defaults = [each and self.visit(each) for each in given.kw_defaults]
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        arguments += [each for each in (given.vararg, given.kwarg) if each is not None]
        for each in arguments:
            each.annotation = self.visit(each.annotation) if each.annotation else None
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        self._scopes.append(_Scope({each.arg for each in arguments} | bound(body)))
        for statement in body:
            self.visit(statement)
        self._scopes.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._named(node.name)
        for each in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(each)
        self._scopes.append(_Scope(bound(node.body), of_class=True))
        for statement in node.body:
            self.visit(statement)
        self._scopes.pop()
        return node

    def _comprehension(self, node: Comprehension) -> ast.AST:
        first, *others = node.generators
        self.visit(first.iter)
        self._scopes.append(_Scope(bound(each.target for each in node.generators)))
        self.visit(first.target)
        for condition in first.ifs:
            self.visit(condition)
        for other in others:
            self.generic_visit(other)
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        for part in parts:
            self.visit(part)
        self._scopes.pop()
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        return self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        return self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node)
