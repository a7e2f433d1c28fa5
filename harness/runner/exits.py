"""How a process ended, and whether the host's memory ran out meanwhile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

OOM_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))


@dataclass(frozen=True)
class ProcessExit:
    """How the attempt's process ended, as its parent saw it.

    ``code`` is the exit status: None when a signal ended it or it never started. ``timed_out`` and ``interrupted`` say
    that we ended it ourselves; ``host_oom`` that the kernel did, for want of memory.
    """

    code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    host_oom: bool = False
    interrupted: bool = False
    note: str = ""


def from_returncode(
    returncode: int, *, oom_kills: int = 0, timed_out: bool = False, cancelled: bool = False
) -> ProcessExit:
    """Read a ``Popen.returncode``: negative numbers are signals. ``oom_kills`` counts the kernel's since the start."""
    number = -returncode if returncode < 0 else None
    ours = timed_out or cancelled
    return ProcessExit(
        code=None if number else returncode,
        signal=number,
        timed_out=timed_out,
        host_oom=bool(number == 9 and not ours and oom_kills > 0),  # noqa: PLR2004  # SIGKILL, also where signal lacks it
        interrupted=cancelled,
    )


def from_wait_status(
    status: int, *, oom_kills: int = 0, timed_out: bool = False, cancelled: bool = False
) -> ProcessExit:
    """Read a raw ``wait`` status (POSIX)."""
    code = os.waitstatus_to_exitcode(status)
    return from_returncode(code, oom_kills=oom_kills, timed_out=timed_out, cancelled=cancelled)


def oom_kill_count(counters: tuple[Path, ...] = OOM_COUNTERS) -> int:
    """Return how many processes the kernel has killed for want of memory so far, 0 where it does not tell."""
    highest = 0
    for counter in counters:
        try:
            lines = counter.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        highest = max([highest, *(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))])
    return highest
