"""Tell a command of the user how the night ended: JSON on its standard input. What it does changes nothing here."""

from __future__ import annotations

import subprocess

HOOK_SECONDS = 300.0
STANDARD_ERROR = 2  # the system's, whatever stands for sys.stderr: what the hook prints passes through no pipe of ours


def call_hook(command: str, text: str, seconds: float = HOOK_SECONDS) -> str:
    """Run the command by the shell with ``text`` on its standard input; return what went wrong, or nothing.

    What it prints, to either stream, goes to this process's standard error as it is printed: standard output belongs
    to the night's JSON.
    """
    try:
        done = subprocess.run(  # noqa: S602 - a command line of the user's own, as in a crontab
            command, input=text.encode(), shell=True, stdout=STANDARD_ERROR, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the hook did not end within {seconds:g} s"
    except OSError as error:
        return f"the hook could not be run: {error}"
    return f"the hook ended with {done.returncode}" if done.returncode else ""
