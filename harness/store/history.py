"""The history's place until version 0.1: use :mod:`harness.history.query`."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any


def open_history(reports: Path, *, rebuild: bool = False) -> Any:
    """Bring the index up to date and open it; deprecated."""
    text = "harness.store.history.open_history is now harness.history.query.open_history"
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    return importlib.import_module("harness.history.query").open_history(reports, rebuild=rebuild)
