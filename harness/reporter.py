"""Reports to the user: lines of progress, numbers and lists in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

FEW = 4  # names in a list


class Reporter(Protocol):
    """Function that reports to the user, such as ``print``."""

    def __call__(self, line: str, /) -> object:
        """Report one line, given without its line break."""


def counted(number: int, noun: str) -> str:
    """Write ``1 cell``, ``2 cells``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], few: int = FEW, total: int | None = None) -> str:
    """Join names, the rest as a count: ``a, b and 3 more``. ``total`` includes those that are not among the names."""
    shown = ", ".join(names[:few])
    rest = (len(names) if total is None else total) - min(few, len(names))
    return f"{shown} and {rest} more" if rest > 0 else shown
