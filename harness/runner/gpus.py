"""What the driver says about the GPUs, asked from outside any attempt."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass

FIELDS = ("index", "uuid", "name", "memory.total", "memory.used", "driver_version")
PROCESS_FIELDS = ("gpu_uuid", "pid", "process_name", "used_memory")
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


@dataclass(frozen=True)
class GpuProcess:
    """A process that computes on a GPU: program without its folder, bytes held (None where the driver hides them)."""

    uuid: str
    pid: int
    name: str
    used: int | None


def read_gpus() -> tuple[Gpu, ...]:
    """Ask ``nvidia-smi`` for the cards; empty where there is none or it fails."""
    return parse(_ask(f"--query-gpu={','.join(FIELDS)}"))


def read_processes() -> tuple[GpuProcess, ...]:
    """Ask ``nvidia-smi`` who computes on the cards; in a container it may list nobody though memory is in use."""
    return parse_processes(_ask(f"--query-compute-apps={','.join(PROCESS_FIELDS)}"))


def _ask(question: str) -> str:
    program = _program()
    if program is None:
        return ""
    command = [program, question, "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def parse(text: str) -> tuple[Gpu, ...]:
    """Read the comma-separated answer; lines with figures that are not numbers (``[N/A]``) are passed over.

    So are lines of another form: a card that fell off its bus is told in a sentence.
    """
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != len(FIELDS):
            continue
        index, uuid, name, total, used, driver = parts
        if index.isdigit() and total.isdigit() and used.isdigit():
            found.append(Gpu(int(index), uuid, name, int(total) * MIB, int(used) * MIB, driver))
    return tuple(found)


def parse_processes(text: str) -> tuple[GpuProcess, ...]:
    """Read the comma-separated answer; a program's name may hold commas itself."""
    found = []
    for line in text.splitlines():
        uuid, _, rest = line.partition(",")
        pid, _, rest = rest.partition(",")
        name, _, used = rest.rpartition(",")
        if pid.strip().isdigit():
            program = name.strip().replace("\\", "/").rsplit("/", 1)[-1]
            held = int(used) * MIB if used.strip().isdigit() else None
            found.append(GpuProcess(uuid.strip(), int(pid), program, held))
    return tuple(found)


@functools.cache
def _program() -> str | None:
    return shutil.which("nvidia-smi")
