"""Known issues in the report: a box's standing, and what is announced at the top."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.facts import Entry, Known
from harness.report.views import Announcement, Column, Row
from harness.store.outcome import Outcome
from harness.store.records import CellRecord
from harness.verdict.known import KnownIssue, State, standing


def known(
    issues: Sequence[KnownIssue], scenario: str, cell: CellRecord, outcome: Outcome | None, names: Sequence[str]
) -> Known | None:
    """Return what a box says about the known issues; ``names`` are those its failure goes by."""
    found = standing(issues, scenario, cell.versions, outcome, names)
    return Known(found.state, _entry(found.issue)) if found else None


def announcements(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Announcement, ...]:
    """Return, one per entry and state, the issues that did not show or that showed in another way; gone ones first."""
    names = {column.id: column.name for column in columns}
    found: dict[Known, list[tuple[str, str]]] = {}
    for row in rows:
        for box in row.boxes:
            if box.known is not None and box.known.state is not State.KNOWN:
                found.setdefault(box.known, []).append((names[box.cell], row.scenario))
    made = [
        Announcement(
            state=told.state,
            entry=told.entry,
            cells=tuple(dict.fromkeys(cell for cell, _ in places)),
            scenarios=tuple(dict.fromkeys(scenario for _, scenario in places)),
        )
        for told, places in found.items()
    ]
    return tuple(sorted(made, key=lambda each: each.state is not State.GONE))


def _entry(issue: KnownIssue) -> Entry:
    return Entry(
        tracker=issue.tracker,
        scenario=issue.scenario,
        signature=issue.signature,
        versions=", ".join(f"{package} {wanted}" for package, wanted in issue.versions.items()),
        note=issue.note,
        review_by=issue.review_by.isoformat() if issue.review_by else "",
    )
