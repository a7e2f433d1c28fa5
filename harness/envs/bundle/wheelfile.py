"""Rewrite wheels for a bundle: stored instead of deflated, so that the archive around them can compress across them.

A wheel is a zip file. Its members stay what they are, byte for byte, so that ``RECORD`` holds; their order, times and
modes are made the same every time. Thinning takes members out, and their lines out of ``RECORD``.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import ConfigError

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip file can tell
CUDA_LIBRARY = re.compile(r"bitsandbytes/libbitsandbytes_(cuda|rocm|xpu|hip|mps)(\w*)\.(so|dll|dylib)")


def store(wheel: Path, target: Path, keep: Callable[[str], bool] = lambda name: True) -> None:
    """Write ``wheel`` to ``target`` uncompressed, with the members that ``keep`` allows.

    Raises:
        ConfigError: the file is not a wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as source:
            names = sorted(name for name in source.namelist() if not name.endswith("/") and keep(name))
            record = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name))
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as sink:
                for name in [*(name for name in names if name != record), record]:  # RECORD last, as wheels have it
                    content = source.read(name)
                    mode = source.getinfo(name).external_attr >> 16 & 0o111
                    sink.writestr(_entry(name, mode), _kept(content, set(names)) if name == record else content)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise ConfigError(f"{wheel.name} is not a wheel: {error or 'it has no RECORD'}") from error


def _entry(name: str, executable: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3  # Unix, whatever machine makes the bundle
    entry.external_attr = (0o100644 | executable) << 16
    return entry


def _kept(record: bytes, names: set[str]) -> bytes:
    """Take lines of members that are gone out of ``RECORD``; the bytes stay where none is."""
    rows = list(csv.reader(io.StringIO(record.decode("utf-8"))))
    left = [row for row in rows if row and row[0] in names]
    if len(left) == len(rows):
        return record
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(left)
    return text.getvalue().encode("utf-8")


def one_cuda(wheel: Path, cuda: str) -> Callable[[str], bool]:
    """Return what to keep of a bitsandbytes wheel for one CUDA version (``130``): that library and the CPU's.

    Raises:
        ConfigError: the wheel has no library for that version; those it has are in the sentence.
    """
    with zipfile.ZipFile(wheel) as source:
        found = [match for name in source.namelist() if (match := CUDA_LIBRARY.fullmatch(name))]
    versions = [match[2] for match in found if match[1] == "cuda"]
    if cuda not in versions:
        has = ", ".join(sorted(versions)) or "none"
        raise ConfigError(f"--cuda {cuda}: {wheel.name} has no library for it; it has {has}")

    def keep(name: str) -> bool:
        match = CUDA_LIBRARY.fullmatch(name)
        return match is None or (match[1], match[2]) == ("cuda", cuda)

    return keep
