"""Let nothing outlive the harness: a pipe that it holds tells a waiting parent when it is gone, however it ended.

An attempt that nobody asks for any more would go on holding its GPU. What has made a session of its own, as a daemon
does, is not of the attempt's group and is left alone.
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
    """Tell whether nobody holds the other end of ``pipe`` any more; what lies in it unread does not matter."""
    return _hung_up(pipe, 0)


def wait(pid: int, pipe: int) -> int | None:
    """Wait for the child ``pid`` and return its raw status; None when the harness went first.

    It is asked for again and again instead of in a second thread: a fork server promises to have one alone.
    """
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if _hung_up(pipe, POLL_MILLISECONDS):
            return None


def kill(pid: int) -> None:
    """Kill ``pid`` and its group; it may not have made its group yet."""
    kill_group(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill what is left of the group of ``pid``, which may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` dies; it may be dead already. Does nothing outside Linux.

    Whoever waits for this process watches the pipe and ends its whole group; this is for one that is killed itself.
    """
    if _at_parents_death(signal.SIGKILL) and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def die_with_starter(pipe: int) -> None:
    """Have the kernel kill this process when the thread that started it ends, which it may have done already."""
    if _at_parents_death(signal.SIGKILL) and is_gone(pipe):
        os.kill(os.getpid(), signal.SIGKILL)


def outlive_starter() -> None:
    """Take :func:`die_with_starter` back: from now on the pipe is watched, for there is more to end."""
    _at_parents_death(0)


def _at_parents_death(number: int) -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0) == 0)


def _hung_up(pipe: int, milliseconds: int) -> bool:
    watched = select.poll()
    watched.register(pipe, 0)  # the end of the other side alone is always told
    return bool(watched.poll(milliseconds))
