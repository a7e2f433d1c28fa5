"""The process of an attempt: its request, its environment, its group and its exit."""

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

GROUP: dict[str, Any] = (  # keywords for `Popen` that make the child the leader of a process group
    {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    if os.name == "nt"
    else {"start_new_session": True}
)
OOM_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONSTARTUP", "PYTEST_ADDOPTS", "VIRTUAL_ENV")
POLL_SECONDS = 0.05
SIGKILL = 9  # Windows has no `signal.SIGKILL`


def kill_group(pid: int) -> None:
    """Kill the process ``pid`` and its group; no error if it has ended."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # its group may not exist yet


@dataclass(frozen=True)
class ProcessExit:
    """How the process of an attempt ended.

    Attributes:
        code: the exit status; None if a signal ended the process or it never started.
        signal: the number of that signal.
        timed_out: the harness killed it at its deadline.
        host_oom: the kernel killed it because memory ran out.
        interrupted: the harness killed it because the run was interrupted.
        note: what else is known, for the report.
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
    """Read a ``Popen.returncode``; ``oom_kills`` counts processes that the kernel killed since the start."""
    number = -returncode if returncode < 0 else None
    killed_by_harness = timed_out or cancelled
    return ProcessExit(
        code=None if number else returncode,
        signal=number,
        timed_out=timed_out,
        host_oom=number == SIGKILL and not killed_by_harness and oom_kills > 0,
        interrupted=cancelled,
    )


def oom_kill_count(counters: tuple[Path, ...] = OOM_COUNTERS) -> int:
    """Return how many processes the kernel has killed so far because memory ran out, 0 if it does not report it."""
    highest = 0
    for counter in counters:
        try:
            lines = counter.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        highest = max([highest, *(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))])
    return highest


@dataclass(frozen=True)
class Request:
    """One task for a child: ``run`` one test, or ``collect`` the scenarios of some files.

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
    used_before: Mapping[str, int] = field(default_factory=dict)  # GPU UUID -> bytes in use before the attempt

    def as_json(self, isolation: str, preload: Sequence[str] = ()) -> dict[str, Any]:
        """Return the content of the request file; a fresh interpreter imports ``preload`` first."""
        return {
            "op": self.op,
            "folder": str(self.folder),
            "root": self.root,
            "nodeid": self.nodeid,
            "files": list(self.files),
            "keyword": self.keyword,
            "markers": self.markers,
            "checkpoints": dict(self.checkpoints),
            "used_before": dict(self.used_before),
            "isolation": isolation,
            "preload": list(preload),
        }

    def write(self, isolation: str, preload: Sequence[str] = ()) -> Path:
        """Make the folder of the request, write the request file and return its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "request.json"
        path.write_text(json.dumps(self.as_json(isolation, preload), indent=1), encoding="utf-8")
        return path


@dataclass(frozen=True)
class Finished:
    """A finished request: the exit of its process, its start (UTC), its seconds, and its isolation."""

    exit: ProcessExit
    started: datetime
    seconds: float
    isolation: str


class Launcher(Protocol):
    """Runs requests one after another in the interpreter of a cell."""

    isolation: str

    def run(self, request: Request, cancel: threading.Event) -> Finished:
        """Run one request to its end, its deadline or ``cancel``."""
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


def environment(probe: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a cell's processes, with the probe alone on ``PYTHONPATH``.

    Args:
        probe: the folder of the probe.
        variables: variables to set; an empty value removes the variable.
    """
    found = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    found |= {
        "PYTHONPATH": str(probe),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # `is_available()` creates no CUDA context
        "TOKENIZERS_PARALLELISM": "false",
    }
    # numpy and scipy start threads at import, and a process with threads cannot be forked safely
    found.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name, value in variables.items():
        if value:
            found[name] = value
        else:
            found.pop(name, None)

    return found
