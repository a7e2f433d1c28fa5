"""List, measure and remove what lies in the cache: environments, checkpoints, repositories and locks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from harness.envs.build import LAST_USED, STAMP
from harness.envs.usage_locks import exclusive, in_use
from harness.errors import InfrastructureError


@dataclass(frozen=True)
class Stored:
    """One thing in the cache: ``size`` in bytes, ``last_used`` in seconds since 1970, ``whole`` unless half-built.

    ``in_use`` says that a running harness holds it.
    """

    path: Path
    size: int
    last_used: float
    whole: bool = True
    in_use: bool = False


def env_size(folder: Path) -> int:
    """Return the bytes that removing ``folder`` would free.

    Files that uv linked from its cache have a second name there and cost nothing. Where uv clones instead of
    linking (APFS, btrfs, XFS with reflinks) every file counts, though its blocks are shared.
    """
    files = _files(folder)
    return sum(status.st_size for status in files if status.st_nlink == 1)


def _files(folder: Path | str) -> Iterator[os.stat_result]:
    """Yield the status of every file below a folder; there are tens of thousands in an environment."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # it is being removed by somebody else
        return


def list_environments(root: Path) -> list[Stored]:
    """List the environments below ``root``, the longest unused first."""
    folders = [path for path in root.glob("*") if path.is_dir()]
    found = [_stored(folder, whole=(folder / STAMP).exists()) for folder in folders]
    return sorted(found, key=lambda stored: stored.last_used)


def list_checkpoints(root: Path) -> list[Stored]:
    """List the built checkpoints below ``root``, the longest unused first."""
    folders = [path for path in root.glob("*") if path.is_dir()]
    found = [_stored(folder, whole=(folder / LAST_USED).exists()) for folder in folders]
    return sorted(found, key=lambda stored: stored.last_used)


def list_repositories(root: Path) -> list[Stored]:
    """List the copies of repositories below ``root``, the longest untouched first."""
    folders = [path for path in root.glob("*") if path.is_dir()]
    found = [_stored(folder, whole=(folder / "HEAD").exists() and "cloning-" not in folder.name) for folder in folders]
    return sorted(found, key=lambda stored: stored.last_used)


def list_locks(cache: Path) -> list[Stored]:
    """List the resolutions in ``cache``, the oldest first."""
    files = [(path, path.stat()) for path in cache.glob("*.json")]
    return sorted((Stored(path, stat.st_size, stat.st_mtime) for path, stat in files), key=lambda one: one.last_used)


def _stored(folder: Path, *, whole: bool) -> Stored:
    used = folder / LAST_USED
    moment = (used if used.exists() else folder).stat().st_mtime
    return Stored(folder, env_size(folder), moment, whole, in_use(folder))


def remove(stored: Stored) -> None:
    """Remove one stored thing; a half-removed environment has no stamp and is not used any more.

    Raises:
        InfrastructureError: it is being built at this moment, or a running harness holds it.
    """
    if not stored.path.is_dir():
        stored.path.unlink(missing_ok=True)
        return
    try:
        with FileLock(f"{stored.path}.lock", timeout=0), exclusive(stored.path) as free:
            if free:
                _take_apart(stored.path)
    except Timeout:
        free = False
    if not free:
        raise InfrastructureError(f"{stored.path.name} is in use by another process: it was not removed")


def _take_apart(folder: Path) -> None:
    for mark in (STAMP, LAST_USED):
        (folder / mark).unlink(missing_ok=True)
    shutil.rmtree(folder)
