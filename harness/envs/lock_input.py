"""The input of a resolution, as one value with a digest."""

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
from harness.envs.pip_config import UvSettings, local_folder
from harness.errors import ConfigError
from harness.matrix.base import InterpreterMissing, read_base
from harness.matrix.cell import Cell

PROBE_REQUIREMENTS = ("pytest>=8", "pytest-json-report>=1.5")  # imported by the probe inside a cell
INPUT_VERSION = 1  # to be raised when cached resolutions must not be used any more
IRRELEVANT_VARIABLES = {  # variables of uv that do not change its resolutions
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
IGNORED = {".git", "__pycache__", "build", "dist", ".venv", ".nox", ".tox", ".mypy_cache", ".pytest_cache"}


@dataclass(frozen=True)
class LockInput:
    """Everything that a resolution of a cell depends on.

    ``layer`` is name → version of the packages taken from the base, ``contents`` a digest of each folder of a pin,
    ``settings`` are the index settings of uv.
    """

    requirements: tuple[str, ...]
    pinned: tuple[str, ...]
    python: str
    platform: str
    as_of: str | None
    settings: tuple[str, ...]
    full_python: str | None = None
    program: str | None = None
    base: str | None = None
    layer: tuple[tuple[str, str], ...] = ()
    contents: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """Identify this input; the version of the interpreter counts, its path does not."""
        content = {**asdict(self), "program": None, "version": INPUT_VERSION}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def read_lock_input(cell: Cell, uv_settings: UvSettings, environ: Mapping[str, str]) -> LockInput:
    """Return the input of a cell's resolution.

    Raises:
        ConfigError: a pin is not a requirement, ``as_of`` is not a date, a folder or a base package does not exist.
        InterpreterMissing: the base interpreter does not start.
    """
    own = [pin for pin in cell.pins if not pin.installed]
    from_base = [pin.package for pin in cell.pins if pin.installed]
    base = cell.base_python if from_base else None  # a cell that takes nothing from the base is built without it
    if from_base and base is None:
        raise ConfigError(f'{from_base[0]} = "installed" needs a base interpreter, and this matrix names none')
    layer = {} if base is None else read_base(base).layer(from_base)
    full, program = _interpreter(cell.python, base)
    return LockInput(
        requirements=tuple(sorted(pin.requirement for pin in own)) + PROBE_REQUIREMENTS,
        pinned=tuple(sorted(pin.package for pin in own)),
        python=cell.python,
        full_python=full,
        program=program,
        platform=sysconfig.get_platform(),
        as_of=cutoff(cell.as_of),
        base=base,
        layer=tuple(layer.items()),
        contents=tuple(_contents(pin.requirement) for pin in own if _folder(pin.requirement)),
        settings=index_settings(uv_settings, environ),
    )


def _interpreter(python: str, base: str | None) -> tuple[str | None, str | None]:
    """Return version and path of the cell's interpreter; None if it is missing, as a plan does not need it."""
    try:
        found = find_interpreter(python, base)
    except InterpreterMissing:
        if base is not None:
            raise
        return None, None
    return found.version, str(found.path)


def cutoff(as_of: str | None) -> str | None:
    """Return the first moment (UTC, RFC 3339) that is too late: the end of a day, or the time itself.

    Raises:
        ConfigError: it is neither a date nor a time.
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
    """Return the folder of ``name @ file:///…``, None for any other requirement."""
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
    """Return a digest of a working copy: the files that git tracks or would track, else all but caches and builds."""
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
    except (OSError, subprocess.SubprocessError):  # no git, or not a repository
        parts = {path: path.relative_to(folder).parts for path in folder.rglob("*")}
        found = [path for path, names in parts.items() if not any(map(_is_ignored, names))]
    return sorted(path for path in found if path.is_file())


def _is_ignored(name: str) -> bool:
    return name in IGNORED or name.endswith((".egg-info", ".pyc"))


def index_settings(uv_settings: UvSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the index settings, and the names of wheels in local folders: a new wheel there is a new input."""
    own = [
        f"{name}={value}"
        for name, value in environ.items()
        if name.startswith("UV_") and name not in IRRELEVANT_VARIABLES
    ]
    added = [f"{name}={value}" for name, value in uv_settings.env if name not in IRRELEVANT_VARIABLES]
    wheels = [name for argument in uv_settings.args for name in _local_wheels(argument)]
    return tuple(sorted({*own, *added, *uv_settings.args, *wheels}))


def _local_wheels(argument: str) -> list[str]:
    folder = None if argument.startswith("--") else local_folder(argument)
    if folder is None or not os.path.isdir(folder):
        return []
    return [name for name in os.listdir(folder) if name.endswith((".whl", ".tar.gz", ".zip"))]
