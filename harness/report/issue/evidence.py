"""In how many cells of how many: counting over the boxes of a report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.report.issue.context import Evidence
from harness.report.views import Box, Group, Row, Word


def evidence(rows: Sequence[Row], key: str, names: Mapping[str, str]) -> tuple[Evidence, ...]:
    """Return one count per scenario that shows the failure ``key`` in any cell; ``names`` maps cell ids to names."""
    return tuple(_count(row, key, names) for row in rows if any(shows(box, key) for box in row.boxes))


def shows(box: Box, key: str) -> bool:
    """Tell whether a box shows the failure: the software failed so, at least in one attempt, and not the whole cell."""
    failed = box.word in {Word.FAIL, Word.FLAKY} and box.applies_to != "cell"
    return failed and box.signature is not None and box.signature.key == key


def place_of(box: Box, key: str) -> str:
    """Sort a box: ``red``, ``flaky``, ``otherwise``, ``green`` or ``unjudged``."""
    if shows(box, key):
        return "flaky" if box.word is Word.FLAKY else "red"
    if box.applies_to == "cell":
        return "unjudged"
    return {Word.PASS: "green", Word.FAIL: "otherwise", Word.FLAKY: "otherwise"}.get(box.word, "unjudged")


def _count(row: Row, key: str, names: Mapping[str, str]) -> Evidence:
    found: dict[str, list[str]] = {name: [] for name in ("red", "flaky", "otherwise", "green", "unjudged")}
    for box in row.boxes:
        found[place_of(box, key)].append(names[box.cell])
    return Evidence(row.scenario, row.title, **{name: tuple(cells) for name, cells in found.items()})


def failures(groups: Sequence[Group], rows: Sequence[Row]) -> tuple[Group, ...]:
    """Return the failures that a draft can be about: those that some scenario shows by itself."""
    return tuple(each for each in groups if any(shows(box, each.key) for row in rows for box in row.boxes))
