"""Write a bundle: the program of the harness, and one ``.tar.xz`` whose bytes depend on its content only."""

from __future__ import annotations

import lzma
import re
import shutil
import tarfile
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

import harness
from harness.envs.bundle import launcher
from harness.envs.bundle.manifest import PROGRAM
from harness.errors import ConfigError
from harness.matrix.paths import install_root
from harness.version import DISTRIBUTION

DICTIONARY = 256 * 2**20  # bytes, as six wheels of transformers: a release is compressed against the one before
BLOCK = 4 * 2**20
TABLES = {"pandas", "pyarrow"}  # needed for the two tables only
START_SCRIPT = '#!/bin/sh\nexec python3 "$(dirname "$0")/run.py" "$@"\n'
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")

ArchivePosition = tuple[int, str, Version, str]


def archive_order(path: str) -> ArchivePosition:
    """Return a sort key: small files first, then wheels by package and version, so that similar files are adjacent."""
    name = path.rpartition("/")[2]
    try:
        package, version, _, _ = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return 0, path, Version("0"), ""
    return 1, str(package), version, path


def dictionary_size(size: int) -> int:
    """Return the size of the dictionary for content of ``size``, in bytes; packing takes 12 times as much memory."""
    return min(DICTIONARY, max(2**20, 1 << (size - 1).bit_length()))


def write_archive(folder: Path, target: Path, report: Callable[[int], None] = lambda done: None) -> int:
    """Write all files below ``folder`` into ``target`` and return its size in bytes.

    ``report`` receives, after each file, the number of bytes written. ``target`` appears when the archive is complete.
    """
    names = sorted(
        (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()), key=archive_order
    )
    total = sum((folder / name).stat().st_size for name in names)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": dictionary_size(total)}]
    scratch = target.with_name(f"{target.name}.part")
    done = 0
    with (
        lzma.open(scratch, "wb", format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=filters) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, bufsize=BLOCK) as tar,
    ):
        for name in names:
            path = folder / name
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)
            done += entry.size
            report(done)

    scratch.replace(target)
    return target.stat().st_size


def own_requirements(*, tables: bool) -> list[str]:
    """Return the requirements of the harness on the other machine.

    uv is left out: it is almost as large as a release of transformers, and pip can replace it.

    Raises:
        ConfigError: the harness is neither a checkout nor installed.
    """
    found = [Requirement(line) for line in _declared_requirements()]
    selected = [one for one in found if one.name not in TABLES or tables]
    return sorted(f"{one.name}{one.specifier}" for one in selected if not (one.marker and "extra" in str(one.marker)))


def _declared_requirements() -> list[str]:
    project = install_root() / "pyproject.toml"
    if project.is_file():
        return list(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"])
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError as missing:
        raise ConfigError("the harness is neither a checkout nor installed: its requirements are unknown") from missing


def copy_program(folder: Path) -> None:
    """Copy the harness, its scenarios and matrices into the folder of a bundle, with the programs that start it."""
    package = Path(harness.__file__).resolve().parent
    target = folder / PROGRAM
    shutil.copytree(package, target / "harness", ignore=LEFT_OUT)
    if install_root() == package.parent:
        for name in ("scenarios", "matrices"):
            shutil.copytree(install_root() / name, target / name, ignore=LEFT_OUT)
    shutil.copyfile(launcher.__file__, folder / "run.py")
    start = folder / "run"
    start.write_text(START_SCRIPT, encoding="utf-8")
    start.chmod(0o755)


def safe_name(text: str) -> str:
    """Return a folder name that is valid on every file system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "own"
