"""Group boxes that show one failure: in how many cells, in which scenarios, and where upstream discusses it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.views import Box, Group, Row

Found = tuple[Row, Box]


def groups(rows: Sequence[Row], total_cells: int) -> tuple[Group, ...]:
    """Return one group per failure, the one seen in most cells first."""
    found: dict[str, list[Found]] = {}
    for row in rows:
        for box in row.boxes:
            if box.signature is not None and box.red:
                found.setdefault(box.signature.key, []).append((row, box))
    made = [_group(key, members, total_cells) for key, members in found.items()]
    return tuple(sorted(made, key=lambda group: (-len(group.cells), -len(group.scenarios), group.key)))


def _group(key: str, members: list[Found], total_cells: int) -> Group:
    known = [box.signature for _, box in members if box.signature is not None]
    trackers = [each.tracker for each in known if each.tracker]
    if not trackers:  # no rule knows it: what the scenarios were written for is the next best pointer
        trackers = [row.tracker for row, box in members if row.tracker and box.applies_to == "scenario"]
    return Group(
        key=key,
        word=members[0][1].word,
        rule=known[0].rule,
        summary=known[0].summary,
        ids=tuple(dict.fromkeys(each.id for each in known)),
        trackers=tuple(dict.fromkeys(trackers)),
        cells=tuple(dict.fromkeys(box.cell for _, box in members)),
        scenarios=tuple(dict.fromkeys(row.scenario for row, _ in members)),
        total_cells=total_cells,
    )
