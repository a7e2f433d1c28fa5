"""Where an attempt ran and where its model lay: from the probe's record to values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.facts import Card, Parameter, Placed, Where
from harness.store.records import AttemptRecord, GpuBefore

NUMBERED = re.compile(r"(.*\.)(\d+)")


def where(attempt: AttemptRecord, gpus: Mapping[str, str]) -> Where | None:
    """Return the machine's side of an attempt, None where there is nothing to say; ``gpus`` maps UUIDs to names."""
    found = Where(
        cards=tuple(_card(each, gpus.get(each.uuid, "GPU")) for each in attempt.gpus_before),
        allocator=tuple((name, _setting(value)) for name, value in (attempt.allocator or {}).items()),
        sources=tuple((name, source) for name, source in attempt.sources.items() if source),
    )
    return None if found == Where() else found


def ran_on(attempt: AttemptRecord) -> str:
    """Return ``cuda``, ``cpu``, ``simulated`` or nothing; records before schema fields were there say only the last."""
    return attempt.ran_on or ("simulated" if attempt.simulated else "")


def placements(attempt: AttemptRecord) -> tuple[Placed, ...]:
    """Return where the model lay, one value a stage, in the order it was told."""
    return tuple(_placed(stage, told) for stage, told in attempt.placements.items() if isinstance(told, Mapping))


def short_names(names: Sequence[str]) -> str:
    """Join names, runs of neighbours that differ in their last number as one: ``model.layers.0–13``."""
    runs: list[tuple[str, int | None, int | None]] = []
    for name in names:
        numbered = NUMBERED.fullmatch(name)
        head, number = (numbered[1], int(numbered[2])) if numbered else (name, None)
        if runs and number is not None and runs[-1][0] == head and runs[-1][2] == number - 1:
            runs[-1] = (head, runs[-1][1], number)
        else:
            runs.append((head, number, number))
    return ", ".join(_run(head, first, last) for head, first, last in runs)


def _run(head: str, first: int | None, last: int | None) -> str:
    if first is None:
        return head or "(everything else)"
    return f"{head}{first}" if first == last else f"{head}{first}–{last}"


def _card(before: GpuBefore, name: str) -> Card:
    others = tuple((_program(each), each.get("used")) for each in before.processes)
    return Card(name, before.total, before.total - before.used, others)


def _program(process: Mapping[str, Any]) -> str:
    """Name a program without its folder, whichever the system."""
    return str(process.get("name", "")).replace("\\", "/").rsplit("/", 1)[-1] or "a process"


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _placed(stage: str, told: Mapping[str, Any]) -> Placed:
    mapped = told.get("hf_device_map")
    histogram = told.get("bytes", {})
    return Placed(
        stage=stage,
        bytes=tuple((device, dtype, size) for device, row in histogram.items() for dtype, size in row.items()),
        largest=tuple(
            Parameter(each["name"], each["dtype"], each["device"], each["bytes"]) for each in told.get("largest", [])
        ),
        unmatched=tuple(told.get("keys_without_module", [])),
        device_map=_by_place(mapped) if isinstance(mapped, Mapping) else None,
        device_map_text="" if mapped is None or isinstance(mapped, Mapping) else str(mapped),
        hooks=tuple(told.get("hooks", {}).items()),
    )


def _by_place(mapped: Mapping[str, object]) -> tuple[tuple[str, int, str], ...]:
    """Turn name → place around: a map of hundreds of layers becomes one line a place."""
    places: dict[str, list[str]] = {}
    for name, place in mapped.items():
        places.setdefault(str(place), []).append(name)
    return tuple((place, len(names), short_names(names)) for place, names in places.items())
