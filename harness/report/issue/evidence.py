"""In how many cells of how many: counting over the boxes of a report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from harness.report.cell_details import Seen, latest
from harness.report.figures import human_bytes
from harness.report.issue.model import Change, Contrast, Evidence
from harness.report.issue.wording import RAN, change_words, counted, listed
from harness.report.model import Box, Group, ReportContext, Row, Word
from harness.search.commits import commit_pin
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord


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


@dataclass(frozen=True)
class ContrastSide:
    """One cell as a contrast sees it.

    ``machine`` says on what it ran, in words; empty: not known. ``place`` is its column in the report.
    """

    cell: CellRecord
    machine: str = ""
    place: int = 0


def closest(red: Sequence[ContrastSide], green: Sequence[ContrastSide]) -> tuple[ContrastSide, ContrastSide] | None:
    """Return the pair with the fewest packages that differ in their whole locks, then the fewest other things.

    Of pairs as close as each other the one whose columns are nearest, then the first; None where one side is empty. A
    cell without a lock is compared with nothing: what it had is not known.
    """
    pairs = [(one, other) for one in red for other in green if one.cell.versions and other.cell.versions]

    def apart(pair: tuple[ContrastSide, ContrastSide]) -> tuple[int, int, int]:
        return *distance(changes(*pair)), abs(pair[0].place - pair[1].place)

    return min(pairs, key=apart, default=None)


def distance(found: Sequence[Change]) -> tuple[int, int]:
    """Count what differs: packages, and everything else."""
    packages = sum(each.kind == "package" for each in found)
    return packages, len(found) - packages


def changes(red: ContrastSide, green: ContrastSide) -> tuple[Change, ...]:
    """Return all that differs: packages (pinned ones first, then those that both have), variables, Python, machine."""
    here, there = red.cell, green.cell
    red_has, green_has = installed(here), installed(there)
    pinned = {*here.pins, *there.pins}
    order = sorted(
        {*here.versions, *there.versions},
        key=lambda name: (name not in pinned, name not in here.versions or name not in there.versions, name),
    )
    found = [Change("package", *each, each[0] in pinned) for each in _differing(order, red_has, green_has)]
    names = sorted({*here.variables, *there.variables})
    found += [Change("variable", *each) for each in _differing(names, here.variables, there.variables)]
    if here.python != there.python:
        found.append(Change("python", "Python", here.python, there.python))
    if red.machine and green.machine and red.machine != green.machine:
        found.append(Change("machine", "machine", red.machine, green.machine))
    return tuple(found)


def installed(cell: CellRecord) -> dict[str, str]:
    """Return package → version; with the pin's label where that is no release: two commits may share a version."""
    return {name: _named(version, cell.pins.get(name, version)) for name, version in cell.versions.items()}


def _named(version: str, label: str) -> str:
    try:
        Version(label)
    except InvalidVersion:
        return f"{version} ({label})"
    return version


def _differing(
    names: Sequence[str], here: Mapping[str, str], there: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    return [(name, here.get(name), there.get(name)) for name in names if here.get(name) != there.get(name)]


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
        sides = {box.cell: ContrastSide(cells[box.cell], machine(run, box), order.index(box.cell)) for box in shown}
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
    others = [each for each in changes(ContrastSide(ends[1]), ContrastSide(ends[0])) if each.name != package]
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
