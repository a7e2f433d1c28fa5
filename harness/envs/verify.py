"""Compare what an environment really has with what its lock says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

SECONDS = 120.0
LIST = """
import json
from importlib import metadata
print(json.dumps([[d.metadata["Name"], d.version] for d in metadata.distributions()]))
"""


def installed(python: Path) -> dict[str, str]:
    """Return normalized name → version as the interpreter itself sees it, the first on its path where there are two."""
    command = [str(python), "-I", "-c", LIST]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    found: dict[str, str] = {}
    for name, version in json.loads(done.stdout):
        if name:
            found.setdefault(str(canonicalize_name(name)), version)
    return found


def disagreements(python: Path, packages: Mapping[str, str]) -> list[str]:
    """List, in words, every locked package that is missing or of another version.

    Of commits and folders it is enough that they are there: their version is not in the lock.
    """
    try:
        found = installed(python)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return [f"its interpreter does not start: {error}"]
    wrong = []
    for name, version in packages.items():
        if name not in found:
            wrong.append(f"{name} is missing")
        elif "://" not in version and not _same(found[name], version):
            wrong.append(f"{name} is {found[name]} instead of {version}")
    return wrong


def _same(found: str, locked: str) -> bool:
    try:
        return Version(found) == Version(locked)
    except InvalidVersion:
        return found == locked
