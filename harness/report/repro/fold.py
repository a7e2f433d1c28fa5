"""Branches of a scenario that a script for one device never takes, left out."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report.repro.quiet import only_looks

UNKNOWN = object()


class Fold(ast.NodeTransformer):
    """Take ``probe.device`` for the given text, and drop what follows from it; None leaves everything.

    With ``records`` off, figures are dropped that are only written down; with ``details`` off, what expectations add to
    their sentences. ``file`` is where the functions stand that are called.
    """

    def __init__(self, file: Path, device: str | None, *, records: bool = True, details: bool = True) -> None:
        """Fold for one device, or for any."""
        self.file, self.device, self.records, self.details = file, device, records, details

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Put the device in its place."""
        self.generic_visit(node)
        if self.device is not None and ast.unparse(node) == "probe.device" and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Constant(self.device), node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Keep the branch that is taken."""
        self.generic_visit(node)
        held = value(node.test)
        if held is UNKNOWN:
            node.body = node.body or [ast.Pass()]
            return node
        return node.body if held else node.orelse

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """Keep the side that is taken."""
        self.generic_visit(node)
        held = value(node.test)
        return node if held is UNKNOWN else node.body if held else node.orelse

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Cut what is behind the function's end."""
        self.generic_visit(node)
        node.body = _reached(node.body) or [ast.Pass()]
        return node

    def visit_With(self, node: ast.With) -> ast.AST:
        """Keep a body."""
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_For(self, node: ast.For) -> ast.AST | None:
        """Drop a loop over nothing."""
        self.generic_visit(node)
        return node if node.body else None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop readings that nobody looks at."""
        self.generic_visit(node)
        call = node.value if isinstance(node.value, ast.Call) else None
        asked = "" if call is None else ast.unparse(call.func)
        if asked == "probe.placement":
            return None  # it measures, and nobody asks what
        if asked == "probe.record" and call is not None and not self.records:
            return None if all(only_looks(each, self.file) for each in call.args) else node
        if asked == "probe.expect" and call is not None and not self.details:
            added = [each.value for each in call.keywords] + call.args[2:]
            if all(only_looks(each, self.file) for each in added):
                call.args, call.keywords = call.args[:2], []
        return node


def value(test: ast.expr) -> Any:
    """Return what a test comes to where that is certain, else UNKNOWN."""
    match test:
        case ast.Constant():
            return test.value
        case ast.UnaryOp(op=ast.Not()):
            inner = value(test.operand)
            return UNKNOWN if inner is UNKNOWN else not inner
        case ast.Compare(left=ast.Constant(value=left), ops=[ast.Eq()], comparators=[ast.Constant(value=right)]):
            return left == right
        case ast.Compare(left=ast.Constant(value=left), ops=[ast.NotEq()], comparators=[ast.Constant(value=right)]):
            return left != right
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(text)), attr="startswith"), args=[ast.Constant(value=start)]
        ):
            return text.startswith(str(start))
    return UNKNOWN


def _reached(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return the statements up to the first that leaves the function."""
    ends = (place for place, each in enumerate(body) if isinstance(each, ast.Return | ast.Raise))
    return list(body[: next(ends, len(body)) + 1])
