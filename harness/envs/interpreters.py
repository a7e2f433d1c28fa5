"""Find the Python interpreter of a cell, and connect an environment to its base interpreter."""

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
    """One Python interpreter: its path and its full version (``3.11.7``)."""

    path: Path
    version: str


def find_interpreter(wanted: str, base: str | None = None) -> Interpreter:
    """Return the interpreter of a Python version (``3.11``, ``3.11.7``), or ``base`` if it is given.

    The interpreter of the harness is used if its version matches, else the one that uv finds. Nothing is downloaded.

    Raises:
        InterpreterMissing: there is none, or it does not start.
    """
    if base is not None:
        return ask_version(base)
    if is_version(platform.python_version(), wanted):
        return Interpreter(Path(sys.executable), platform.python_version())
    found = _from_uv(wanted)
    if found is None:
        raise InterpreterMissing(
            f"Python {wanted} is not on this machine: install it, for example with `uv python install {wanted}`"
        )

    return ask_version(found)


def is_version(version: str, wanted: str) -> bool:
    """Return whether a full version is one of ``wanted`` (``3.11.7`` is one of ``3.11``)."""
    return f"{version}.".startswith(f"{wanted}.")


@functools.cache
def ask_version(program: str) -> Interpreter:
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


def unmet_requirements(child: BaseInterpreter, layer: Mapping[str, str]) -> list[str]:
    """Return a sentence for every requirement of the child's packages that the ``layer`` of its base does not meet.

    The resolver does not check packages of the base that are on no index, and ``uv pip check`` sees the child only.
    """
    return [
        f"{package.name} needs {requirement}, the base has {layer[name]}"
        for package in child.packages.values()
        for requirement in package.requires
        if (name := str(canonicalize_name(requirement.name))) in layer
        and not requirement.specifier.contains(layer[name], prereleases=True)
    ]


def write_pth(site_packages: Path, base: BaseInterpreter) -> None:
    """Add the packages of a base to a child environment, behind its own packages.

    ``addsitedir`` also processes the ``.pth`` files of the base, which a plain line would not.
    """
    lines = [f"import site; site.addsitedir({path!r})\n" for path in base.paths]
    (site_packages / PTH).write_text("".join(lines), encoding="utf-8")
