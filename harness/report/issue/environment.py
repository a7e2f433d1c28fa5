"""The environment of the failing cell: the table that bug templates ask for, and its memory by phase."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from packaging.version import InvalidVersion, Version

from harness.matrix.git import DEFAULT_REPOSITORIES
from harness.report.issue.model import MemoryPhase
from harness.report.issue.wording import RAN_ON
from harness.report.model import Figure, TableCell
from harness.search.links import COMPANIONS
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord
from harness.verdict.figures import figure_name, human, human_bytes

NOTABLE = (*DEFAULT_REPOSITORIES, *COMPANIONS)  # packages that maintainers ask for first
MEASURES = ("allocated", "allocated_peak", "reserved", "reserved_peak")
ABOUT_MEMORY = re.compile(r"memory|reserved|allocated|peak|footprint", re.IGNORECASE)
OUT_OF_MEMORY = ("oom", "host_oom")


def system(run: RunRecord, cell: CellRecord, result: TableCell) -> tuple[tuple[str, str], ...]:
    """Return the rows of ``transformers env``, of what was really installed, without names of the machine."""
    host = host_of(run, cell.id)
    rows = [*notable_versions(cell), ("Python", cell.python), ("platform", host.platform)]
    rows += [("CUDA of the torch build", cuda_of(cell.versions)), ("GPU", gpu_names(host))]
    rows += [("GPU driver", host.gpus[0].driver)] if host.gpus else []
    rows += [(name, value or "(empty)") for name, value in cell.variables.items()]
    rows += [("the attempt ran", RAN_ON.get(result.ran_on, result.ran_on))]
    return tuple((name, value) for name, value in rows if value)


def notable_versions(cell: CellRecord) -> list[tuple[str, str]]:
    """Return name and version of the pinned packages, and of others that maintainers ask for first."""
    names = dict.fromkeys((*cell.pins, *(name for name in NOTABLE if name in cell.versions)))
    found = installed(cell)
    return [(name, found.get(name, cell.pins.get(name, ""))) for name in names]


def installed(cell: CellRecord) -> dict[str, str]:
    """Return package → version, with the label of a pin that is no release: two commits may share a version."""
    return {name: _labelled(version, cell.pins.get(name, version)) for name, version in cell.versions.items()}


def _labelled(version: str, label: str) -> str:
    try:
        Version(label)
    except InvalidVersion:
        return f"{version} ({label})"
    return version


def cuda_of(versions: Mapping[str, str]) -> str:
    """Return the CUDA version for which torch was built: from its version (``+cu128``), else from its runtime."""
    local = versions.get("torch", "").partition("+")[2]
    built = re.fullmatch(r"cu(\d+)(\d)", local)
    if built:
        return f"{built[1]}.{built[2]}"
    if local:
        return f"none ({local})"
    runtime = [version for name, version in versions.items() if re.fullmatch(r"nvidia-cuda-runtime(-cu\d+)?", name)]
    return runtime[0] if runtime else ""


def host_of(run: RunRecord, cell: str) -> HostRecord:
    """Return the machine on which a cell ran; the parts of a merged run have their own."""
    return next((part.host for part in run.parts if cell in part.cells), run.host)


def gpu_names(host: HostRecord) -> str:
    """Return the GPUs of a machine with their number and memory."""
    names = [f"{gpu.name}, {human_bytes(gpu.memory_bytes)}" for gpu in host.gpus]
    return "; ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names)) or "none"


def machine_of(run: RunRecord, result: TableCell) -> str:
    """Return on what a result was obtained, in a merged run with the GPU; empty if unknown."""
    ran_on = RAN_ON.get(result.ran_on, "")
    if not run.parts:
        return ran_on
    gpus = host_of(run, result.cell).gpus
    return f"{ran_on} ({gpus[0].name}, driver {gpus[0].driver})" if gpus else f"{ran_on} (no GPU)"


def memory(failing: Sequence[Figure], passing: Sequence[Figure], attempt: AttemptRecord) -> tuple[MemoryPhase, ...]:
    """Return the memory of each phase in both cells, if the failed attempt is about memory."""
    if not _about_memory(attempt):
        return ()
    other = {(each.name, each.phase): human(each.value, each.unit) for each in passing}
    return tuple(
        MemoryPhase(
            each.phase,
            figure_name(each.name),
            human(each.value, each.unit),
            other.get((each.name, each.phase), ""),
        )
        for each in failing
        if _is_memory(each.name)
    )


def _is_memory(name: str) -> bool:
    source, _, measure = name.partition("_")
    return name == "host_anon_peak" or (source.startswith("cuda") and measure in MEASURES)


def _about_memory(attempt: AttemptRecord) -> bool:
    broken = [each for each in attempt.expectations if not each.held]
    expected = any(each.about == "memory" or ABOUT_MEMORY.search(each.text) for each in broken)
    return expected or attempt.outcome.reason in OUT_OF_MEMORY
