"""What is asked of a cell's interpreter, and the environment it is asked in."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from harness.runner.exits import ProcessExit

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
