"""A folder with the probe alone, so that a cell cannot import the rest of the harness."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import harness

SOURCES = ("__init__.py", "probe")


def probe_path(cache: Path) -> Path:
    """Return a folder for a cell's ``PYTHONPATH`` with ``harness.probe`` only; one copy for each content."""
    package = Path(harness.__file__).parent
    files = sorted(
        path
        for source in SOURCES
        for path in ([package / source] if source.endswith(".py") else (package / source).rglob("*"))
        if path.suffix in {".py", ".ini"}
    )
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    target = cache / digest.hexdigest()[:16]
    if not target.exists():
        _copy(files, package, target)
    return target


def _copy(files: list[Path], package: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent))
    for path in files:
        copy = scratch / "harness" / path.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)

    try:
        scratch.rename(target)
    except OSError:  # another process made the same copy meanwhile
        shutil.rmtree(scratch)
