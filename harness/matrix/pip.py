"""Run the pip of this interpreter, and read its configuration."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterable

from harness.errors import InfrastructureError

TIMEOUT_SECONDS = 120
INDEX_SECTIONS = ("global", "index", ":env:")  # what `pip index` reads; a later section wins
INSTALL_SECTIONS = ("global", "install", ":env:")
SYNONYMS = {"default-timeout": "timeout"}  # two names of one option
SETTING = re.compile(r"(.+)\.([A-Za-z-]+)=(.*)", re.DOTALL)


def run_pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pip and return what it printed.

    Raises:
        InfrastructureError: pip does not start, or is not finished in time.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"pip does not run: {error}.") from error


def read_settings(sections: Iterable[str]) -> dict[str, str]:
    """Return pip's settings (``index-url``, ``cert``, …) of these sections, ``PIP_*`` variables included.

    Raises:
        InfrastructureError: pip does not run, or rejects its configuration.
    """
    return parse_settings(list_configuration(), sections)


@functools.cache
def list_configuration() -> str:
    """Return what ``pip config list`` prints; asked once a process.

    Raises:
        InfrastructureError: pip does not run, or rejects its configuration.
    """
    done = run_pip("config", "list")
    if done.returncode != 0:
        raise InfrastructureError(f"pip cannot read its configuration: {done.stderr.strip() or 'no reason given'}")
    return done.stdout


def parse_settings(listing: str, sections: Iterable[str]) -> dict[str, str]:
    """Read the output of ``pip config list``; a later one of the sections wins, other sections are left out."""
    found: dict[str, dict[str, str]] = {section: {} for section in sections}
    for line in listing.splitlines():
        setting = SETTING.fullmatch(line)  # other lines are warnings
        if setting is not None and setting[1] in found:
            found[setting[1]][SYNONYMS.get(setting[2], setting[2])] = _value(setting[3])
    return {name: value for settings in found.values() for name, value in settings.items()}


def _value(literal: str) -> str:
    try:
        return str(ast.literal_eval(literal)).strip()
    except (SyntaxError, ValueError):
        return literal.strip()
