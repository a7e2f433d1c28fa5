"""One request in a fresh interpreter that ends with the harness: ``python -m harness.probe.alone REQUEST.json PIPE``.

What runs the request is forked before pytest begins and before any package under test is imported, so that it is fresh.
Its parent does nothing but wait for it and for the end of the harness, also while a C extension holds the child's
interpreter. POSIX only: elsewhere :mod:`harness.probe.child` is started itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from harness.probe.parent_watch import die_with, kill_group, wait


def main() -> int:
    """Run the request of the command line and end as it did; never return where a signal ended it."""
    parent, pipe = os.getpid(), int(sys.argv[2])
    pid = os.fork()
    if pid == 0:
        die_with(parent)
        os.close(pipe)
        from harness.probe import child

        return child.main()
    status = wait(pid, pipe)
    if status is None:
        kill_group(os.getpgrp())  # the attempt, what it started, ourselves
    code = os.waitstatus_to_exitcode(status or 0)
    return code if code >= 0 else _end_by(-code)


def _end_by(number: int) -> int:
    """Die of the signal that the attempt died of, without a second core file."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        signal.signal(number, signal.SIG_DFL)  # SIGKILL has no other
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())
