"""Whether a result of another run answers what is asked now: same environment, source and hardware. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from harness.runner.isolation import Isolation
from harness.session.context import Options
from harness.store.outcome import Reason, Status
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord

JUDGED = {Status.PASS, Status.FAIL, Status.SKIP}
PASSING = {
    Reason.TIMEOUT,
    Reason.INTERRUPTED,
    Reason.GPU_BUSY,
    Reason.NETWORK,
    Reason.HOST_OOM,
}  # may end otherwise today
SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Asked:
    """What is about to be run.

    ``sources`` maps each test function's id to the digest of its source, ``checkpoints`` are those that they name, and
    ``cards`` says how many GPUs an attempt may see (several numbers where slots share them unevenly).
    """

    record: RunRecord
    options: Options
    sources: Mapping[str, str]
    checkpoints: Collection[str]
    cards: Collection[int]


def alike(asked: Asked, theirs: RunRecord) -> bool:
    """Tell whether a run asked the same tests of the same source, on hardware, checkpoints and preloads as ours."""
    mine = asked.record
    digests = {info.id: info.source for info in theirs.scenarios}
    if not all(source and digests.get(name) == source for name, source in asked.sources.items()):
        return False
    if theirs.parts or hardware(mine.host) != hardware(theirs.host):
        return False
    if any(mine.matrix.get(table) != theirs.matrix.get(table) for table in ("checkpoints", "preload")):
        return False
    weights = theirs.matrix.get("checkpoints", {}).get("weights", SYNTHETIC)
    given = bool(asked.checkpoints) and weights != SYNTHETIC  # a folder, or a hub, may hold something else by now
    return bool(asked.sources) and not given and _as_wide(mine, theirs)


def hardware(host: HostRecord) -> tuple[str, tuple[tuple[str, int, str], ...]]:
    """Return what must be equal for two machines to count as one: platform, and model, memory, driver of each GPU."""
    return host.platform, tuple(sorted((gpu.name, gpu.memory_bytes, gpu.driver) for gpu in host.gpus))


def same_cell(mine: CellRecord, theirs: CellRecord) -> bool:
    """Tell whether two cells are one environment, run alike, and judged alike.

    The pinned packages count because a signature names frames of these alone. A lock that builds on a base interpreter
    names that interpreter's place and the version of whatever is taken from it.
    """
    facts = [(one.lock, one.lock_base, one.variables, set(one.pins)) for one in (mine, theirs)]
    return mine.lock is not None and facts[0] == facts[1]


def counts(attempt: AttemptRecord, asked: Asked) -> bool:
    """Tell whether an attempt would end the same way today, as far as anybody can know."""
    if not attempt.attempt or attempt.outcome.status not in JUDGED or attempt.outcome.reason in PASSING:
        return False
    busy = any(gpu.used > asked.options.busy_bytes for gpu in attempt.gpus_before)
    fresh = asked.options.isolation is not Isolation.SPAWN or attempt.isolation == Isolation.SPAWN
    return len(attempt.gpus_before) in asked.cards and not busy and fresh


def _as_wide(mine: RunRecord, theirs: RunRecord) -> bool:
    """Tell whether that run listed every parameter of its tests, as one that names a single parameter does not."""
    named, ours = (one.selection or tuple(one.matrix.get("scenarios", ())) for one in (mine, theirs))
    return named == ours or not any("[" in entry for entry in (*named, *ours))
