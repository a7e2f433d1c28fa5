"""Run the program that writes checkpoints, in its pinned environment or in an interpreter of the user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.envs.build import build
from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, resolve_cells
from harness.envs.usage_locks import UsageLocks
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import Cell, Pin
from harness.reporter import Reporter

VARIABLE = "HARNESS_BUILDER_PYTHON"  # an interpreter with the packages of builder.txt, in any version
BUILD_SECONDS = 3600.0
ASK_SECONDS = 60.0
ASK_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
def found(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
print(json.dumps({name: found(name) for name in sys.argv[1:]}))
"""
WATCHED_BUILDER = """
import os, runpy, sys, threading
pipe, empty = os.dup(0), os.open(os.devnull, os.O_RDONLY)
os.dup2(empty, 0)  # a question on standard input fails instead of waiting
os.close(empty)
def end_with_the_harness():
    os.read(pipe, 1)
    os._exit(1)
threading.Thread(target=end_with_the_harness, daemon=True).start()
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""  # not in the files of the builder: the names of all checkpoints depend on their content


def builder_cell(folder: Path) -> Cell:
    """Return the pins of ``builder.txt`` as a cell, to be locked and built."""
    pins = tuple(Pin(name, version, f"{name}=={version}") for name, version in builder_packages(folder).items())
    return Cell(python=f"{sys.version_info.major}.{sys.version_info.minor}", pins=pins)


def builder_packages(folder: Path) -> dict[str, str]:
    """Return package → version of ``builder.txt``."""
    lines = (folder / "builder.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return {name: version for name, _, version in (requirement.partition("==") for requirement in requirements)}


def builder_python(
    folder: Path,
    cache_dir: CacheDir,
    log: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    usage_locks: UsageLocks | None = None,
) -> Path:
    """Return the interpreter of ``HARNESS_BUILDER_PYTHON``, else that of the pinned environment, which is built.

    ``usage_locks`` protects that environment from removal.

    Raises:
        ConfigError: the named interpreter does not start, or lacks a package.
        InfrastructureError: the pinned environment cannot be resolved or built.
    """
    if environ.get(VARIABLE):
        return named_python(environ[VARIABLE], folder, VARIABLE)
    cell, bundle = builder_cell(folder), opened_bundle()
    found = resolve_cells([cell], cache=cache_dir.locks, jobs=1) if bundle is None else bundle.locks([cell])
    lock = found[cell.id]
    if not isinstance(lock, Lock):
        advice = f"; set {VARIABLE} to an interpreter that has {', '.join(builder_packages(folder))}"
        raise InfrastructureError(
            f"the environment that builds checkpoints cannot be resolved: {lock.sentence.rstrip('.')}{advice}"
        )

    if usage_locks is not None:
        usage_locks.acquire(cache_dir.envs / lock.hash)
    return build(lock, cache_dir.envs, log).python


def named_python(text: str, folder: Path, source: str) -> Path:
    """Return the interpreter of a path, or of a command on the PATH.

    Raises:
        ConfigError: there is none, or it lacks a package of ``builder.txt``; the sentence begins with ``source``.
    """
    program = shutil.which(os.path.expanduser(text))
    if program is None:
        raise ConfigError(f"{source}: there is no interpreter {text}")
    try:
        done = subprocess.run(
            [program, "-c", ASK_VERSIONS, *builder_packages(folder)],
            capture_output=True,
            text=True,
            check=True,
            timeout=ASK_SECONDS,
        )
        versions: dict[str, str | None] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ConfigError(f"{source}: {text} is not a Python interpreter that starts") from error

    missing = [name for name, version in versions.items() if version is None]
    if missing:
        raise ConfigError(f"{source}: {text} has no {' and no '.join(missing)}")
    return Path(program).absolute()


def run_builder(command: Sequence[str], names: Sequence[str], log: Path, echo: Reporter) -> None:
    """Run the builder; it ends when the harness ends.

    Args:
        command: an interpreter, a Python file and its arguments.
        names: the checkpoints. A line of progress begins with one of them and a colon.
        log: the file for all output.
        echo: receives the lines of progress.

    Raises:
        InfrastructureError: it failed, or took longer than an hour; the sentence has its last line.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last = ""
    with log.open("w", encoding="utf-8") as output:
        process = _start(command)
        watch = threading.Timer(BUILD_SECONDS, process.kill)
        watch.start()
        try:
            for line in process.stdout or ():
                output.write(line)
                output.flush()
                last = line.strip() or last
                if line.partition(": ")[0] in names:
                    echo(line.strip())
            code = process.wait()
        finally:
            watch.cancel()
            process.kill()  # after an interrupt; finished shards are kept
            process.communicate()

    if code:
        raise InfrastructureError(f"the checkpoints could not be built: {last or f'exit code {code}'} ({log})")


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    program, *arguments = command
    try:
        return subprocess.Popen(
            [program, "-c", WATCHED_BUILDER, *arguments],
            stdin=subprocess.PIPE,  # its end tells the builder that the harness has ended
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise InfrastructureError(f"the checkpoints could not be built: {error}") from error
