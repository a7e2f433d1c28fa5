"""The host's side of a cell's fork server."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.runner.output import CappedLog, Pump
from harness.runner.process import (
    GROUP,
    POLL_SECONDS,
    Finished,
    ProcessExit,
    Request,
    from_returncode,
    kill_group,
    oom_kill_count,
)

READY_SECONDS = 300.0
EXIT_SECONDS = 2.0  # its pipes close before its exit status is known


class NoCleanFork(Exception):
    """The server cannot promise a clean fork.

    The text is the reason; ``module`` is the preloaded module that causes it, empty if there is none.
    """

    def __init__(self, text: str, module: str = "") -> None:
        """Take the reason and the module."""
        super().__init__(text)
        self.module = module


class ServerDied(NoCleanFork):
    """The server ended before it was ready: an import may have killed it."""


@dataclass(frozen=True)
class Ready:
    """The state of a server that is ready: seconds per import, failed imports, reasons against a clean fork."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    broken_promises: Sequence[str] = ()
    broken_by: str = ""


class ForkLauncher:
    """Run each request in a child forked from a process that has done the imports."""

    isolation = "fork"

    def __init__(self, python: Path, environment: dict[str, str], folder: Path) -> None:
        """Start the server in ``python``; its output before the first request goes to ``folder/server.log``."""
        requests, self._requests_end = os.pipe()
        self._replies_end, replies = os.pipe()
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [str(python), "-m", "harness.probe.fork_server", str(requests), str(replies)],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(requests, replies),
            **GROUP,
        )
        os.close(requests)
        os.close(replies)
        assert self._process.stdout is not None  # noqa: S101  # for the type checker: PIPE was asked for
        self._pump = Pump(self._process.stdout)
        self._log = CappedLog(folder / "server.log")
        self._pump.direct(self._log)
        self._replies: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="harness-replies", daemon=True).start()

    def prepare(self, preload: Sequence[str], never: Sequence[str], cancel: threading.Event) -> Ready:
        """Have the server import ``preload`` and check that a fork is clean.

        Clean means: no module of ``never`` is imported, CUDA is not initialized, and there is one thread.

        Raises:
            NoCleanFork: the server ended, took longer than ``READY_SECONDS``, or cannot promise a clean fork.
        """
        self._send({"preload": list(preload), "never": list(never)})
        message, _ = self._receive(time.monotonic() + READY_SECONDS, cancel)
        self._pump.drain()
        self._pump.direct(None)
        if message is None:
            raise ServerDied(f"the fork server did not get ready ({self._exit_description()})")
        del message["event"]
        ready = Ready(**message)
        if ready.broken_promises:
            raise NoCleanFork("; ".join(ready.broken_promises), ready.broken_by)
        return ready

    def run(self, request: Request, cancel: threading.Event) -> Finished:
        """Run one request to its end, its deadline or ``cancel``; if the server is gone, the exit has a note."""
        request.write(self.isolation)
        log = CappedLog(request.folder / "output.log")
        self._pump.direct(log)
        started, begun = datetime.now(UTC), time.monotonic()
        try:
            ended = self._run(request, begun + request.timeout, cancel)
        finally:
            self._pump.drain()
            self._pump.direct(None)
            log.close()

        return Finished(ended, started, time.monotonic() - begun, self.isolation)

    def _run(self, request: Request, deadline: float, cancel: threading.Event) -> ProcessExit:
        kills = oom_kill_count()
        self._send(request.as_json(self.isolation))
        begun, _ = self._receive(deadline, cancel)
        if begun is None:
            note = f"the fork server is gone ({self._exit_description()})"
            return ProcessExit(note=note, interrupted=cancel.is_set())
        ended, timed_out = self._receive(deadline, cancel)
        cancelled = ended is None and not timed_out and cancel.is_set()
        if ended is None:
            kill_group(begun["pid"])
            ended, _ = self._receive(time.monotonic() + 10.0, threading.Event())
        if ended is None:
            note = f"server lost ({self._exit_description()})"
            return ProcessExit(timed_out=timed_out, interrupted=cancelled, note=note)
        code, oom_kills = os.waitstatus_to_exitcode(ended["status"]), oom_kill_count() - kills
        return from_returncode(code, oom_kills=oom_kills, timed_out=timed_out, cancelled=cancelled)

    @property
    def alive(self) -> bool:
        """Whether the server is running."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the server and the remaining processes of its group."""
        with contextlib.suppress(OSError):
            os.close(self._requests_end)
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            kill_group(self._process.pid)
            self._process.wait()

        self._pump.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._pump.direct(None)
        self._log.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the reply will be missing
            os.write(self._requests_end, json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        with open(self._replies_end, encoding="utf-8") as replies:
            for line in replies:
                self._replies.put(json.loads(line))
        self._replies.put(None)

    def _receive(self, deadline: float, cancel: threading.Event) -> tuple[dict[str, Any] | None, bool]:
        """Return the next reply, or None at the server's end, the deadline (then with True) or ``cancel``."""
        while not cancel.is_set():
            try:
                return self._replies.get(timeout=POLL_SECONDS), False
            except queue.Empty:
                if time.monotonic() > deadline:
                    return None, True
        return None, False

    def _exit_description(self) -> str:
        try:
            returncode = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "it is still running"
        ended = from_returncode(returncode)
        return f"signal {ended.signal}" if ended.signal else f"exit status {ended.code}"
