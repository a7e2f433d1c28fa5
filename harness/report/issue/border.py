"""What else differs where a search found the change, and whether it fails there as the draft says. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.boxes import Seen, latest
from harness.report.issue.contrast import Side, changes
from harness.report.issue.words import change_words, counted, listed
from harness.report.views import Group
from harness.search.commits import commit_pin
from harness.store.records import AttemptRecord, CellRecord

ALONE = " No other package differs between these two."


def _at(package: str, name: str, cells: Sequence[CellRecord]) -> CellRecord | None:
    """Return the cell of a release, or of a commit by the beginning of its name: a cell pins the first eight of it."""
    names = {name, commit_pin(package, "", name).label}
    return next((cell for cell in cells if cell.pins.get(package, cell.versions.get(package)) in names), None)


def border_words(package: str, before: str, found: str, cells: Sequence[CellRecord]) -> str:
    """Say what else differs between the two at the border: a release or a commit brings its own requirements."""
    ends = [_at(package, release, cells) for release in (before, found)]
    if ends[0] is None or ends[1] is None or not ends[0].versions or not ends[1].versions:
        return ""
    others = [each for each in changes(Side(ends[1]), Side(ends[0])) if each.name != package]
    if not others:
        return ALONE
    both = [change_words(each) for each in others if each.red and each.green] or [change_words(each) for each in others]
    named = listed(both, 1, len(others))
    return f" With {found} {counted(len(others), 'other package')} resolved otherwise ({named})."


def otherwise_words(
    package: str, release: str, cells: Sequence[CellRecord], attempts: Sequence[AttemptRecord], group: Group
) -> str:
    """Say so where the release or commit found fails in another way than the draft is about."""
    cell = _at(package, release, cells)
    by_scenario: dict[str, list[AttemptRecord]] = {}
    for one in attempts:
        if cell is not None and one.cell == cell.id:
            by_scenario.setdefault(one.scenario, []).append(one)
    found = [Seen(latest(records)).signature for records in by_scenario.values()]
    keys = {each.key for each in found if each is not None}
    if not keys or group.key in keys:
        return ""
    return f" At {release} it fails in another way, though: {'; '.join(sorted(keys))}."
