"""What a Python interpreter has installed, asked of the interpreter itself."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.errors import ConfigError, InfrastructureError

TIMEOUT_SECONDS = 120
LIST_PACKAGES = """
import json, os, platform, sys
from importlib import metadata
paths = [p for p in sys.path if os.path.basename(p.rstrip("/\\\\")) in ("site-packages", "dist-packages")]
found = [d for d in metadata.distributions() if d.metadata["Name"]]
packages = [[d.metadata["Name"], d.version, list(d.requires or [])] for d in found]
markers = {"python_version": "%d.%d" % sys.version_info[:2], "python_full_version": platform.python_version()}
print(json.dumps(["%d.%d.%d" % sys.version_info[:3], paths, packages, markers]))
"""


class InterpreterMissing(InfrastructureError):
    """A Python interpreter is not on this machine, or does not start."""


@dataclass(frozen=True)
class BasePackage:
    """One package of an interpreter: its version, and its requirements that apply there, without extras."""

    name: str
    version: str
    requires: tuple[Requirement, ...] = ()


@dataclass(frozen=True)
class BaseInterpreter:
    """An interpreter, its version (``3.11.7``), its packages by normalized name, and the folders they are in."""

    executable: Path
    python: str
    packages: Mapping[str, BasePackage]
    paths: tuple[str, ...] = ()

    def layer(self, names: Iterable[str]) -> dict[str, str]:
        """Return name → version of these packages and of all their dependencies in this interpreter.

        Raises:
            ConfigError: a package is not installed.
        """
        found: dict[str, str] = {}
        waiting = list(names)
        for name in waiting:
            if name not in self.packages:
                raise ConfigError(f'{name} = "installed": the base interpreter has no package of that name')
        while waiting:
            name = waiting.pop()
            if name in found or name not in self.packages:
                continue
            found[name] = self.packages[name].version
            waiting += [str(canonicalize_name(one.name)) for one in self.packages[name].requires]

        return dict(sorted(found.items()))


def ask_interpreter(base: str, matrix_folder: Path) -> BaseInterpreter:
    """Return the interpreter that the key ``base`` of a matrix names.

    Args:
        base: A path (looked up from ``matrix_folder``, then the current folder) or a command on the search path.
        matrix_folder: The folder of the matrix file.

    Raises:
        ConfigError: there is no such interpreter, or it does not answer.
    """
    executable = _executable(base, matrix_folder)
    try:
        return read_base(str(executable))
    except InterpreterMissing as error:
        raise ConfigError(f'base = "{base}" is not a Python interpreter that answers: {error}') from None


@functools.cache
def read_base(program: str) -> BaseInterpreter:
    """Return what the interpreter ``program`` can import; asked once a process.

    Raises:
        InterpreterMissing: it does not start.
    """
    return list_packages(program)


def list_packages(program: str, *, isolated: bool = False) -> BaseInterpreter:
    """Ask the interpreter ``program`` what it can import.

    Args:
        program: The interpreter.
        isolated: Ignore ``PYTHONPATH`` and the packages of the user, as Python's ``-I`` does.

    Raises:
        InterpreterMissing: it does not start.
    """
    command = [program, *(["-I"] if isolated else []), "-c", LIST_PACKAGES]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
        )
        python, paths, packages, markers = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise InterpreterMissing(f"the interpreter {program} does not start: {error}") from error

    found: dict[str, BasePackage] = {}
    for name, version, requires in packages:
        key = str(canonicalize_name(name))
        applicable = tuple(_applicable(requires, {**markers, "extra": ""}))
        found.setdefault(key, BasePackage(key, version, applicable))  # the first on the path is the one imported

    return BaseInterpreter(Path(program), python, found, tuple(paths))


def _applicable(requires: Iterable[str], markers: dict[str, str]) -> Iterator[Requirement]:
    for text in requires:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(markers):
            yield requirement


def _executable(base: str, matrix_folder: Path) -> Path:
    for folder in (matrix_folder, Path.cwd()):
        file = (folder / Path(base).expanduser()).absolute()  # not resolved: a link is what makes a virtual environment
        if file.is_file():
            return file
    if found := shutil.which(base):
        return Path(found).absolute()
    raise ConfigError(f'base = "{base}" is neither a file nor a command on the search path')
