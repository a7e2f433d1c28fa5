"""Start a process as the head of a group, and end the whole group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Any

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
