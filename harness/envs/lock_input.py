"""What a resolution depends on, gathered into one value with one digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from harness.envs.interpreters import find_interpreter
from harness.envs.pip_config import Carried, local_folder
from harness.errors import ConfigError
from harness.matrix.base import InterpreterMissing, read_base
from harness.matrix.cell import Cell

PROBE_REQUIREMENTS = ("pytest>=8", "pytest-json-report>=1.5")  # what the probe imports inside a cell
INPUT_VERSION = 1  # raise it when a cached resolution must not be used any more
UNIMPORTANT = {  # uv's variables that change how it works, not what it finds
    "UV",
    "UV_CACHE_DIR",
    "UV_COMPILE_BYTECODE",
    "UV_CONCURRENT_BUILDS",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_CONCURRENT_INSTALLS",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_LINK_MODE",
    "UV_NO_PROGRESS",
    "UV_OFFLINE",
    "UV_PYTHON",
    "UV_PYTHON_DOWNLOADS",
}
LEFT_OUT = {".git", "__pycache__", "build", "dist", ".venv", ".nox", ".tox", ".mypy_cache", ".pytest_cache"}


@dataclass(frozen=True)
class LockInput:
    """Everything that decides how a cell is resolved.

    ``layer`` is the name → version of what the base keeps, ``contents`` a digest for each folder a pin names,
    ``settings`` what uv is told about indexes.
    """

    requirements: tuple[str, ...]
    pinned: tuple[str, ...]
    python: str
    full_python: str | None
    program: str | None
    platform: str
    as_of: str | None
    base: str | None
    layer: tuple[tuple[str, str], ...]
    contents: tuple[tuple[str, str], ...]
    settings: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Name this input; the interpreter's place does not matter, its version does."""
        content = {**asdict(self), "program": None, "version": INPUT_VERSION}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def gather(cell: Cell, carried: Carried, environ: Mapping[str, str]) -> LockInput:
    """Gather the input of one cell's resolution.

    Raises:
        ConfigError: a pin is not a requirement, ``as_of`` no date, a folder or a base package is not there.
        InterpreterMissing: the base interpreter does not start.
    """
    own = [pin for pin in cell.pins if not pin.installed]
    kept = [pin.package for pin in cell.pins if pin.installed]
    base = cell.base_python if kept else None  # a cell that takes nothing from the base is built without it
    if kept and base is None:
        raise ConfigError(f'{kept[0]} = "installed" needs a base interpreter, and this matrix names none')
    layer = {} if base is None else read_base(base).layer(kept)
    full, program = _interpreter(cell.python, base)
    return LockInput(
        requirements=tuple(sorted(pin.requirement for pin in own)) + PROBE_REQUIREMENTS,
        pinned=tuple(sorted(pin.package for pin in own)),
        python=cell.python,
        full_python=full,
        program=program,
        platform=sysconfig.get_platform(),
        as_of=until(cell.as_of),
        base=base,
        layer=tuple(layer.items()),
        contents=tuple(_contents(pin.requirement) for pin in own if _folder(pin.requirement)),
        settings=index_settings(carried, environ),
    )


def _interpreter(python: str, base: str | None) -> tuple[str | None, str | None]:
    """Resolve with the interpreter that will be used; without one a plan is still possible."""
    try:
        found = find_interpreter(python, base)
    except InterpreterMissing:
        if base is not None:
            raise
        return None, None
    return found.version, str(found.path)


def until(as_of: str | None) -> str | None:
    """Return the first moment (UTC, RFC 3339) that is too late: a day counts whole, a time stands as it is.

    Raises:
        ConfigError: it is neither.
    """
    if as_of is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", as_of):
            moment = datetime.combine(date.fromisoformat(as_of) + timedelta(days=1), time(), UTC)
        else:
            moment = datetime.fromisoformat(as_of)
    except ValueError as error:
        raise ConfigError(f"as_of = {as_of!r} is neither a date (2026-03-01) nor a time in ISO 8601") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _folder(requirement: str) -> Path | None:
    """Return the folder that ``name @ file:///…`` names, None for everything else."""
    try:
        url = Requirement(requirement).url
    except InvalidRequirement as error:
        raise ConfigError(f"not a requirement: {requirement!r} ({error})") from error
    if url is None or not url.startswith("file:"):
        return None
    path = Path(unquote(urlsplit(url).path))
    return path if path.is_dir() else None


def _contents(requirement: str) -> tuple[str, str]:
    folder = _folder(requirement)
    if folder is None:
        raise ConfigError(f"no folder in {requirement!r}")
    return str(canonicalize_name(Requirement(requirement).name)), content_digest(folder)


def content_digest(folder: Path) -> str:
    """Digest the files of a working copy: what git tracks or would track, else all but caches and build results."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _files(folder: Path) -> list[Path]:
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split("\0")
        found = [folder / name for name in listed if name]
    except (OSError, subprocess.SubprocessError):  # no git here, or no repository: look at everything
        found = [path for path in folder.rglob("*") if not _is_left_out(path.relative_to(folder))]
    return sorted(path for path in found if path.is_file())


def _is_left_out(path: Path) -> bool:
    return any(part in LEFT_OUT or part.endswith((".egg-info", ".pyc")) for part in path.parts)


def index_settings(carried: Carried, environ: Mapping[str, str]) -> tuple[str, ...]:
    """List the index settings, and the wheels that local folders offer: a new wheel there is a new input."""
    own = [f"{name}={value}" for name, value in environ.items() if name.startswith("UV_") and name not in UNIMPORTANT]
    added = [f"{name}={value}" for name, value in carried.env if name not in UNIMPORTANT]
    wheels = [name for argument in carried.args for name in _listing(argument)]
    return tuple(sorted({*own, *added, *carried.args, *wheels}))


def _listing(place: str) -> list[str]:
    folder = None if place.startswith("--") else local_folder(place)
    if folder is None or not os.path.isdir(folder):
        return []
    return [name for name in os.listdir(folder) if name.endswith((".whl", ".tar.gz", ".zip"))]
