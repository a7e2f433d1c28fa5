"""What is asked of a cell's interpreter, and the environment it is asked in."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

GROUP: dict[str, Any] = (
    {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    if os.name == "nt"
    else {"start_new_session": True}
)


"""Keywords for ``Popen`` that put the child at the head of its own group."""


def kill_group(pid: int) -> None:
    """Kill the process ``pid`` and everything in its group; one that is gone is no error."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not yet have made its group


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


LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONSTARTUP", "PYTEST_ADDOPTS", "VIRTUAL_ENV")


POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Request:
    """One thing for a child to do: ``run`` one node id, or ``collect`` the scenarios of some files.

    ``folder`` receives ``events.jsonl``, ``report.json`` and ``output.log``; ``root`` is the scenario file's folder;
    ``timeout`` is in seconds.
    """

    op: str
    folder: Path
    root: str
    timeout: float
    nodeid: str = ""
    files: tuple[str, ...] = ()
    keyword: str = ""
    markers: str = ""
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    used_before: Mapping[str, int] = field(default_factory=dict)  # GPU UUID -> bytes in use before the attempt

    def as_json(self, isolation: str, preload: Sequence[str] = ()) -> dict[str, Any]:
        """Return what the child reads; a fresh interpreter imports ``preload`` first."""
        return {
            "op": self.op,
            "folder": str(self.folder),
            "root": self.root,
            "nodeid": self.nodeid,
            "files": list(self.files),
            "keyword": self.keyword,
            "markers": self.markers,
            "checkpoints": dict(self.checkpoints),
            "environment": dict(self.environment),
            "used_before": dict(self.used_before),
            "isolation": isolation,
            "preload": list(preload),
        }

    def write(self, isolation: str, preload: Sequence[str] = ()) -> Path:
        """Write the request into its folder, which is made; return the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "request.json"
        path.write_text(json.dumps(self.as_json(isolation, preload), indent=1), encoding="utf-8")
        return path


@dataclass(frozen=True)
class Finished:
    """What came of a request: how the process ended, when it began (UTC), how long it took, in which isolation."""

    exit: ProcessExit
    started: datetime
    seconds: float
    isolation: str


class Launcher(Protocol):
    """Runs requests one after the other in one cell's interpreter."""

    isolation: str

    def run(self, request: Request, cancel: threading.Event) -> Finished:
        """Run one request to its end, its deadline or ``cancel``."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


def environment(probe: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a cell's processes: ours cleaned, only the probe on the path, pytest without strangers.

    An empty variable is taken out of the environment.
    """
    found = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    found |= {
        "PYTHONPATH": str(probe),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # lets `is_available()` answer without making a CUDA context
        "TOKENIZERS_PARALLELISM": "false",
    }
    # numpy and scipy start a pool of threads when they are imported; a server with threads promises no clean fork
    found.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name, value in variables.items():
        if value:
            found[name] = value
        else:
            found.pop(name, None)
    return found
