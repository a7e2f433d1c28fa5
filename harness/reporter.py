"""Progress reports of long tasks."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Function that reports to the user, such as ``print``."""

    def __call__(self, line: str, /) -> object:
        """Report one line, given without its line break."""
