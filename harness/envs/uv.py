"""Find uv and run it with the user's settings."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.envs.pip_config import Carried
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


LIMIT = 1500  # characters of a sentence: it goes into a table, the log has the rest


TAIL = 30  # lines of a log that are looked at when no line in it says "error"


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


ADVICE = re.compile(r"\s*Consider using `exclude-newer-package`[^.]*\.")  # no user of ours can follow it


START = re.compile(r"^\s*(?:error\b|× )", re.IGNORECASE)


def is_network(text: str) -> bool:
    """Tell whether a failure lies with the index or the way to it, and not with the packages asked for."""
    return NETWORK.search(text) is not None


def paragraph(errors: str) -> str:
    """Join an error and its causes to one paragraph; of uv's hints only the one about dates is kept."""
    error, *hints = HINT.split("\n".join(_from_first_error(errors.splitlines())))
    kept = [error, *(ADVICE.sub("", hint) for hint in hints if "exclude-newer" in hint)]
    lines = [PREFIX.sub("", DRAWING.sub("", line)) for text in kept for line in text.splitlines()]
    joined = re.sub(r"\s+", " ", " ".join(lines)).strip()
    joined = re.sub(r"^No solution found when resolving dependencies:?\s*", "", joined)
    return joined if len(joined) <= LIMIT else joined[: LIMIT - 1].rstrip() + "…"


def explain_log(log: str) -> str:
    """Return the failure in a build log as a paragraph, without what Nox says around it."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("nox > ")]
    return paragraph("\n".join(lines)) or "no reason was printed"


def _from_first_error(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if START.match(line):
            return lines[number:]
    return lines[-TAIL:]
