"""Compare forked attempts with those in fresh interpreters: same outcomes, same figures within noise. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from statistics import median

from harness.store.records import AttemptRecord
from harness.verdict.statistics import exceeds

ABSOLUTE_BYTES = 128 * 1024 * 1024  # of memory: the largest of 66 pairs on a 2-core CPU host differed by 67 MiB
RELATIVE = 0.05  # transformers 5 loads with threads: CUDA reserved memory varies by up to 4 %
COMPARED = re.compile(r"cuda\d*_|x\.|host_anon_added\.")  # seconds and resident totals differ by design
NOT_OURS = re.compile(r"device_used|process_used|seconds$")  # neighbours, contexts that grow with libraries, times
ALLOCATOR = re.compile(r"cuda\d*_(allocated|reserved|active)")  # to the byte, where repeats are


def isolation_differences(attempts: Iterable[AttemptRecord]) -> list[str]:
    """Return one sentence per scenario and figure that depends on the isolation, and for what ran in one way alone.

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
        here = {scenario: ways.keys() for (of, scenario), ways in places.items() if of == cell}
        seen = {way for ways in here.values() for way in ways}
        if len(seen) == 1:
            found.append(f"{cell}: every attempt ran by {seen.pop()}, nothing could be compared")
            continue
        lone = {scenario: next(iter(ways)) for scenario, ways in here.items() if len(ways) == 1}
        found += [f"{cell} {scenario}: ran by {way} alone, nothing could be compared" for scenario, way in lone.items()]
    return found or ([] if places else ["no attempt ran, nothing could be compared"])


def _differences(forked: Sequence[AttemptRecord], fresh: Sequence[AttemptRecord]) -> list[str]:
    outcomes = [sorted({str(attempt.outcome) for attempt in way}) for way in (forked, fresh)]
    if outcomes[0] != outcomes[1]:
        return [f"{' and '.join(outcomes[0])} by fork, {' and '.join(outcomes[1])} in a fresh interpreter"]
    found = []
    names = {name for attempt in (*forked, *fresh) for name in attempt.figures}
    for name in sorted(each for each in names if COMPARED.match(each) and not NOT_OURS.search(each)):
        before, after = (
            [attempt.figures[name] for attempt in way if name in attempt.figures] for way in (forked, fresh)
        )
        if not before or not after or _moved(name, before, after):
            found.append(f"{name} is {before} by fork, {after} in a fresh interpreter")
    return found


def _moved(name: str, before: Sequence[float], after: Sequence[float]) -> bool:
    """Tell whether a figure differs: beyond noise, or at all where the allocator repeats itself in both ways."""
    repeats = all(len(way) > 1 and len(set(way)) == 1 for way in (before, after))
    if repeats and ALLOCATOR.match(name):
        return before[0] != after[0]
    absolute = ABSOLUTE_BYTES if name.startswith(("cuda", "host_", "x.host_")) else 1e-6
    return exceeds(median(before), median(after), absolute=absolute, relative=RELATIVE)
