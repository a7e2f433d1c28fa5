"""Read a probe's event file into values: phases, figures, failures, the scenario's notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from harness.store.records import Expectation, Failure

CUDA_FIGURES = (
    "allocated",
    "allocated_peak",
    "reserved",
    "reserved_peak",
    "active",
    "active_peak",
    "device_used",
    "process_used",
    "retries",
)
EMPTIED = ("allocated", "reserved", "device_used")  # read again once the cache was given back
SOURCED = ("device_used", "process_used")


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
    device: str = ""  # cuda or cpu, from the probe's last event or from the figures of its phases
    placements: dict[str, Any] = field(default_factory=dict)
    allocator: dict[str, Any] | None = None
    sources: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    unimported: dict[str, str] = field(default_factory=dict)  # module -> why, of what a fresh interpreter preloads
    failed_files: list[str] = field(default_factory=list)  # file stems of failed collections, as ``failures``
    collected: list[dict[str, Any]] = field(default_factory=list)
    open_phase: Mapping[str, Any] | None = None  # the start of the phase during which it was killed
    phases: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # as the probe wrote them: memory.json

    @property
    def ran_on(self) -> str:
        """Where it ran: ``cuda``, ``cpu``, ``simulated``; empty if the attempt died before that was known."""
        return "simulated" if self.simulated else self.device


def digest(events: Iterable[Mapping[str, Any]]) -> ProbeEvents:
    """Fold the events of one attempt, oldest first."""
    found = ProbeEvents()
    for event in events:
        _apply(found, event)
    return found


def _apply(found: ProbeEvents, event: Mapping[str, Any]) -> None:
    """Apply an event about how the attempt ended; the others are facts about it."""
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
            known = {name: event[name] for name in Expectation.model_fields if name in event}
            found.expectations.append(Expectation.model_validate(known))
        case "collected":
            found.collected.append(dict(event))
        case _:
            _apply_fact(found, event)


def _apply_fact(found: ProbeEvents, event: Mapping[str, Any]) -> None:
    match event.get("event"):
        case "record":
            _record(found, str(event["name"]), event["value"])
        case "simulated":
            found.simulated.append(str(event["what"]))
        case "ran_on":
            found.device = str(event["device"])
        case "placement":
            found.placements[str(event["stage"])] = event["placement"]
        case "allocator":
            found.allocator = event["settings"]
        case "preloaded":
            found.unimported = dict(event["failures"])
        case "versions":
            found.versions = dict(event["versions"])
        case "phase_start":
            found.open_phase = event
        case "phase_end":
            _end_phase(found, event)


def _end_phase(found: ProbeEvents, event: Mapping[str, Any]) -> None:
    found.figures |= phase_figures(found.open_phase or {}, event)
    for device in event.get("cuda", []):
        found.device = "cuda"
        sources = {f"cuda_{name}": str(device.get(f"{name}_source", "")) for name in SOURCED}
        found.sources |= {name: source for name, source in sources.items() if source}
    found.phases[str(event["phase"])] = event
    found.open_phase = None


def _record(found: ProbeEvents, name: str, value: Any) -> None:
    if isinstance(value, (int, float)):
        found.figures[f"x.{name}"] = int(value) if isinstance(value, bool) else value
    else:
        found.notes[name] = value


def phase_figures(start: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, float | int]:
    """Flatten one ``phase_end`` into ``<figure>.<phase>``: seconds, host bytes, CUDA bytes summed over devices.

    ``host_anon_added`` is what the phase itself left behind in anonymous memory. ``cuda_<figure>_emptied`` was read
    after ``empty_cache()``. ``cuda_retries`` counts allocations that had to wait for the cache to be given back.
    With several devices the figures of each one are added as ``cuda<index>_<figure>.<phase>``.
    """
    phase, devices, emptied = event["phase"], event.get("cuda", []), event.get("cuda_emptied", [])
    figures: dict[str, float | int] = {f"seconds.{phase}": event["seconds"]}
    figures |= {f"host_{name}.{phase}": value for name, value in event.get("host", {}).items()}
    if "anon" in event.get("host", {}) and "anon" in start.get("host", {}):
        figures[f"host_anon_added.{phase}"] = event["host"]["anon"] - start["host"]["anon"]
    if not devices:
        return figures
    for name in CUDA_FIGURES:
        having = [device for device in devices if name in device]  # older probes and some drivers lack some
        if len(having) == len(devices):
            figures[f"cuda_{name}.{phase}"] = sum(device[name] for device in having)
        if len(devices) > 1:
            figures |= {f"cuda{device['index']}_{name}.{phase}": device[name] for device in having}

    for name in EMPTIED:
        if emptied and all(name in device for device in emptied):
            figures[f"cuda_{name}_emptied.{phase}"] = sum(device[name] for device in emptied)
    return figures
