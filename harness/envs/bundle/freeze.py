"""Read what a machine's Python has from the text of ``pip freeze`` or ``pip list``."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name

from harness.errors import ConfigError

FREEZE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*===?\s*(\S+)")
DIRECT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*) @ ")
COLUMNS = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s+(\d\S*)(?:\s.*)?")


def read_freeze(path: Path) -> dict[str, str]:
    """Return normalized name → version; what was installed from a file or a commit has an empty version.

    Raises:
        ConfigError: the file cannot be read, or a line is neither ``name==version`` nor ``name version``.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--base-freeze {path} cannot be read: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if not text or text.startswith(("-", "Package ")):  # editable installs, options, and the head of a table
            continue
        match = FREEZE.fullmatch(text) or COLUMNS.fullmatch(text)
        direct = DIRECT.match(text)
        if match is None and direct is None:
            raise ConfigError(f"--base-freeze {path}, line {number}: {text!r} is not name==version")
        name, version = match.groups() if match else (direct[1] if direct else "", "")
        found[str(canonicalize_name(name))] = version
    if not found:
        raise ConfigError(f"--base-freeze {path} names no package; write it with `pip list --format=freeze`")
    return found
