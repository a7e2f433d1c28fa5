"""Which red cell a draft describes, and which green one it stands beside. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.boxes import Seen, latest
from harness.report.figures import human_bytes
from harness.report.issue.context import Contrast
from harness.report.issue.contrast import Side, changes, closest, distance, installed
from harness.report.issue.evidence import place_of
from harness.report.issue.words import RAN
from harness.report.views import Box, ReportContext, Row
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord


@dataclass(frozen=True)
class Picked:
    """One scenario in the red cell that is described, and in the closest green one where there is one."""

    row: Row
    red: Box
    cell: CellRecord
    green: Box | None
    contrast: Contrast | None


def pick(run: RunRecord, report: ReportContext, key: str, wanted: tuple[str, str] = ("", "")) -> Picked:
    """Return the scenario and the pair of cells that differ least; without a green cell the first red one.

    ``wanted`` are a red and a green cell (ids) that are taken instead where they show it: a blame's answer.
    """
    cells = {cell.id: cell for cell in run.cells}
    names = {column.id: column.name for column in report.columns}
    order = list(names)
    best: tuple[tuple[int, int], Picked] | None = None
    for row in report.rows:
        places = {
            place: [box for box in row.boxes if place_of(box, key) == place] for place in ("red", "flaky", "green")
        }
        for place, cell in zip(("red", "green"), wanted, strict=True):
            places[place] = [box for box in places[place] if box.cell == cell] or places[place]
        red = places["red"] or places["flaky"]
        if not red:
            continue
        found = Picked(row, red[0], cells[red[0].cell], None, None)
        far = (len(cells) + 10**6, 0)
        shown = (*red, *places["green"])
        sides = {box.cell: Side(cells[box.cell], machine(run, box), order.index(box.cell)) for box in shown}
        pair = closest([sides[box.cell] for box in places["red"]], [sides[box.cell] for box in places["green"]])
        if pair is not None:
            one, other = (next(box for box in row.boxes if box.cell == side.cell.id) for side in pair)
            what = changes(*pair)
            far = distance(what)
            found = Picked(row, one, cells[one.cell], other, Contrast(names[one.cell], names[other.cell], what))
        if best is None or far < best[0]:
            best = (far, found)
    if best is None:
        raise ValueError(f"no box shows {key}")
    return best[1]


def host_of(run: RunRecord, cell: str) -> HostRecord:
    """Return the machine that a cell ran on: the run's, or in a merged run that of its part."""
    return next((part.host for part in run.parts if cell in part.cells), run.host)


def machine(run: RunRecord, box: Box) -> str:
    """Say on what a box ran, so that two boxes can be told apart; in a merged run with its GPU."""
    where = RAN.get(box.ran_on, "")
    if not run.parts:
        return where
    gpus = host_of(run, box.cell).gpus
    return f"{where} ({gpus[0].name}, driver {gpus[0].driver})" if gpus else f"{where} (no GPU)"


def telling(attempts: Sequence[AttemptRecord], scenario: str, cell: str) -> AttemptRecord | None:
    """Return the attempt that a box shows: the scenario's last red one, else its function's, else its file's."""
    for name in (scenario, scenario.split("[", 1)[0], scenario.partition("::")[0]):
        found = [one for one in attempts if one.cell == cell and one.scenario == name]
        if found:
            return Seen(latest(found)).telling
    return None


def gpu_words(host: HostRecord) -> str:
    """Say which GPUs a machine has, without their numbers."""
    names = [f"{gpu.name}, {human_bytes(gpu.memory_bytes)}" for gpu in host.gpus]
    return "; ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names)) or "none"


def telling_versions(cell: CellRecord, wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and version of the packages that a maintainer asks for first: the pinned ones and companions."""
    names = dict.fromkeys((*cell.pins, *(name for name in wanted if name in cell.versions)))
    found = installed(cell)
    return [(name, found.get(name, cell.pins.get(name, ""))) for name in names]
