"""Read a probe's event file into values: phases, figures, failures, what the scenario said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from harness.store.records import Expectation, Failure

CUDA_FIGURES = ("allocated", "allocated_peak", "reserved", "reserved_peak", "device_used")


@dataclass
class ProbeEvents:
    """What one attempt's probe wrote before it ended or was killed."""

    finished: bool = False
    passed: bool = False
    skip: tuple[str, str] | None = None  # reason code, text
    failures: list[Failure] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    figures: dict[str, float | int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    simulated: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    failed_files: list[str] = field(default_factory=list)  # file stems of failed collections, beside ``failures``
    collected: list[dict[str, Any]] = field(default_factory=list)
    open_phase: Mapping[str, Any] | None = None  # the start of the phase in which it was killed
    phases: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # as the probe wrote them: memory.json


def digest(events: Iterable[Mapping[str, Any]]) -> ProbeEvents:
    """Fold the events of one attempt, oldest first."""
    found = ProbeEvents()
    for event in events:
        _take(found, event)
    return found


def _take(found: ProbeEvents, event: Mapping[str, Any]) -> None:
    match event.get("event"):
        case "finished":
            found.finished = True
        case "passed":
            found.passed = True
        case "skip":
            found.skip = (str(event["reason"]), str(event["text"]))
        case "failure":
            known = {name: event[name] for name in Failure.model_fields if name in event}
            found.failures.append(Failure.model_validate(known))
            found.failed_files.append(PurePath(str(event.get("nodeid", "")).split("::", 1)[0]).stem)
        case "expect":
            found.expectations.append(
                Expectation(text=event["text"], held=event["held"], detail=event.get("detail", ""))
            )
        case "record":
            _record(found, str(event["name"]), event["value"])
        case "simulated":
            found.simulated.append(str(event["what"]))
        case "versions":
            found.versions = dict(event["versions"])
        case "collected":
            found.collected.append(dict(event))
        case "phase_start":
            found.open_phase = event
        case "phase_end":
            found.figures |= phase_figures(found.open_phase or {}, event)
            found.phases[str(event["phase"])] = event
            found.open_phase = None


def _record(found: ProbeEvents, name: str, value: Any) -> None:
    if isinstance(value, (int, float)):
        found.figures[f"x.{name}"] = int(value) if isinstance(value, bool) else value
    else:
        found.notes[name] = value


def phase_figures(start: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, float | int]:
    """Flatten one ``phase_end`` into ``<figure>.<phase>``: seconds, host bytes, CUDA bytes summed over devices.

    ``host_anon_added`` is what the phase itself left behind in anonymous memory.
    With several devices each one's figures stand beside the sums as ``cuda<index>_<figure>.<phase>``.
    """
    phase, devices, emptied = event["phase"], event.get("cuda", []), event.get("cuda_emptied", [])
    figures: dict[str, float | int] = {f"seconds.{phase}": event["seconds"]}
    figures |= {f"host_{name}.{phase}": value for name, value in event.get("host", {}).items()}
    if "anon" in event.get("host", {}) and "anon" in start.get("host", {}):
        figures[f"host_anon_added.{phase}"] = event["host"]["anon"] - start["host"]["anon"]
    if not devices:
        return figures
    for name in CUDA_FIGURES:
        figures[f"cuda_{name}.{phase}"] = sum(device[name] for device in devices)
        if len(devices) > 1:
            figures |= {f"cuda{device['index']}_{name}.{phase}": device[name] for device in devices}
    figures[f"cuda_reserved_emptied.{phase}"] = sum(device["reserved"] for device in emptied)
    return figures
