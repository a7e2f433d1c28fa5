"""What a night is held against beside the last one: the baseline of its matrix, and what was accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError
from harness.nightly.look import Look, Place
from harness.nightly.looks import look_of_box
from harness.session.boxes import boxes_of
from harness.store.baseline import current
from harness.store.folder import RunFolder, find
from harness.verdict.accepted import with_accepted
from harness.verdict.box import Entry, Kind
from harness.verdict.comparison import compare_sides
from harness.verdict.known import KnownIssue

UNSAID = {Kind.DISAPPEARED, Kind.MISSING}  # a night runs what changed: what it did not run is carried, not gone


@dataclass(frozen=True)
class Held:
    """The baseline's looks (None: no baseline is set), what was accepted and why, and the differences in words."""

    run: str = ""
    looks: Mapping[Place, Look] | None = None
    accepted: Mapping[Place, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    note: str = ""


def held(folder: RunFolder, reports: Path, matrix: str, issues: Sequence[KnownIssue]) -> Held:
    """Compare a run with the baseline of its matrix, by the rules of ``harness compare``.

    Raises:
        ConfigError: the file of the baselines cannot be read.
    """
    baseline = current(reports, matrix)
    if baseline is None:
        return Held()
    try:
        before = boxes_of(find(baseline.run, reports))
    except HarnessError as error:
        return Held(run=baseline.run, note=f"the baseline {baseline.run} cannot be read: {error}")
    entries = with_accepted(compare_sides(before, boxes_of(folder), issues), baseline.accepted)
    told = [entry for entry in entries if entry.kind not in UNSAID]
    return Held(
        run=baseline.run,
        looks={place: look_of_box(box) for place, box in before.items() if not box.outcomes.missing},
        accepted={(entry.line, entry.scenario): entry.accepted for entry in entries if entry.accepted},
        said=tuple(map(_said, told)),
    )


def _said(entry: Entry) -> str:
    accepted = f" (accepted: {entry.accepted})" if entry.accepted else ""
    return f"{entry.kind}: {entry.line} · {entry.scenario}: {entry.detail}{accepted}"
