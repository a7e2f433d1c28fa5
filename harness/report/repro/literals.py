"""JSON values as short Python source: lists that repeat are written as products, lines are filled."""

from __future__ import annotations

import ast
from typing import Any

SHORTEST = 4  # items a list has at least before it is worth a product


def literal(value: Any) -> str:
    """Return an expression with this value; it must be made of what JSON knows."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return product(value)
    return repr(value)


def product(items: list[Any]) -> str:
    """Write a list, its repeated parts as ``['a'] * 4 + ['b']``, a pattern that fills it as ``(… ) * 7``."""
    plain = "[" + ", ".join(literal(each) for each in items) + "]"
    if len(items) < SHORTEST:
        return plain
    for period in range(1, len(items) // 2 + 1):
        repeats = items[:period] * (len(items) // period)
        if len(items) % period == 0 and repr(items) == repr(repeats):  # False is no 0
            inside = runs(items[:period])
            text = f"({inside})" if " + " in inside or " * " in inside else inside
            return min(f"{text} * {len(items) // period}", plain, key=len)
    return min(runs(items), plain, key=len)


def runs(items: list[Any]) -> str:
    """Write a list as the sum of its runs of equal items."""
    counted: list[tuple[Any, int]] = []
    for each in items:
        if counted and repr(counted[-1][0]) == repr(each):
            counted[-1] = (each, counted[-1][1] + 1)
        else:
            counted.append((each, 1))
    single = "[" + ", ".join(literal(each) for each in items) + "]"
    text = " + ".join(f"[{literal(each)}]" + (f" * {count}" if count > 1 else "") for each, count in counted)
    return min(text, single, key=len)


def assignment(name: str, value: Any) -> ast.stmt:
    """Return ``name = value`` as a statement."""
    return ast.parse(f"{name} = {literal(value)}").body[0]
