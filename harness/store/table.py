"""The table's place until version 0.1: use :func:`harness.load_table`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import harness


def load(run: str | Path) -> Any:
    """Return the table of a run folder; deprecated."""
    warnings.warn("harness.store.table.load is now harness.load_table", DeprecationWarning, stacklevel=2)
    return harness.load_table(run)
