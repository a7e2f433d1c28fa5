"""Tell a command of the user how the night ended: JSON on its standard input. What it does changes nothing here."""

from __future__ import annotations

import subprocess

HOOK_SECONDS = 300


def call_hook(command: str, text: str) -> str:
    """Run the command by the shell with ``text`` on its standard input; return what went wrong, or nothing."""
    try:
        done = subprocess.run(  # noqa: S602 - a command line of the user's own, as in a crontab
            command, input=text, text=True, shell=True, capture_output=True, timeout=HOOK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the hook did not end within {HOOK_SECONDS} s"
    except OSError as error:
        return f"the hook could not be run: {error}"
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        return f"the hook ended with {done.returncode}{': ' if last else ''}{''.join(last)}"
    return ""
