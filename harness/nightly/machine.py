"""What may move a measurement and is no release: driver, kernel, clocks, memory in use, other processes. No names."""

from __future__ import annotations

import hashlib
import platform

import psutil
from pydantic import Field

from harness.runner.gpus import read_gpus, read_operating_states, read_processes
from harness.store.records import Record

MUCH = 1024**3  # bytes more or less free that are worth a word
WARMER = 15  # degrees


class Card(Record):
    """One GPU as the driver describes it; ``mark`` tells two cards apart and names none. Memory in bytes."""

    mark: str
    name: str
    driver: str
    total: int
    used: int
    told: dict[str, str] = Field(default_factory=dict)  # clocks (MHz), power (W), temperature (°C)
    processes: tuple[str, ...] = ()  # programs of others, without their folder


class MachineSnapshot(Record):
    """The machine at one moment. Memory in bytes."""

    kernel: str = ""
    cpus: int = 0
    memory_free: int = 0
    cards: tuple[Card, ...] = ()


def read_machine() -> MachineSnapshot:
    """Ask the system and the driver."""
    states = read_operating_states()
    users = read_processes()
    cards = tuple(
        Card(
            mark=hashlib.sha256(gpu.uuid.encode()).hexdigest()[:8],
            name=gpu.name,
            driver=gpu.driver,
            total=gpu.total,
            used=gpu.used,
            told=states.get(gpu.uuid, {}),
            processes=tuple(sorted(one.name for one in users if one.uuid == gpu.uuid)),
        )
        for gpu in read_gpus()
    )
    free = psutil.virtual_memory().available
    return MachineSnapshot(kernel=platform.release(), cpus=psutil.cpu_count() or 0, memory_free=free, cards=cards)


def changes(before: MachineSnapshot, after: MachineSnapshot) -> tuple[str, ...]:
    """Say what is not as it was, one sentence each."""
    said = []
    if before.kernel != after.kernel:
        said.append(f"kernel {before.kernel or 'unknown'} → {after.kernel}")
    if before.cpus != after.cpus:
        said.append(f"{before.cpus} → {after.cpus} cores")
    if abs(before.memory_free - after.memory_free) > MUCH:
        said.append(f"free host memory {_gib(before.memory_free)} → {_gib(after.memory_free)}")
    if len(before.cards) != len(after.cards):
        said.append(f"{len(before.cards)} → {len(after.cards)} GPUs")
    for number, (old, new) in enumerate(zip(before.cards, after.cards, strict=False)):
        said += [f"GPU {number}: {text}" for text in _card_changes(old, new)]
    return tuple(said)


def _card_changes(old: Card, new: Card) -> list[str]:
    said = []
    if old.name != new.name:
        said.append(f"{old.name} → {new.name}")
    elif old.mark != new.mark:
        said.append(f"another card of the same model ({old.mark} → {new.mark})")
    if old.driver != new.driver:
        said.append(f"driver {old.driver} → {new.driver}")
    said += [
        f"{name} {old.told[name]} → {new.told[name]}"
        for name in sorted(old.told.keys() & new.told.keys())
        if name != "clocks.sm" and old.told[name] != new.told[name] and not _cooler(name, old, new)
    ]
    if abs(old.used - new.used) > MUCH:
        said.append(f"{_gib(old.used)} → {_gib(new.used)} in use before")
    if old.processes != new.processes:
        said.append(f"other processes: {', '.join(old.processes) or 'none'} → {', '.join(new.processes) or 'none'}")
    return said


def _cooler(name: str, old: Card, new: Card) -> bool:
    if name != "temperature.gpu":
        return False
    pair = (old.told[name], new.told[name])
    return not all(text.isdigit() for text in pair) or int(pair[1]) - int(pair[0]) < WARMER


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB"
