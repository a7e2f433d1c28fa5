"""Run git in a folder, without its prompts and without what a calling git has set."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from harness.errors import InfrastructureError

READ_SECONDS = 120.0


class GitFailed(Exception):
    """git said no; the text is its first line."""


def git(folder: Path, *arguments: str, seconds: float = READ_SECONDS) -> str:
    """Run git in a folder and return what it printed.

    Raises:
        GitFailed: it said no.
        InfrastructureError: it is missing, or not finished in time.
    """
    command = ["git", "-c", "log.showSignature=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise InfrastructureError("git is not installed, and commits need it.") from None
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"`git {shlex.join(arguments)}` was not finished after {seconds:.0f} s.") from None
    if done.returncode:
        said = [line for line in done.stderr.strip().splitlines() if not line.startswith("warning:")]
        raise GitFailed(said[0] if said else f"exit status {done.returncode}")
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Return our variables without those by which git, when it calls us, means its own repository."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_DIR", "GIT_WORK", "GIT_IND"))
    }
    return kept | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
