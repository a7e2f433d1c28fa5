"""How a task that takes long reports its progress."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Take one line for the user; ``print`` is one."""

    def __call__(self, line: str, /) -> object:
        """Report one line, without its line break."""
