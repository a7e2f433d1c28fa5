"""One night of a matrix at a time below one folder of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import ConfigError
from harness.store.folder import folder_name


@contextmanager
def alone(reports: Path, matrix: str) -> Iterator[None]:
    """Hold the nights of a matrix; the system lets go of them when this process ends, however it ends.

    Raises:
        ConfigError: another night of it is running, or ``reports`` is no folder.
    """
    if reports.exists() and not reports.is_dir():
        raise ConfigError(f"--reports {reports} is not a folder")
    reports.mkdir(parents=True, exist_ok=True)
    lock = FileLock(reports / f".{folder_name(matrix)}.night.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"a night of {matrix} is running below {reports} already") from None
    try:
        yield
    finally:
        lock.release()
