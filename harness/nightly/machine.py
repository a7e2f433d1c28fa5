"""The state of the machine: what can change a measurement besides the software under test. No identifying names."""

from __future__ import annotations

import hashlib
import platform

import psutil
from pydantic import Field

from harness.runner.gpus import read_gpus, read_operating_states, read_processes
from harness.store.records import Record

MEMORY_TOLERANCE = 1024**3  # bytes of free or used memory that may differ without a report
TEMPERATURE_TOLERANCE = 15  # degrees Celsius
CURRENT_CLOCK = "clocks.sm"  # follows the load at the moment of the reading


class GpuSnapshot(Record):
    """One GPU as the driver describes it; ``fingerprint`` distinguishes two GPUs without their serial. Bytes."""

    fingerprint: str = Field(alias="mark")
    name: str
    driver: str
    total: int
    used: int
    readings: dict[str, str] = Field(default_factory=dict, alias="told")  # clocks (MHz), power (W), temperature (°C)
    processes: tuple[str, ...] = ()  # program names of other processes


class MachineSnapshot(Record):
    """The machine at one moment. Memory in bytes."""

    kernel: str = ""
    cpus: int = 0
    memory_free: int = 0
    gpus: tuple[GpuSnapshot, ...] = Field((), alias="cards")


def read_machine() -> MachineSnapshot:
    """Read the state of the system and of its GPUs."""
    states = read_operating_states()
    users = read_processes()
    gpus = tuple(
        GpuSnapshot(
            fingerprint=hashlib.sha256(gpu.uuid.encode()).hexdigest()[:8],
            name=gpu.name,
            driver=gpu.driver,
            total=gpu.total,
            used=gpu.used,
            readings=states.get(gpu.uuid, {}),
            processes=tuple(sorted(one.name for one in users if one.uuid == gpu.uuid)),
        )
        for gpu in read_gpus()
    )
    free = psutil.virtual_memory().available
    return MachineSnapshot(
        kernel=platform.release(),
        cpus=psutil.cpu_count() or 0,
        memory_free=free,
        gpus=gpus,
    )


def describe_changes(before: MachineSnapshot, after: MachineSnapshot) -> tuple[str, ...]:
    """Return a sentence for each difference between two snapshots."""
    lines = []
    if before.kernel != after.kernel:
        lines.append(f"kernel {before.kernel or 'unknown'} → {after.kernel}")
    if before.cpus != after.cpus:
        lines.append(f"{before.cpus} → {after.cpus} cores")
    if abs(before.memory_free - after.memory_free) > MEMORY_TOLERANCE:
        lines.append(f"free host memory {_gib(before.memory_free)} → {_gib(after.memory_free)}")
    if len(before.gpus) != len(after.gpus):
        lines.append(f"{len(before.gpus)} → {len(after.gpus)} GPUs")
    for number, (old, new) in enumerate(zip(before.gpus, after.gpus, strict=False)):
        lines += [f"GPU {number}: {text}" for text in _gpu_changes(old, new)]
    return tuple(lines)


def _gpu_changes(old: GpuSnapshot, new: GpuSnapshot) -> list[str]:
    lines = []
    if old.name != new.name:
        lines.append(f"{old.name} → {new.name}")
    elif old.fingerprint != new.fingerprint:
        lines.append(f"another GPU of the same model ({old.fingerprint} → {new.fingerprint})")

    if old.driver != new.driver:
        lines.append(f"driver {old.driver} → {new.driver}")
    lines += [
        f"{name} {old.readings[name]} → {new.readings[name]}"
        for name in sorted(old.readings.keys() & new.readings.keys())
        if name != CURRENT_CLOCK and old.readings[name] != new.readings[name] and not _is_mild(name, old, new)
    ]
    if abs(old.used - new.used) > MEMORY_TOLERANCE:
        lines.append(f"memory in use {_gib(old.used)} → {_gib(new.used)}")
    if old.processes != new.processes:
        lines.append(f"other processes: {', '.join(old.processes) or 'none'} → {', '.join(new.processes) or 'none'}")
    return lines


def _is_mild(name: str, old: GpuSnapshot, new: GpuSnapshot) -> bool:
    """Tell whether a temperature did not rise by the tolerance or more; false for other readings."""
    if name != "temperature.gpu":
        return False
    pair = (old.readings[name], new.readings[name])
    return not all(text.isdigit() for text in pair) or int(pair[1]) - int(pair[0]) < TEMPERATURE_TOLERANCE


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB"
