"""What is on the shelves: every definition in every size, with its bytes and who built it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InfrastructureError
from harness.session.checkpoints import Definition, Shelf

SIZES = ("tiny", "full")
RECORD, PART = "builder.json", ".part"


@dataclass(frozen=True)
class Copy:
    """One checkpoint in one size; ``bytes`` is None where it is neither built nor stated."""

    size: str
    folder: Path
    built: bool
    bytes: int | None
    builder: Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """One definition and its copies."""

    definition: Definition
    copies: tuple[Copy, ...]


def entries(shelves: Sequence[Shelf]) -> list[Entry]:
    """Return every definition with its copy on each shelf; the shelves share their definitions."""
    definitions = shelves[0].definitions
    return [Entry(definitions[name], tuple(_copy(shelf, name) for shelf in shelves)) for name in sorted(definitions)]


def _copy(shelf: Shelf, name: str) -> Copy:
    folder, built = shelf.folder(name), shelf.is_built(name)
    size = _bytes_in(folder) if built else shelf.definitions[name].stated.get(shelf.size)
    return Copy(shelf.size, folder, built, size, _record(folder) if built else {})


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file() and path.suffix != PART)


def _record(folder: Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.exists():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def bytes_to_write(shelf: Shelf, names: Sequence[str]) -> int:
    """Return the bytes that building what is missing will add, as far as the definitions state them.

    Raises:
        InfrastructureError: the disk has no room for them.
    """
    needed = 0
    for name in shelf.missing(names):
        begun = shelf.folder(name).with_name(f"building-{shelf.folder(name).name}")
        there = _bytes_in(begun) if begun.exists() else 0  # without the shard that was being written: it is drawn again
        needed += max(0, shelf.definitions[name].stated.get(shelf.size, 0) - there)
    free = free_bytes(shelf.root)
    if needed > free:
        raise InfrastructureError(
            f"{human(needed)} are to be written and {shelf.root} has {human(free)} free:"
            " make room (harness gc --keep SIZE) or name another cache by HARNESS_CACHE"
        )
    return needed


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk on which ``folder`` lies or will lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def human(size: int) -> str:
    """Write bytes for a person: ``7.0 MB``, ``14.19 GiB``."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 10**6:.1f} MB"
