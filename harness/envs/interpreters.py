"""Find the Python interpreter a cell asks for."""

from __future__ import annotations

import functools
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.envs.uv import find_uv
from harness.errors import ConfigError, InfrastructureError

ASK = "import json, platform, sys; print(json.dumps([sys.executable, platform.python_version()]))"


SECONDS = 60.0


class InterpreterMissing(InfrastructureError):
    """The Python that a cell asks for is not on this machine."""


@dataclass(frozen=True)
class Interpreter:
    """One Python: where it is and its full version (``3.11.7``)."""

    path: Path
    version: str


def find_interpreter(wanted: str, base: str | None = None) -> Interpreter:
    """Return the interpreter for a Python version (``3.11``, ``3.11.7``), or ``base`` itself where one is named.

    The one that runs the harness is taken when its version fits, else what uv finds. Nothing is downloaded.

    Raises:
        InterpreterMissing: there is none, or it does not start.
    """
    if base is not None:
        return ask(base)
    if fits(platform.python_version(), wanted):
        return Interpreter(Path(sys.executable), platform.python_version())
    found = _from_uv(wanted)
    if found is None:
        raise InterpreterMissing(
            f"Python {wanted} is asked for and not on this machine: "
            f"install it, for example with `uv python install {wanted}`"
        )
    return ask(found)


def fits(version: str, wanted: str) -> bool:
    """Tell whether a full version is one of ``wanted`` (``3.11.7`` is one of ``3.11``)."""
    return f"{version}.".startswith(f"{wanted}.")


@functools.cache
def ask(program: str) -> Interpreter:
    """Ask an interpreter for its path and version.

    Raises:
        InterpreterMissing: it does not start.
    """
    try:
        done = subprocess.run([program, "-I", "-c", ASK], capture_output=True, text=True, timeout=SECONDS, check=True)
        path, version = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InterpreterMissing(f"the interpreter {program} does not start: {error}") from error
    return Interpreter(Path(path), version)


@functools.cache
def _from_uv(wanted: str) -> str | None:
    uv = find_uv()
    if uv is None:
        return None
    command = [uv, "python", "find", "--no-python-downloads", "--no-project", wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None


PTH = "zz-harness-base.pth"


LIST = """
import json, os, platform, sys
from importlib import metadata
paths = [p for p in sys.path if os.path.basename(p.rstrip("/\\\\")) in ("site-packages", "dist-packages")]
found = [d for d in metadata.distributions() if d.metadata["Name"]]
packages = [[d.metadata["Name"], d.version, list(d.requires or [])] for d in found]
markers = {"python_version": "%d.%d" % sys.version_info[:2], "python_full_version": platform.python_version()}
print(json.dumps([paths, packages, markers]))
"""


@dataclass(frozen=True)
class BasePackage:
    """One package of an interpreter: its version, and what it requires there, extras left out."""

    name: str
    version: str
    requires: tuple[Requirement, ...]


@dataclass(frozen=True)
class Base:
    """What an interpreter brings along: its package folders and what lies in them."""

    paths: tuple[str, ...]
    packages: Mapping[str, BasePackage]

    def layer(self, names: Iterable[str]) -> dict[str, str]:
        """Return name → version of these packages and of everything they need, as the base has it.

        Raises:
            ConfigError: the base has no such package.
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


@functools.cache
def read_base(program: str) -> Base:
    """Return what the interpreter ``program`` can import; asked once a process.

    Raises:
        InterpreterMissing: it does not start.
    """
    return list_packages(program)


def list_packages(program: str) -> Base:
    """Ask the interpreter ``program`` what it can import.

    Raises:
        InterpreterMissing: it does not start.
    """
    try:
        done = subprocess.run([program, "-c", LIST], capture_output=True, text=True, timeout=SECONDS, check=True)
        paths, packages, markers = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InterpreterMissing(f"the interpreter {program} does not start: {error}") from error
    found: dict[str, BasePackage] = {}
    for name, version, requires in packages:
        key = str(canonicalize_name(name))
        here = tuple(_applicable(requires, {**markers, "extra": ""}))
        found.setdefault(key, BasePackage(key, version, here))  # the first on the path is the one imported
    return Base(tuple(paths), found)


def _applicable(requires: list[str], markers: dict[str, str]) -> Iterator[Requirement]:
    for text in requires:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(markers):
            yield requirement


def unmet(child: Base, layer: Mapping[str, str]) -> list[str]:
    """List, in words, every requirement of the child's packages that its base's ``layer`` does not meet.

    The resolver cannot see this where the base's packages are on no index; ``uv pip check`` sees the child alone.
    """
    return [
        f"{package.name} needs {requirement}, the base has {layer[name]}"
        for package in child.packages.values()
        for requirement in package.requires
        if (name := str(canonicalize_name(requirement.name))) in layer
        and not requirement.specifier.contains(layer[name], prereleases=True)
    ]


def write_pth(site_packages: Path, base: Base) -> None:
    """Make a child environment see the packages of its base, behind its own.

    ``addsitedir`` rather than plain lines: it also follows the base's own ``.pth`` files.
    """
    lines = [f"import site; site.addsitedir({path!r})\n" for path in base.paths]
    (site_packages / PTH).write_text("".join(lines), encoding="utf-8")
