"""What an existing interpreter has installed, asked once."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from harness.errors import ConfigError

TIMEOUT_SECONDS = 120

_QUESTION = """
import importlib.metadata as metadata, json, sys
names = [(d.metadata["Name"], d.version) for d in metadata.distributions()]
print(json.dumps({"python": "%d.%d.%d" % sys.version_info[:3], "packages": names[::-1]}))
"""


@dataclass(frozen=True)
class BaseInterpreter:
    """An interpreter, its version (``3.11.7``) and its packages by normalized name."""

    executable: Path
    python: str
    packages: Mapping[str, str]


def ask_interpreter(base: str, beside: Path) -> BaseInterpreter:
    """Ask the interpreter that a matrix names what it has.

    Args:
        base: A path (looked up from ``beside``, then the current folder) or a command on the search path.
        beside: The folder of the matrix file.

    Raises:
        ConfigError: there is no such interpreter, or it does not answer.
    """
    executable = _executable(base, beside)
    command = [str(executable), "-c", _QUESTION]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise ConfigError(
            f'base = "{base}" is not a Python interpreter that answers ({type(error).__name__})'
        ) from None
    # the first distribution found is the one that is imported; reversed, it is the one that stays
    packages: dict[str, str] = {str(canonicalize_name(name)): version for name, version in answer["packages"] if name}
    return BaseInterpreter(executable, answer["python"], packages)


def _executable(base: str, beside: Path) -> Path:
    for place in (beside, Path.cwd()):
        file = (place / Path(base).expanduser()).absolute()  # not resolved: a link is what makes a virtual environment
        if file.is_file():
            return file
    if found := shutil.which(base):
        return Path(found).absolute()
    raise ConfigError(f'base = "{base}" is neither a file nor a command on the search path')
