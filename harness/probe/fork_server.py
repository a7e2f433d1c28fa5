"""The fork server of a cell: import once, promise a clean state, fork one child per request.

``python -m harness.probe.server REQUESTS REPLIES`` reads JSON lines from one inherited descriptor, answers on another;
standard output and error belong to the children. When the harness is gone, however it ended, the server ends its
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

HOUSEKEEPING = frozenset({"jemalloc_bg_thd"})  # jemalloc has fork handlers of its own; pyarrow brings it


def serve(requests: IO[str], replies: IO[str]) -> None:
    """Preload what the first line asks for, say whether a fork is clean, then serve a request a line."""
    settings = json.loads(requests.readline())
    ready = preload(settings["preload"], lambda: broken_promises(settings["never"]))
    outlive_starter()  # there will be attempts to end; before we say so, for who hears it may end
    _reply(replies, event="ready", **ready)
    gc.freeze()  # what is imported stays shared between the children
    for line in requests:
        request = json.loads(line)
        server, pid = os.getpid(), os.fork()
        if pid == 0:
            _child(request, server, (requests, replies))
        _reply(replies, event="started", pid=pid)
        status = wait(pid, requests.fileno())
        if status is None:  # nobody waits for the attempt any more
            kill(pid)
            kill(server)
        kill_group(pid)  # what the attempt left running
        _reply(replies, event="exited", status=status)


def broken_promises(never: list[str]) -> list[str]:
    """Say, in words, why a fork from this process would not be clean; empty when it is."""
    broken = [f"{name} is imported" for name in never if name in sys.modules]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        broken.append("CUDA is initialized")
    if len(threads()) > 1:
        broken.append(f"{len(threads())} threads are running: {', '.join(sorted(set(threads())))}")
    return broken


def threads() -> list[str]:
    """Return the names of this process's threads, less those that allocators keep and stop around a fork themselves."""
    found = []
    for task in os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else []:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm", encoding="utf-8") as name:
            found.append(name.read().strip())
    return [name for name in found if name not in HOUSEKEEPING]


def _child(request: dict[str, Any], server: int, control: tuple[IO[str], IO[str]]) -> None:
    code = 70  # what an attempt exits with when the probe itself fails
    try:
        os.setsid()
        die_with(server)
        for stream in control:
            os.close(stream.fileno())
        code = run(request)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # never run the server's own exit handlers twice


def _reply(replies: IO[str], **message: Any) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def main() -> None:
    """Serve on the two descriptors named on the command line."""
    die_with_starter(int(sys.argv[1]))
    with open(int(sys.argv[1]), encoding="utf-8") as requests, open(int(sys.argv[2]), "w", encoding="utf-8") as replies:
        serve(requests, replies)


if __name__ == "__main__":
    main()
