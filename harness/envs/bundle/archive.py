"""Write a folder as one ``.tar.xz`` whose bytes depend on its content alone."""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

DICTIONARY = 256 * 2**20  # bytes: six stored transformers wheels, so that a release is a few changes to the one before
BLOCK = 4 * 2**20
Place = tuple[int, str, Version, str]


def order(path: str) -> Place:
    """Sort small files first, then wheels by package and version, so that likeness lies near."""
    name = path.rpartition("/")[2]
    try:
        package, version, _, _ = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return 0, path, Version("0"), ""
    return 1, str(package), version, path


def dictionary(size: int) -> int:
    """Return the size of the dictionary (bytes) for so many bytes: not more, for packing takes 12 times it."""
    return min(DICTIONARY, max(2**20, 1 << (size - 1).bit_length()))


def write_archive(folder: Path, target: Path, said: Callable[[int], None] = lambda done: None) -> int:
    """Write everything below ``folder`` into ``target`` and return its size in bytes.

    ``said`` hears, after each file, how many bytes went in. A half-written archive never bears the name ``target``.
    """
    names = sorted((path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()), key=order)
    total = sum((folder / name).stat().st_size for name in names)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": dictionary(total)}]
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
            said(done)
    scratch.replace(target)
    return target.stat().st_size
