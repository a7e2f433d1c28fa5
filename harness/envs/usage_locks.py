"""Mark folders of the cache as in use, by shared file locks that the kernel releases when the process ends.

Any number of processes can use a folder; a process that removes it needs an exclusive lock. The locks need no process
ids, so they work between containers and are never stale. If the file system or the platform (Windows) has no such
locks, nothing is locked.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self


class UsageLocks:
    """The locks of one run on folders of the cache, until it ends; shared by its threads."""

    def __init__(self) -> None:
        """Start without locks."""
        self._descriptors: dict[Path, int] = {}
        self._guard = threading.Lock()

    def acquire(self, *folders: Path) -> None:
        """Lock folders, which need not exist yet; wait for the end of a removal."""
        for folder in folders:
            self._acquire(folder)

    def _acquire(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._guard:
            if folder not in self._descriptors and (descriptor := _locked(folder, exclusive=False)) is not None:
                self._descriptors[folder] = descriptor

    def __enter__(self) -> Self:
        """Return the locks."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release all locks."""
        self.release()

    def release(self) -> None:
        """Release all locks."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Lock a folder exclusively; yield False if another process uses it."""
    try:
        descriptor = _locked(folder, exclusive=True)
    except BlockingIOError:
        yield False
        return

    try:
        yield True
    finally:
        if descriptor is not None:
            os.close(descriptor)


def in_use(folder: Path) -> bool:
    """Return whether a process uses a folder."""
    if not _lock_file(folder).exists():
        return False
    with exclusive(folder) as free:
        return not free


def _lock_file(folder: Path) -> Path:
    return Path(f"{folder}.used")


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # a file of another user, whose lock can be shared
        return os.open(path, os.O_RDONLY)


def _locked(folder: Path, *, exclusive: bool) -> int | None:
    """Return a locked descriptor, whose lock ends when it is closed; None if there are no such locks.

    Raises:
        BlockingIOError: the lock is to be exclusive, and another process uses the folder.
    """
    try:
        import fcntl
    except ImportError:
        return None

    try:
        descriptor = _open(_lock_file(folder))
    except OSError:  # a read-only cache without a lock file
        return None

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None

    return descriptor


# torch.utils.cpp_extension uses a file as a lock (torch/utils/file_baton.py), which only the process that made it
# removes. quanto has torch build its extensions at their first use, next to their sources.
QUANTO_LOCK = "optimum/quanto/library/extensions/*/build/lock"
SITE_PACKAGES = ("env/lib/python*/site-packages", "env/Lib/site-packages")  # the second on Windows


def remove_stale_locks(folder: Path) -> tuple[Path, ...]:
    """Remove stale locks of torch's compiler from an environment and return them; none while it is in use."""
    found = [path for packages in SITE_PACKAGES for path in folder.glob(f"{packages}/{QUANTO_LOCK}")]
    if not found:
        return ()
    with exclusive(folder) as free:
        if not free:
            return ()
        for path in found:
            path.unlink(missing_ok=True)

    return tuple(found)
