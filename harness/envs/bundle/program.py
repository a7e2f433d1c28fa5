"""The harness itself as a part of a bundle: its files, what it needs, and the program that starts it."""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import harness
from harness.envs.bundle import launcher
from harness.envs.bundle.manifest import PROGRAM
from harness.errors import ConfigError
from harness.matrix.places import own_root

DISTRIBUTION = "hf-regression-matrix"
TABLES = {"pandas", "pyarrow"}  # only the two tables need them
START = '#!/bin/sh\nexec python3 "$(dirname "$0")/run.py" "$@"\n'
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def own_requirements(*, tables: bool) -> list[str]:
    """Return what the harness needs on the other machine.

    uv is left out: its program alone is almost as large as a release of transformers, and pip can take its place.

    Raises:
        ConfigError: the harness is neither a checkout nor installed.
    """
    found = [Requirement(line) for line in _declared()]
    kept = [one for one in found if one.name not in TABLES or tables]
    return sorted(f"{one.name}{one.specifier}" for one in kept if not (one.marker and "extra" in str(one.marker)))


def _declared() -> list[str]:
    project = own_root() / "pyproject.toml"
    if project.is_file():
        return list(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"])
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError as missing:
        raise ConfigError("the harness cannot tell what it needs: it is neither a checkout nor installed") from missing


def copy_program(folder: Path) -> None:
    """Copy the harness, its scenarios and matrices into a bundle's folder, and put the programs at its top."""
    package = Path(harness.__file__).resolve().parent
    target = folder / PROGRAM
    shutil.copytree(package, target / "harness", ignore=LEFT_OUT)
    if own_root() == package.parent:
        for name in ("scenarios", "matrices"):
            shutil.copytree(own_root() / name, target / name, ignore=LEFT_OUT)
    shutil.copyfile(launcher.__file__, folder / "run.py")
    start = folder / "run"
    start.write_text(START, encoding="utf-8")
    start.chmod(0o755)


def safe_name(text: str) -> str:
    """Turn a folder's name into one that any file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "own"
