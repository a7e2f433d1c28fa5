"""What the driver says about the GPUs, asked from outside any attempt."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass

FIELDS = ("index", "uuid", "name", "memory.total", "memory.used", "driver_version")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Gpu:
    """One GPU as ``nvidia-smi`` lists it; memory in bytes."""

    index: int
    uuid: str
    name: str
    total: int
    used: int
    driver: str


def read_gpus() -> tuple[Gpu, ...]:
    """Ask ``nvidia-smi``; empty where there is none or it fails."""
    program = _program()
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse(answer.stdout)


def parse(text: str) -> tuple[Gpu, ...]:
    """Read the comma-separated answer; lines with figures that are not numbers (``[N/A]``) are passed over."""
    found = []
    for line in text.splitlines():
        index, uuid, name, total, used, driver = (part.strip() for part in line.split(","))
        if index.isdigit() and total.isdigit() and used.isdigit():
            found.append(Gpu(int(index), uuid, name, int(total) * MIB, int(used) * MIB, driver))
    return tuple(found)


@functools.cache
def _program() -> str | None:
    return shutil.which("nvidia-smi")
