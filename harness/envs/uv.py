"""Find uv, run it with the user's settings, and read its errors."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.envs.pip_config import UvSettings
from harness.errors import InfrastructureError

OTHER_ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_SYSTEM_PYTHON")
QUIET = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
LIMIT = 1500  # characters of an error in a table; the log has the rest
TAIL = 30  # lines of a log that are read if no line has "error"
NETWORK = re.compile(
    r"error sending request|dns error|network (?:was|is) (?:disabled|unreachable)|connection (?:refused|reset|closed)"
    r"|failed to fetch: |timed out|could(?: not|n't) (?:connect|resolve)|unable to access 'https?:"
    r"|temporary failure in name resolution|max retries exceeded|no answer within|newconnectionerror"
    r"|certificate verify|invalid peer certificate",
    re.IGNORECASE,
)
DRAWING = re.compile(r"^[\s×╰─▶│├╭╮]+")
PREFIX = re.compile(r"^(?:error|cause|caused by): ?", re.IGNORECASE)
HINT = re.compile(r"^hint: ", re.IGNORECASE | re.MULTILINE)
ADVICE = re.compile(r"\s*Consider using `exclude-newer-package`[^.]*\.")  # not possible through a matrix
START = re.compile(r"^\s*(?:error\b|× )", re.IGNORECASE)


@dataclass(frozen=True)
class UvResult:
    """The output of uv; ``code`` is None if it was not finished in time."""

    code: int | None
    output: str
    errors: str


def find_uv() -> str | None:
    """Return the uv that was installed with Nox, else the one on the path, else None."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


def need_uv() -> str:
    """Return the path of uv.

    Raises:
        InfrastructureError: there is no uv.
    """
    found = find_uv()
    if found is None:
        raise InfrastructureError("uv is needed to lock cells and is not installed: python -m pip install 'nox[uv]'")
    return found


@functools.cache
def uv_version(uv: str) -> str:
    """Return the version of a uv program (``0.9.5``)."""
    parts = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout.split()
    return parts[1] if len(parts) > 1 else "unknown"


def environment(uv_settings: UvSettings) -> dict[str, str]:
    """Return the variables for uv: those of the user and of pip's configuration, none of other environments."""
    own = {name: value for name, value in os.environ.items() if value and name not in OTHER_ENVIRONMENTS}
    return {**dict(uv_settings.env), **{name: own[name] for name in own if not name.startswith("NOX")}, **QUIET}


def run_uv(arguments: Sequence[str], variables: Mapping[str, str], folder: Path, seconds: float) -> UvResult:
    """Run uv for at most ``seconds`` in ``folder``, so that it reads no project file of the current folder."""
    command = [need_uv(), *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=dict(variables), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return UvResult(None, "", f"uv gave no answer within {seconds:.0f} s")
    return UvResult(done.returncode, done.stdout, done.stderr)


def is_network(text: str) -> bool:
    """Return whether a failure is one of the index or the network, and not of the requested packages."""
    return NETWORK.search(text) is not None


def error_paragraph(errors: str) -> str:
    """Return an error and its causes as one paragraph, with those of uv's hints that are about dates."""
    error, *hints = HINT.split("\n".join(_from_first_error(errors.splitlines())))
    kept = [error, *(ADVICE.sub("", hint) for hint in hints if "exclude-newer" in hint)]
    lines = [PREFIX.sub("", DRAWING.sub("", line)) for text in kept for line in text.splitlines()]
    joined = re.sub(r"\s+", " ", " ".join(lines)).strip()
    joined = re.sub(r"^No solution found when resolving dependencies:?\s*", "", joined)
    return joined if len(joined) <= LIMIT else joined[: LIMIT - 1].rstrip() + "…"


def explain_log(log: str) -> str:
    """Return the error in a build log as one paragraph, without the lines of Nox."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("nox > ")]
    return error_paragraph("\n".join(lines)) or "no reason was printed"


def _from_first_error(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if START.match(line):
            return lines[number:]
    return lines[-TAIL:]
