"""What changes between neighbouring releases along each axis: "passes in A, fails from B on"."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.report.boxes import Seen, change_between
from harness.report.columns import label, labels_of
from harness.report.views import Difference, Row
from harness.store.outcome import Status
from harness.store.records import CellRecord, RunRecord
from harness.verdict.compare import Change

TOLD = {Change.REGRESSION, Change.FIXED, Change.CHANGED_FAILURE}
Lookup = Mapping[tuple[str, str], Seen]  # (scenario, cell id) -> what was seen


@dataclass(frozen=True)
class Stretch:
    """Neighbouring labels of an axis that say the same."""

    first: str
    last: str
    seen: Seen


def differences(run: RunRecord, rows: Sequence[Row], seen: Lookup) -> tuple[Difference, ...]:
    """Return every change along every axis, one sentence each; settings of the other axes that agree are merged."""
    found: list[Difference] = []
    for axis in run.axes:
        lines = _lines(run, axis)
        for row in rows:
            per_line = [(where, _changes(axis, row, cells, seen)) for where, cells in lines.items()]
            found += _merge(per_line)
    return tuple(found)


def _lines(run: RunRecord, axis: str) -> dict[tuple[str, ...], list[tuple[str, CellRecord]]]:
    """Return, per setting of the other axes, the cells along ``axis`` in the matrix's order."""
    others = [each for each in run.axes if each != axis]
    order = labels_of(run, axis)
    lines: dict[tuple[str, ...], list[tuple[str, CellRecord]]] = {}
    for cell in sorted(run.cells, key=lambda each: order.index(label(each, axis))):
        where = tuple(f"{other} {label(cell, other) or '–'}" for other in others)
        lines.setdefault(where, []).append((label(cell, axis) or "–", cell))
    return {where: cells for where, cells in lines.items() if len(cells) > 1}


def _changes(axis: str, row: Row, cells: Sequence[tuple[str, CellRecord]], seen: Lookup) -> list[Difference]:
    stretches = _stretches([(name, seen[row.scenario, cell.id]) for name, cell in cells])
    pairs = itertools.pairwise(stretches)
    made = [_difference(axis, row, before, after, lasting=after is stretches[-1]) for before, after in pairs]
    return [each for each in made if each.change in TOLD]


def _stretches(results: Sequence[tuple[str, Seen]]) -> list[Stretch]:
    """Join neighbours that say the same; what gives no answer (skip, miss, error, flaky) is passed over.

    So is a cell in which nothing could be started: it says nothing about the scenario, and is told once, as a cell.
    """
    found: list[Stretch] = []
    for name, seen in results:
        outcome = seen.result.outcome
        if outcome is None or outcome.status not in {Status.PASS, Status.FAIL} or seen.applies_to == "cell":
            continue
        if found and change_between(found[-1].seen, seen) is Change.SAME:
            found[-1] = replace(found[-1], last=name)
        else:
            found.append(Stretch(name, name, seen))
    return found


def _difference(axis: str, row: Row, before: Stretch, after: Stretch, *, lasting: bool) -> Difference:
    change = change_between(before.seen, after.seen)
    culprit = before.seen.signature if change is Change.FIXED else after.seen.signature
    span = f"from {after.first} on" if lasting else f"in {after.first}"
    if not lasting and after.last != after.first:
        span = f"from {after.first} to {after.last}"
    sentence = {
        Change.REGRESSION: f"passes in {before.last}, fails {span}",
        Change.FIXED: f"fails in {before.last}, passes {span}",
        Change.CHANGED_FAILURE: f"fails in {before.last} and in another way {span}",
    }.get(change, str(change))
    return Difference(
        axis=axis,
        scenario=row.scenario,
        report_row=row.report_row,
        before=before.last,
        after=after.first,
        change=change,
        sentence=sentence,
        cause=culprit.key if culprit else "",
        tracker=culprit.tracker if culprit else None,
    )


def _merge(per_line: Sequence[tuple[tuple[str, ...], list[Difference]]]) -> list[Difference]:
    """Say once what holds for every setting of the other axes, else name the settings it holds for."""
    places: dict[Difference, list[str]] = {}
    for where, changes in per_line:
        for change in changes:
            places.setdefault(change, []).append(", ".join(where))
    return [
        change if len(where) == len(per_line) else replace(change, where=tuple(where))
        for change, where in places.items()
    ]
