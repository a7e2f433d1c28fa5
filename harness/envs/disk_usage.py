"""List, measure and remove the content of the cache: environments, checkpoints, repositories and locks."""

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
class CacheEntry:
    """One folder or file of the cache.

    Attributes:
        path: where it is.
        size: the bytes that its removal frees.
        last_used: seconds since 1970.
        whole: its build was completed.
        in_use: a running harness uses it.
    """

    path: Path
    size: int
    last_used: float
    whole: bool = True
    in_use: bool = False


def env_size(folder: Path) -> int:
    """Return the bytes that the removal of ``folder`` frees.

    Files that uv linked from its cache stay there and count nothing. If uv clones files instead (APFS, btrfs, XFS with
    reflinks), every file counts, although its blocks are shared.
    """
    files = _files(folder)
    return sum(status.st_size for status in files if status.st_nlink == 1)


def _files(folder: Path | str) -> Iterator[os.stat_result]:
    """Yield the status of every file below a folder; an environment has tens of thousands."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # another process is removing it
        return


def list_environments(root: Path) -> list[CacheEntry]:
    """Return the environments below ``root``, the longest unused first."""
    folders = [path for path in root.glob("*") if path.is_dir()]
    found = [_entry(folder, whole=(folder / STAMP).exists()) for folder in folders]
    return sorted(found, key=lambda stored: stored.last_used)


def list_checkpoints(root: Path) -> list[CacheEntry]:
    """Return the checkpoints below ``root``, the longest unused first."""
    folders = [path for path in root.glob("*") if path.is_dir()]
    found = [_entry(folder, whole=(folder / LAST_USED).exists()) for folder in folders]
    return sorted(found, key=lambda stored: stored.last_used)


def list_repositories(root: Path) -> list[CacheEntry]:
    """Return the copies of repositories below ``root``, the longest unchanged first."""
    folders = [path for path in root.glob("*") if path.is_dir()]
    found = [_entry(folder, whole=(folder / "HEAD").exists() and "cloning-" not in folder.name) for folder in folders]
    return sorted(found, key=lambda stored: stored.last_used)


def list_locks(cache: Path) -> list[CacheEntry]:
    """Return the resolutions in ``cache``, the oldest first."""
    files = [(path, path.stat()) for path in cache.glob("*.json")]
    return sorted(
        (CacheEntry(path, stat.st_size, stat.st_mtime) for path, stat in files), key=lambda one: one.last_used
    )


def _entry(folder: Path, *, whole: bool) -> CacheEntry:
    used = folder / LAST_USED
    moment = (used if used.exists() else folder).stat().st_mtime
    return CacheEntry(folder, env_size(folder), moment, whole, in_use(folder))


def remove(stored: CacheEntry) -> None:
    """Remove one entry; its stamp goes first, so that an incomplete removal is not taken for an environment.

    Raises:
        InfrastructureError: it is being built, or a running harness uses it.
    """
    if not stored.path.is_dir():
        stored.path.unlink(missing_ok=True)
        return
    try:
        with FileLock(f"{stored.path}.lock", timeout=0), exclusive(stored.path) as free:
            if free:
                _remove_folder(stored.path)
    except Timeout:
        free = False
    if not free:
        raise InfrastructureError(f"{stored.path.name} is in use by another process and was not removed")


def _remove_folder(folder: Path) -> None:
    for name in (STAMP, LAST_USED):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder)
