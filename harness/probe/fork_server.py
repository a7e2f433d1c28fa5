"""The fork server of a cell: import once, check that the state is clean, fork one child per request.

``python -m harness.probe.fork_server REQUESTS REPLIES`` reads JSON lines from one inherited descriptor and answers on
another; standard output and error belong to the children. If the harness ends, however it ends, the server kills its
attempt and itself. POSIX only: elsewhere every attempt gets a fresh interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from typing import IO, Any

from harness.probe.child import run
from harness.probe.parent_watch import die_with, die_with_starter, kill, kill_group, outlive_starter, wait
from harness.probe.preload import preload

FORK_SAFE_THREADS = frozenset({"jemalloc_bg_thd"})  # jemalloc, which pyarrow loads, has its own fork handlers


def serve(requests: IO[str], replies: IO[str]) -> None:
    """Import the modules that the first line names, reply whether a fork is clean, then serve one request a line."""
    settings = json.loads(requests.readline())
    ready = preload(settings["preload"], lambda: broken_promises(settings["never"]))
    outlive_starter()  # from now on there may be attempts to kill; before the reply, after which the starter may end
    _reply(replies, event="ready", **ready)
    gc.freeze()  # imported objects stay shared between the children
    for line in requests:
        request = json.loads(line)
        server, pid = os.getpid(), os.fork()
        if pid == 0:
            _child(request, server, (requests, replies))
        _reply(replies, event="started", pid=pid)
        status = wait(pid, requests.fileno())
        if status is None:  # the harness is gone
            kill(pid)
            kill(server)
        kill_group(pid)  # processes that the attempt left running
        _reply(replies, event="exited", status=status)


def broken_promises(never: list[str]) -> list[str]:
    """Return why a fork of this process would not be clean; empty if it would be."""
    broken = [f"{name} is imported" for name in never if name in sys.modules]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        broken.append("CUDA is initialized")
    if len(threads()) > 1:
        broken.append(f"{len(threads())} threads are running: {', '.join(sorted(set(threads())))}")
    return broken


def threads() -> list[str]:
    """Return the names of this process's threads, without those of allocators that handle a fork themselves."""
    found = []
    for task in os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else []:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm", encoding="utf-8") as name:
            found.append(name.read().strip())
    return [name for name in found if name not in FORK_SAFE_THREADS]


def _child(request: dict[str, Any], server: int, control: tuple[IO[str], IO[str]]) -> None:
    code = 70  # the exit code of an attempt in which the probe itself fails
    try:
        os.setsid()
        die_with(server)
        for stream in control:
            os.close(stream.fileno())
        code = run(request)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # without the exit handlers of the server


def _reply(replies: IO[str], **message: Any) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def main() -> None:
    """Serve on the two descriptors of the command line."""
    die_with_starter(int(sys.argv[1]))
    with open(int(sys.argv[1]), encoding="utf-8") as requests, open(int(sys.argv[2]), "w", encoding="utf-8") as replies:
        serve(requests, replies)


if __name__ == "__main__":
    main()
