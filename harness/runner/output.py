"""Store the output of an attempt: its beginning and end, up to a cap."""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from typing import IO

CAP = 2 * 1024 * 1024  # bytes of output that are stored for an attempt
CHUNK = 64 * 1024
IDLE_SECONDS = 0.05
DRAIN_SECONDS = 2.0


class CappedLog:
    """Write the first half of the cap at once and the last half at the end, with a line for what was left out."""

    def __init__(self, path: Path, cap: int = CAP) -> None:
        """Open ``path`` for writing; ``cap`` is in bytes."""
        self._file = path.open("wb")
        self._room = self._half = cap // 2
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._left_out = 0

    def write(self, data: bytes) -> None:
        """Add output."""
        head, rest = data[: self._room], data[self._room :]
        if head:
            self._file.write(head)
            self._file.flush()
            self._room -= len(head)

        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
        while self._tail and self._tail_size - len(self._tail[0]) >= self._half:
            dropped = self._tail.popleft()
            self._tail_size -= len(dropped)
            self._left_out += len(dropped)

    def close(self) -> None:
        """Write the end and close the file."""
        if self._left_out:
            self._file.write(f"\n[… {self._left_out} bytes left out …]\n".encode())
        self._file.writelines(self._tail)
        self._file.close()


class Pump:
    """Read a pipe in a thread into the current log; output between attempts is dropped."""

    def __init__(self, pipe: IO[bytes]) -> None:
        """Start reading ``pipe`` at once, so that no writer blocks."""
        self._pipe = pipe
        self._log: CappedLog | None = None
        self._guard = threading.Lock()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._read, name="harness-output", daemon=True)
        self._thread.start()

    def direct(self, log: CappedLog | None) -> None:
        """Make ``log`` the current one."""
        with self._guard:
            self._log = log

    def drain(self) -> None:
        """Wait until the pipe is empty or at its end, at most ``DRAIN_SECONDS``: a process may go on printing."""
        self._idle.clear()
        if self._thread.is_alive():
            self._idle.wait(timeout=DRAIN_SECONDS)

    def join(self) -> None:
        """Wait for the end of the pipe, at most ``DRAIN_SECONDS``: a process may keep it open."""
        self._thread.join(timeout=DRAIN_SECONDS)

    def _read(self) -> None:
        descriptor = self._pipe.fileno()
        while True:
            if not _readable(descriptor):
                self._idle.set()
                continue
            data = os.read(descriptor, CHUNK)
            if not data:
                self._idle.set()
                return
            with self._guard:
                if self._log is not None:
                    self._log.write(data)


def _readable(descriptor: int) -> bool:
    """Return within ``IDLE_SECONDS`` whether there is output to read; always true where pipes cannot be polled."""
    if os.name == "nt":
        return True
    import select

    return bool(select.select([descriptor], [], [], IDLE_SECONDS)[0])
