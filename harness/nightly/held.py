"""Read what a night is held against beside the last one: the baseline of its matrix, and what was accepted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.nightly.against import Held
from harness.nightly.ledger import Ledger
from harness.nightly.looks import look_of_box
from harness.nightly.record import LEDGER, read
from harness.session.sides import BASELINE, open_sides
from harness.store.baseline import current
from harness.store.folder import RunFolder
from harness.verdict.accepted import with_accepted
from harness.verdict.box import Entry, Kind
from harness.verdict.comparison import compare_sides
from harness.verdict.known import KnownIssue

UNSAID = {Kind.DISAPPEARED, Kind.MISSING}  # the night's own claims say what is gone or missing


def held(folder: RunFolder, reports: Path, matrix: str, issues: Sequence[KnownIssue]) -> Held:
    """Compare a run with the baseline of its matrix, by the rules of ``harness compare``.

    What either of them carried stands as the night shows it that ran it.

    Raises:
        ConfigError: the file of the baselines cannot be read.
    """
    baseline = current(reports, matrix)
    if baseline is None:
        return Held()
    try:
        old, new, accepted = open_sides(BASELINE, str(folder.path), reports)
        ledger = read(old.folder.path / LEDGER, Ledger)
    except HarnessError as error:
        return Held(run=baseline.run, note=f"the baseline {baseline.run} cannot be read: {error}")
    entries = with_accepted(compare_sides(old.boxes, new.boxes, issues), accepted)
    told = [entry for entry in entries if entry.kind not in UNSAID]
    return Held(
        run=baseline.run,
        looks={place: look_of_box(box) for place, box in old.boxes.items() if not box.outcomes.missing},
        epoch=ledger.epoch if ledger else "",
        accepted=accepted,
        said=tuple(map(_said, told)),
    )


def _said(entry: Entry) -> str:
    accepted = f" (accepted: {entry.accepted})" if entry.accepted else ""
    return f"{entry.kind}: {entry.line} · {entry.scenario}: {entry.detail}{accepted}"
