"""A fresh interpreter for every request: slower than a fork, without its conditions, on every platform."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.runner.output import CappedLog, Pump
from harness.runner.process import GROUP, POLL_SECONDS, Finished, Request, from_returncode, kill_group, oom_kill_count


class SpawnLauncher:
    """Run each request as ``harness.probe.fresh_interpreter`` in a process group that ends with the harness."""

    isolation = "spawn"

    def __init__(self, python: Path, environment: dict[str, str], preload: Sequence[str] = ()) -> None:
        """Take the interpreter and the environment of a cell, and the modules to import before an attempt."""
        self._preload = tuple(preload)
        self._python = python
        self._environment = environment

    def run(self, request: Request, cancel: threading.Event) -> Finished:
        """Run one request to its end, its deadline or ``cancel``."""
        path = request.write(self.isolation, self._preload)
        log = CappedLog(request.folder / "output.log")
        started, begun, kills = datetime.now(UTC), time.monotonic(), oom_kill_count()
        with self._started(path) as process:
            assert process.stdout is not None  # noqa: S101  # for the type checker: PIPE was asked for
            pump = Pump(process.stdout)
            pump.direct(log)
            timed_out = _wait(process, begun + request.timeout, cancel)
            kill_group(process.pid)  # the attempt, or the processes that it left running
            returncode = process.wait()
            pump.join()
            pump.direct(None)

        log.close()
        ended = from_returncode(
            returncode,
            oom_kills=oom_kill_count() - kills,
            timed_out=timed_out,
            cancelled=cancel.is_set() and returncode != 0,
        )
        return Finished(ended, started, time.monotonic() - begun, self.isolation)

    @contextlib.contextmanager
    def _started(self, request: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Start the interpreter with one end of a pipe; it ends when the other end, held here, is closed."""
        watched, own_end = os.pipe()
        watching = os.name != "nt"
        module = (
            ["harness.probe.fresh_interpreter", str(request), str(watched)]
            if watching
            else ["harness.probe.child", str(request)]
        )
        try:
            with subprocess.Popen(
                [str(self._python), "-m", *module],
                env=self._environment,
                cwd=request.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(watched,) if watching else (),
                **GROUP,
            ) as process:
                os.close(watched)
                watched = -1
                yield process
        finally:
            for end in (watched, own_end):
                if end >= 0:
                    os.close(end)

    def close(self) -> None:
        """Do nothing: no process outlives a request."""


def _wait(process: subprocess.Popen[bytes], deadline: float, cancel: threading.Event) -> bool:
    """Wait for the end, the deadline or ``cancel``; return whether the deadline came first."""
    while not cancel.is_set():
        try:
            process.wait(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                return True
        else:
            return False

    return False
