"""What a test does behind the line that raised, left out: a script that has to be short needs to get no further."""

from __future__ import annotations

import ast
from collections.abc import Sequence

Blocks = ast.With | ast.If


def cut(tree: ast.Module, frames: Sequence[tuple[str, int]]) -> None:
    """Cut a file's functions, in place, behind the statement of each frame.

    Args:
        tree: the file.
        frames: (function, line) of its frames, outermost first. They are followed from the test inwards, as long as
            the next function is called in one place only and nobody uses what it returns: elsewhere the rest is needed.
    """
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    wanted: str | None = None
    for name, line in frames:
        function = functions.get(name)
        if function is None or (wanted is not None and name != wanted) or (wanted is None and name[:5] != "test_"):
            return
        statement = _cut_block(function.body, line)
        wanted = _called(statement)
        if wanted is None or _uses(tree, wanted) != 1:
            return


def _cut_block(body: list[ast.stmt], line: int) -> ast.stmt | None:
    """Drop what is behind the statement on a line, in its block and in those around it; return the statement."""
    for place, statement in enumerate(body):
        if statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            del body[place + 1 :]
            if isinstance(statement, Blocks) and line >= statement.body[0].lineno:
                inside = [block for block in (statement.body, getattr(statement, "orelse", [])) if _holds(block, line)]
                return _cut_block(inside[0], line) if inside else None
            return statement
    return None


def _holds(block: Sequence[ast.stmt], line: int) -> bool:
    return bool(block) and block[0].lineno <= line <= (block[-1].end_lineno or block[-1].lineno)


def _called(statement: ast.stmt | None) -> str | None:
    """Return the function that a statement does nothing but call."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else None


def _uses(tree: ast.Module, name: str) -> int:
    """Count where a file names a function; of its tests only the one that names it most: a script has one."""
    counts = [
        (
            sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(each)),
            isinstance(each, ast.FunctionDef) and each.name.startswith("test_"),
        )
        for each in tree.body
    ]
    in_a_test = max((count for count, of_test in counts if of_test), default=0)
    return in_a_test + sum(count for count, of_test in counts if not of_test)
