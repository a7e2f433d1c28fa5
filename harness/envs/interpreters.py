"""Find the Python interpreter a cell asks for."""

from __future__ import annotations

import functools
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from harness.envs.uv import find_uv
from harness.matrix.base import BaseInterpreter, InterpreterMissing

PTH = "zz-harness-base.pth"
ASK = "import json, platform, sys; print(json.dumps([sys.executable, platform.python_version()]))"
SECONDS = 60.0


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


def unmet(child: BaseInterpreter, layer: Mapping[str, str]) -> list[str]:
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


def write_pth(site_packages: Path, base: BaseInterpreter) -> None:
    """Make a child environment see the packages of its base, behind its own.

    ``addsitedir`` rather than plain lines: it also follows the base's own ``.pth`` files.
    """
    lines = [f"import site; site.addsitedir({path!r})\n" for path in base.paths]
    (site_packages / PTH).write_text("".join(lines), encoding="utf-8")
