"""List, measure and remove the content of the cache: environments, checkpoints, repositories and locks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from harness.envs.build import LAST_USED, STAMP
from harness.envs.cache_dir import CacheDir
from harness.envs.usage_locks import exclusive, in_use
from harness.errors import InfrastructureError

DAY = 86_400.0  # seconds


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


def list_cache(cache_dir: CacheDir) -> list[CacheEntry]:
    """Return the environments, checkpoints, repositories and locks of the cache, the longest unused first."""
    found = [
        *_folders(cache_dir.envs, STAMP),
        *_folders(cache_dir.checkpoints, LAST_USED),
        *_folders(cache_dir.repositories, "HEAD"),
    ]
    for path in cache_dir.locks.glob("*.json"):
        status = path.stat()
        found.append(CacheEntry(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: entry.last_used)


def _folders(root: Path, marker: str) -> Iterator[CacheEntry]:
    """Yield the folders below ``root``; one without ``marker``, or of an unfinished clone, is incomplete."""
    for folder in root.glob("*"):
        if folder.is_dir():
            used = folder / LAST_USED
            last_used = (used if used.exists() else folder).stat().st_mtime
            whole = (folder / marker).exists() and not folder.name.startswith("cloning-")
            yield CacheEntry(folder, env_size(folder), last_used, whole, in_use(folder))


def select_removable(
    entries: Sequence[CacheEntry], *, now: float, older_than: float | None = None, keep: int | None = None
) -> list[CacheEntry]:
    """Return the entries to remove, the longest unused first.

    Entries in use are never removed. If there is a limit, incomplete entries are always removed.

    Args:
        entries: all entries, the longest unused first.
        now: seconds since 1970.
        older_than: days without use after which an entry is removed.
        keep: bytes to keep; the longest unused entries are removed until no more is left.
    """
    if older_than is None and keep is None:
        return []
    unused = [entry for entry in entries if not entry.in_use]
    removable = [
        entry
        for entry in unused
        if not entry.whole or (older_than is not None and now - entry.last_used > older_than * DAY)
    ]
    left = sum(entry.size for entry in entries) - sum(entry.size for entry in removable)
    for entry in unused:
        if keep is None or left <= keep:
            break
        if entry not in removable:
            removable.append(entry)
            left -= entry.size

    return removable


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
                for name in (STAMP, LAST_USED):
                    (stored.path / name).unlink(missing_ok=True)
                shutil.rmtree(stored.path)
    except Timeout:
        free = False

    if not free:
        raise InfrastructureError(f"{stored.path.name} is in use by another process and was not removed")
