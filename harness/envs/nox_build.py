"""A noxfile with one session that makes an environment and installs a lock into it.

Run by :mod:`harness.envs.build` as ``python -m nox -f nox_build.py``. ``HARNESS_BUILD_REQUEST`` names the JSON file of
the request; the session writes the path of the environment to the file that the request names. Standard input is a pipe
held by the harness: when the harness ends, this process and its installers end too. The standard input of the
installers is empty, so that one that asks a question fails instead of waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path

import nox
import psutil


def replace_standard_input() -> int:
    """Return the pipe of standard input, which no child inherits, and make standard input empty."""
    pipe, empty = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return pipe


def end_with_the_harness(pipe: int) -> None:
    """Wait for the end of the pipe, then kill the installers and this process."""
    os.read(pipe, 1)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)


threading.Thread(target=end_with_the_harness, args=(replace_standard_input(),), daemon=True).start()
REQUEST = json.loads(Path(os.environ["HARNESS_BUILD_REQUEST"]).read_text(encoding="utf-8"))
nox.needs_version = ">=2025.5.1"


@nox.session(python=REQUEST["python"], venv_backend=REQUEST["backend"])
def env(session: nox.Session) -> None:
    """Install the lock without dependencies: packages with hashes, then commits and folders."""
    uv = session.venv_backend == "uv"
    arguments = REQUEST["arguments"] if uv else []  # pip reads its own configuration
    for packages in REQUEST["binary"]:
        session.install("--no-deps", "--require-hashes", *arguments, "-r", packages)
    for packages in REQUEST["direct"]:
        refresh = [option for name in REQUEST["refresh"] for option in ("--refresh-package", name)] if uv else []
        session.install("--no-deps", *refresh, *arguments, "-r", packages)
    Path(REQUEST["result"]).write_text(json.dumps(str(session.virtualenv.location)), encoding="utf-8")
