"""Find uv and run it with the user's settings."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.envs.pipconfig import Carried
from harness.errors import InfrastructureError

FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_SYSTEM_PYTHON")
QUIET = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}


@dataclass(frozen=True)
class Answer:
    """What uv said; ``code`` is None when it did not finish in time."""

    code: int | None
    output: str
    errors: str


def find_uv() -> str | None:
    """Return the uv that came with Nox, else the one on the path, else None."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


def need_uv() -> str:
    """Return uv's path.

    Raises:
        InfrastructureError: there is no uv.
    """
    found = find_uv()
    if found is None:
        raise InfrastructureError("uv is needed to lock cells and is not installed: python -m pip install 'nox[uv]'")
    return found


@functools.cache
def uv_version(uv: str) -> str:
    """Return the version a uv program gives itself (``0.9.5``)."""
    words = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout.split()
    return words[1] if len(words) > 1 else "unknown"


def environment(carried: Carried) -> dict[str, str]:
    """Return the variables uv runs with: the user's, what pip's configuration adds, nothing of other environments."""
    own = {name: value for name, value in os.environ.items() if value and name not in FOREIGN}
    return {**dict(carried.env), **{name: own[name] for name in own if not name.startswith("NOX")}, **QUIET}


def run_uv(arguments: Sequence[str], variables: Mapping[str, str], folder: Path, seconds: float) -> Answer:
    """Run uv in ``folder``, so that no project file of the current one has a say; ``seconds`` at most."""
    command = [need_uv(), *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=dict(variables), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(None, "", f"uv gave no answer within {seconds:.0f} s")
    return Answer(done.returncode, done.stdout, done.stderr)
