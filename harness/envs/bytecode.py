"""Let environments share compiled modules, so that torch is compiled once and not once a cell.

Nothing is compiled ahead: an attempt that runs without ``PYTHONDONTWRITEBYTECODE`` leaves a ``.pyc`` for each module it
imports. Environments that uv linked from its cache hold the very same source files, so what one of them has compiled
is right for the others. Figures are in docs/environments.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.envs.stamp import finished

CACHE = "__pycache__"
NEIGHBOURS = 3  # the last used environments that are looked at: 0.1 s each


def borrow_bytecode(folder: Path) -> int:
    """Link into the environment ``folder`` what its neighbours have compiled from the same files; return how many.

    Worth calling before the first process of a cell starts: it takes a fraction of a second and does nothing where
    there is nothing to borrow (other Python, environments that are copies and not links).
    """
    linked = 0
    for neighbour in [path for path in finished(folder.parent) if path != folder][:NEIGHBOURS]:
        for compiled in _compiled(neighbour):
            linked += _borrow(compiled, neighbour, folder)
    return linked


def _compiled(folder: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(folder):
        if os.path.basename(directory) == CACHE:
            names.clear()
            yield from (Path(directory, name) for name in files if name.endswith(".pyc") and "-pytest-" not in name)


def _borrow(compiled: Path, neighbour: Path, folder: Path) -> bool:
    """Link one file if both environments hold the same source, not merely an equal looking one.

    A ``.pyc`` knows its source by time (in seconds) and size, which two releases can have in common.
    """
    target = folder / compiled.relative_to(neighbour)
    source = f"{compiled.name.split('.', 1)[0]}.py"
    try:
        same = os.path.samefile(compiled.parent.parent / source, target.parent.parent / source)
        if not same or target.exists():
            return False
        target.parent.mkdir(exist_ok=True)
        os.link(compiled, target)
    except OSError:  # no such module there, no links on this file system, or another process was first
        return False
    return True
