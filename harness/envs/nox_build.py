"""A noxfile of the harness's own: one session that makes an environment and installs a lock into it.

Called by :mod:`harness.envs.build` as ``python -m nox -f nox_build.py``; ``HARNESS_BUILD_REQUEST`` names the JSON file
with what to do, and the session writes the place of the environment into the file that the request names. Standard
input is a pipe that the harness holds: at its end the harness is gone, and with it whoever keeps others from here. The
installers get an empty one, for what asks a question there must fail and not wait for an answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path

import nox
import psutil


def take_pipe() -> int:
    """Return the pipe that standard input was, which no child inherits, and put nothing in its place."""
    pipe, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def end_with_the_harness(pipe: int) -> None:
    """Wait for the end of the pipe, then kill the installers and this process."""
    os.read(pipe, 1)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)


threading.Thread(target=end_with_the_harness, args=(take_pipe(),), daemon=True).start()
REQUEST = json.loads(Path(os.environ["HARNESS_BUILD_REQUEST"]).read_text(encoding="utf-8"))
nox.needs_version = ">=2025.5.1"


@nox.session(python=REQUEST["python"], venv_backend=REQUEST["backend"])
def env(session: nox.Session) -> None:
    """Install the lock: what has hashes with hashes, then commits and folders, nothing that the lock does not name."""
    uv = session.venv_backend == "uv"
    arguments = REQUEST["arguments"] if uv else []  # pip reads its own configuration
    for packages in REQUEST["binary"]:
        session.install("--no-deps", "--require-hashes", *arguments, "-r", packages)
    for packages in REQUEST["direct"]:
        refresh = [option for name in REQUEST["refresh"] for option in ("--refresh-package", name)] if uv else []
        session.install("--no-deps", *refresh, *arguments, "-r", packages)
    Path(REQUEST["result"]).write_text(json.dumps(str(session.virtualenv.location)), encoding="utf-8")
