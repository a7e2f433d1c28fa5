"""Choose between a fork server and fresh interpreters, and give the reason."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.runner.fork_server import ForkLauncher, NoCleanFork, Ready, ServerDied
from harness.runner.process import Launcher
from harness.runner.spawn import SpawnLauncher


class Isolation(StrEnum):
    """How the process of an attempt is made."""

    FORK = "fork"
    SPAWN = "spawn"


@dataclass(frozen=True)
class OpenedLauncher:
    """A launcher that is ready, and why it is not the fork server that was asked for."""

    launcher: Launcher
    ready: Ready | None = None
    fallback: str = ""


def open_launcher(
    python: Path,
    environment: dict[str, str],
    folder: Path,
    *,
    wanted: Isolation,
    preload: Sequence[str],
    never: Sequence[str],
    cancel: threading.Event,
) -> OpenedLauncher:
    """Open a launcher of the wanted isolation; fresh interpreters replace a server that cannot promise a clean fork.

    If one module is the reason (PEFT from 0.21 on imports bitsandbytes, which initializes CUDA), the attempts import it
    and the server is started again without it. Fresh interpreters import ``preload`` before the attempt, as the server
    does, so that phases are comparable. If an import killed the server, they do not: then only the attempts that need
    that import fail.
    """
    fresh = SpawnLauncher(python, environment, preload)
    if wanted is Isolation.SPAWN:
        return OpenedLauncher(fresh)
    if os.name == "nt":
        return OpenedLauncher(fresh, fallback="this platform has no fork")
    modules, left_out = list(preload), list[str]()
    while True:
        server = ForkLauncher(python, environment, folder)
        try:
            return OpenedLauncher(server, server.prepare(modules, never, cancel), "; ".join(left_out))
        except ServerDied as why:
            server.close()
            return OpenedLauncher(SpawnLauncher(python, environment), fallback=str(why))
        except NoCleanFork as why:
            server.close()
            if why.module not in modules[1:]:  # a server without the first module, torch, would save nothing
                return OpenedLauncher(fresh, fallback=str(why))
            modules.remove(why.module)
            left_out.append(f"{why.module} is imported by each attempt instead: with it {why}")
