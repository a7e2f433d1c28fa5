"""End an attempt when the harness ends: the harness holds one end of a pipe, and the parent of the attempt polls it.

Otherwise the attempt of a killed harness would keep its GPU. A process with a session of its own, such as a daemon, is
not in the attempt's process group and is not killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys

POLL_MILLISECONDS = 20
PR_SET_PDEATHSIG = 1


def is_gone(pipe: int) -> bool:
    """Return whether the other end of ``pipe`` is closed; unread content does not matter."""
    return _hung_up(pipe, 0)


def wait(pid: int, pipe: int) -> int | None:
    """Wait for the child ``pid`` and return its raw status; None if the harness ended first.

    Polls instead of waiting in a second thread: a fork server must have one thread only.
    """
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if _hung_up(pipe, POLL_MILLISECONDS):
            return None


def kill(pid: int) -> None:
    """Kill ``pid`` and its process group; the group may not exist yet."""
    kill_group(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill the remaining processes in the group of ``pid``, if any."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` ends, also if it has ended already. Linux only.

    The parent polls the pipe and kills the whole group; this covers a parent that is killed itself.
    """
    if _at_parents_death(signal.SIGKILL) and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def die_with_starter(pipe: int) -> None:
    """Have the kernel kill this process when the thread that started it ends, also if it has ended already."""
    if _at_parents_death(signal.SIGKILL) and is_gone(pipe):
        os.kill(os.getpid(), signal.SIGKILL)


def outlive_starter() -> None:
    """Undo :func:`die_with_starter`: from now on the pipe is polled, as there may be attempts to kill."""
    _at_parents_death(0)


def _at_parents_death(number: int) -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0) == 0)


def _hung_up(pipe: int, milliseconds: int) -> bool:
    watched = select.poll()
    watched.register(pipe, 0)  # a hang-up is reported without being asked for
    return bool(watched.poll(milliseconds))
