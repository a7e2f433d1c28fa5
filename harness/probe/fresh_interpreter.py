"""Run one request in a fresh interpreter that ends with the harness.

``python -m harness.probe.fresh_interpreter REQUEST.json PIPE`` forks before pytest starts and before any package under
test is imported. The child runs the request. The parent waits for the child and for the end of the harness, even while
a C extension blocks the child's interpreter. POSIX only: elsewhere :mod:`harness.probe.child` is started directly.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from harness.probe.parent_watch import die_with, kill_group, wait


def main() -> int:
    """Run the request of the command line and end as it ended; does not return if a signal ended it."""
    parent, pipe = os.getpid(), int(sys.argv[2])
    pid = os.fork()
    if pid == 0:
        die_with(parent)
        os.close(pipe)
        from harness.probe import child

        return child.main()

    status = wait(pid, pipe)
    if status is None:
        kill_group(os.getpgrp())  # the attempt, its processes, this process
    code = os.waitstatus_to_exitcode(status or 0)
    return code if code >= 0 else _end_by(-code)


def _end_by(number: int) -> int:
    """End this process by the signal that ended the attempt, without a second core file."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        signal.signal(number, signal.SIG_DFL)  # SIGKILL has no handler
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())
