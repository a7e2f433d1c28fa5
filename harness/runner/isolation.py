"""Choose between fork server and fresh interpreters, and say why."""

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
    """How an attempt gets a process of its own."""

    FORK = "fork"
    SPAWN = "spawn"


@dataclass(frozen=True)
class Opened:
    """A launcher ready to run, and why it is not a fork server where that was wanted."""

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
) -> Opened:
    """Open what ``wanted`` names; a fork server that cannot keep its promise gives way to fresh interpreters.

    A module whose import takes the promise away (PEFT from 0.21 on imports bitsandbytes, which initializes CUDA) is
    left to the attempts, and the server is tried again without it. Fresh interpreters import ``preload`` before the
    attempt, as the server does, so that phases measure the same; not where an import killed the server, for then only
    the attempts that need that import shall die of it.
    """
    fresh = SpawnLauncher(python, environment, preload)
    if wanted is Isolation.SPAWN:
        return Opened(fresh)
    if os.name == "nt":
        return Opened(fresh, fallback="this platform has no fork")
    modules, left_out = list(preload), list[str]()
    while True:
        server = ForkLauncher(python, environment, folder)
        try:
            return Opened(server, server.prepare(modules, never, cancel), "; ".join(left_out))
        except ServerDied as why:
            server.close()
            return Opened(SpawnLauncher(python, environment), fallback=str(why))
        except NoCleanFork as why:
            server.close()
            if why.module not in modules[1:]:  # without its first module, torch, a server would save nothing
                return Opened(fresh, fallback=str(why))
            modules.remove(why.module)
            left_out.append(f"{why.module} is left to the attempts, for with it {why}")
