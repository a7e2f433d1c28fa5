"""Say that something in the cache is in use: a shared lock that the kernel takes back when its process dies.

Many may hold a thing; who removes it must be alone with it. A lock asks no process id, so that it holds between
containers too, and nothing stale is left. Where the file system or the platform (Windows) has no such locks, nothing is
held.
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
    """What one run holds of the cache, until it is left; threads may share it."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held: dict[Path, int] = {}
        self._guard = threading.Lock()

    def take(self, *folders: Path) -> None:
        """Hold folders, which need not be there yet; wait where one is being removed at this moment."""
        for folder in folders:
            self._take(folder)

    def _take(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._guard:
            if folder not in self._held and (descriptor := _locked(folder, exclusive=False)) is not None:
                self._held[folder] = descriptor

    def __enter__(self) -> Self:
        """Begin to hold."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give everything back."""
        self.release()

    def release(self) -> None:
        """Give everything back."""
        while self._held:
            os.close(self._held.popitem()[1])


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Keep others from taking a folder, and tell whether nobody has it."""
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
    """Tell whether somebody holds a folder."""
    if not _mark(folder).exists():
        return False
    with exclusive(folder) as free:
        return not free


def _mark(folder: Path) -> Path:
    return Path(f"{folder}.used")


def _opened(mark: Path) -> int:
    try:
        return os.open(mark, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's, who may remove what we use
        return os.open(mark, os.O_RDONLY)


def _locked(folder: Path, *, exclusive: bool) -> int | None:
    """Return a descriptor whose lock ends with it; None where there are no such locks.

    Raises:
        BlockingIOError: ``exclusive`` was asked for, and somebody holds the folder.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        descriptor = _opened(_mark(folder))
    except OSError:  # a cache that we may only read, and nobody has held this before
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


# torch.utils.cpp_extension takes a file as its lock (torch/utils/file_baton.py), and only who made it removes it.
# quanto has torch build its extensions at their first use, beside their sources.
BUILT = "optimum/quanto/library/extensions/*/build/lock"


PLACES = ("env/lib/python*/site-packages", "env/Lib/site-packages")  # the second on Windows


def remove_stale_locks(folder: Path) -> tuple[Path, ...]:
    """Remove them from the environment in ``folder``, and return which; none where somebody uses it at this moment."""
    found = [path for place in PLACES for path in folder.glob(f"{place}/{BUILT}")]
    if not found:
        return ()
    with exclusive(folder) as free:
        if not free:
            return ()
        for path in found:
            path.unlink(missing_ok=True)
    return tuple(found)
