"""Compare forked attempts with those in fresh interpreters: same outcomes, same figures within noise. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from harness.store.records import AttemptRecord
from harness.verdict.compare import figure_changed

ABSOLUTE_BYTES = 128 * 1024 * 1024  # of memory: the largest of 66 pairs on a 2-core CPU host differed by 67 MiB
RELATIVE = 0.05  # transformers 5 loads with threads: CUDA reserved memory varies by up to 4 %
COMPARED = ("cuda_", "x.", "host_anon_added.")  # seconds and resident totals differ by design
NOT_OURS = ("device_used", "process_used")  # the driver counts neighbours, and contexts that grow with libraries


def isolation_differences(attempts: Iterable[AttemptRecord]) -> list[str]:
    """Return one sentence per scenario and figure that depends on the isolation, and per cell that never forked.

    Empty only when there was something to compare and none of it differs.
    """
    places: dict[tuple[str, str], dict[str, list[AttemptRecord]]] = {}
    for attempt in attempts:
        if attempt.isolation:
            place = places.setdefault((attempt.cell, attempt.scenario), {})
            place.setdefault(attempt.isolation, []).append(attempt)
    found = []
    for (cell, scenario), ways in places.items():
        if {"fork", "spawn"} <= ways.keys():
            found += [f"{cell} {scenario}: {text}" for text in _differences(ways["fork"], ways["spawn"])]
    for cell in dict.fromkeys(cell for cell, _ in places):
        ways_seen = {way for (where, _), ways in places.items() if where == cell for way in ways}
        if len(ways_seen) == 1:
            found.append(f"{cell}: every attempt ran by {ways_seen.pop()}, nothing could be compared")
    return found or ([] if places else ["no attempt ran, nothing could be compared"])


def _differences(forked: Sequence[AttemptRecord], fresh: Sequence[AttemptRecord]) -> list[str]:
    outcomes = [sorted({str(attempt.outcome) for attempt in way}) for way in (forked, fresh)]
    if outcomes[0] != outcomes[1]:
        return [f"{' and '.join(outcomes[0])} by fork, {' and '.join(outcomes[1])} in a fresh interpreter"]
    found = []
    names = {
        name
        for attempt in forked
        for name in attempt.figures
        if name.startswith(COMPARED) and not any(part in name for part in NOT_OURS)
    }
    for name in sorted(names):
        before, after = (
            [attempt.figures[name] for attempt in way if name in attempt.figures] for way in (forked, fresh)
        )
        if not after or figure_changed(median(before), median(after), absolute=_bound(name), relative=RELATIVE):
            found.append(f"{name} is {before} by fork, {after} in a fresh interpreter")
    return found


def _bound(name: str) -> float:
    return ABSOLUTE_BYTES if name.startswith(("cuda_", "host_")) else 1e-6
