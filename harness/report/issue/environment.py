"""What stands beside the failure: system, memory, the small matrix, and what was not seen or not tried. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from harness.matrix.git import DEFAULT_REPOSITORIES
from harness.matrix.index import kept_releases
from harness.report.figures import figure_name, human
from harness.report.html import BADGES, mark
from harness.report.issue.evidence import Picked, gpu_words, host_of, installed, telling_versions
from harness.report.issue.model import MatrixLine, MemoryPhase, Searched
from harness.report.issue.repository import COMPANIONS, RELEASE
from harness.report.issue.wording import RAN, listed
from harness.report.model import Box, ReportContext, Row, Word
from harness.store.records import AttemptRecord, CellRecord, RunRecord, ScenarioInfo, function_of

MEASURES = ("allocated", "allocated_peak", "reserved", "reserved_peak")


ABOUT_MEMORY = re.compile(r"memory|reserved|allocated|peak|footprint", re.IGNORECASE)


OUT_OF_MEMORY = ("oom", "host_oom")


WIDEST = 6  # scenarios of the small matrix


def system(run: RunRecord, cell: CellRecord, box: Box) -> tuple[tuple[str, str], ...]:
    """Return the table that ``transformers env`` would give, of what was really installed; no name of the machine."""
    host = host_of(run, cell.id)
    rows = [
        *telling_versions(cell, (*DEFAULT_REPOSITORIES, *COMPANIONS)),
        ("Python", cell.python),
        ("platform", host.platform),
    ]
    cuda = cuda_of(cell.versions)
    rows += [("CUDA of the torch build", cuda)] if cuda else []
    rows += [("GPU", gpu_words(host))]
    rows += [("GPU driver", host.gpus[0].driver)] if host.gpus else []
    rows += [(name, value or "(empty)") for name, value in cell.variables.items()]
    rows += [("the attempt ran", RAN.get(box.ran_on, box.ran_on))]
    return tuple((name, value) for name, value in rows if value)


def cuda_of(versions: Mapping[str, str]) -> str:
    """Return which CUDA torch was built for: by its version (``+cu128``), else by the runtime it brings."""
    local = versions.get("torch", "").partition("+")[2]
    built = re.fullmatch(r"cu(\d+)(\d)", local)
    if built:
        return f"{built[1]}.{built[2]}"
    if local:
        return f"none ({local})"
    runtime = [version for name, version in versions.items() if re.fullmatch(r"nvidia-cuda-runtime(-cu\d+)?", name)]
    return runtime[0] if runtime else ""


def memory(picked: Picked, attempt: AttemptRecord | None) -> tuple[MemoryPhase, ...]:
    """Return what each phase took in the red and in the green cell, where the failure is about memory."""
    if attempt is None or not _about_memory(attempt):
        return ()
    green = {(each.name, each.phase): each for each in picked.green.figures} if picked.green else {}
    lines = []
    for each in picked.red.figures:
        source, _, measure = each.name.partition("_")
        if (source.startswith("cuda") and measure in MEASURES) or each.name == "host_anon_peak":
            other = green.get((each.name, each.phase))
            texts = [human(one.value, one.unit) if one else "" for one in (each, other)]
            lines.append(MemoryPhase(each.phase, figure_name(each.name), *texts))
    return tuple(lines)


def _about_memory(attempt: AttemptRecord) -> bool:
    broken = [each for each in attempt.expectations if not each.held]
    told = any(each.about == "memory" or ABOUT_MEMORY.search(each.text) for each in broken)
    return told or attempt.outcome.reason in OUT_OF_MEMORY


def small_matrix(
    report: ReportContext, rows: Sequence[Row], first: Sequence[str]
) -> tuple[tuple[str, ...], tuple[MatrixLine, ...]]:
    """Return the scenarios of the small matrix and its lines, the cells of the contrast (``first``) at the top."""
    shown = rows[:WIDEST]
    lines = [
        MatrixLine(column.name, column.labels, column.reference, tuple(_word(row.boxes[place]) for row in shown))
        for place, column in enumerate(report.columns)
    ]
    order = sorted(range(len(lines)), key=lambda place: (report.columns[place].id not in first, place))
    return tuple(row.scenario for row in shown), tuple(lines[place] for place in order)


def _word(box: Box) -> str:
    words = [f"{box.word.glyph} {box.word}", mark(box), BADGES[box.ran_on] if box.ran_on else "", box.label]
    return " ".join(word for word in words if word)


def green_here(report: ReportContext, scenario: str, cell: str, infos: Mapping[str, ScenarioInfo]) -> tuple[str, ...]:
    """Return scenarios near this one that pass in the same cell: other parameters, the same checkpoints, its file."""
    place = next(number for number, column in enumerate(report.columns) if column.id == cell)
    passing = [row.scenario for row in report.rows if row.boxes[place].word is Word.PASS]

    def nearness(other: str) -> int:
        if function_of(other) == function_of(scenario):
            return 0
        return 1 if _checkpoints(other, infos) & _checkpoints(scenario, infos) else 2

    near = [
        each
        for each in passing
        if nearness(each) < 2 or each.partition("::")[0] == scenario.partition("::")[0]  # noqa: PLR2004  # nearer than the file
    ]
    return tuple(sorted(near, key=nearness))


def tried(run: RunRecord, picked: Picked, searched: Searched | None) -> dict[str, tuple[str, ...]]:
    """Return every version of the packages of the system table that the scenario ran with, here and in the search."""
    ran = {box.cell for box in picked.row.boxes if box.ran_on}
    cells = [installed(cell) for cell in run.cells if cell.id in ran]
    found = {
        name: tuple(dict.fromkeys(versions[name] for versions in cells if name in versions))
        for name, version in telling_versions(picked.cell, (*DEFAULT_REPOSITORIES, *COMPANIONS))
    }
    if searched is not None and searched.package in found:
        found[searched.package] += tuple(release for release, _, _ in searched.probed if RELEASE.fullmatch(release))
    return found


def not_tried(run: RunRecord, picked: Picked, infos: Mapping[str, ScenarioInfo]) -> tuple[str, ...]:
    """Say which checkpoints, hardware and Pythons the run has nothing to say about."""
    said = []
    if _checkpoints(picked.row.scenario, infos):
        chosen = run.matrix.get("checkpoints", {})
        size, weights = chosen.get("size", "tiny"), chosen.get("weights", "synthetic")
        if weights == "synthetic":
            said.append("Published weights were not tried: the checkpoint is synthetic, with random weights.")
        if size == "tiny":
            said.append("Full-size checkpoints were not tried: this one has the architecture and tiny dimensions.")
    words = {box.ran_on for box in picked.row.boxes if box.ran_on}
    if words and "cuda" not in words:
        said.append("No GPU was tried.")
    elif words == {"cuda"}:
        names = {gpu_words(host_of(run, cell.id)) for cell in run.cells}
        said.append(f"No other GPU was tried than {'; '.join(sorted(names))}.")
    pythons = sorted({cell.python for cell in run.cells})
    platforms = sorted({host_of(run, cell.id).platform for cell in run.cells})
    said.append(f"Only Python {', '.join(pythons)} on {', '.join(platforms)}.")
    return tuple(said)


def _checkpoints(scenario: str, infos: Mapping[str, ScenarioInfo]) -> set[str]:
    info = infos.get(scenario) or infos.get(function_of(scenario))
    return set(info.checkpoints) if info else set()


DAY = 86_400.0  # seconds: an older answer may not know the newest release


SHOWN = 8  # packages


@dataclass(frozen=True)
class Newest:
    """The newest final release that an answer names, and whether the answer is too old to say that there is none."""

    version: Version
    old: bool = False


def known_newest(packages: Iterable[str], folder: Path) -> dict[str, Newest]:
    """Return package → its newest release, of those of which an answer is kept in ``folder``; no network is used."""
    found = dict[str, Newest]()
    for package in packages:
        releases, age = kept_releases(package, folder) or ((), 0.0)
        final = [one.version for one in releases if one.yanked is None and not one.version.is_prerelease]
        if final:
            found[package] = Newest(Version(max(final).public), old=age > DAY)
    return found


def untried(tried: Mapping[str, Sequence[str]], newest: Mapping[str, Newest]) -> tuple[str, ...]:
    """Say which newer releases were not tried, and of which packages nobody knows whether there are any.

    ``tried`` maps packages to the versions that were installed; a package with a commit among them is passed over, for
    its releases are not what was compared.
    """
    newer, unknown = list[str](), list[str]()
    for package, texts in tried.items():
        versions = [_version(text) for text in texts]
        known = [version for version in versions if version is not None]
        if not known or len(known) < len(versions):
            continue
        top, found = max(known), newest.get(package)
        if found is not None and found.version > top:
            newer.append(f"{package} {found.version} (the newest tried is {top})")
        elif found is None or found.old:
            unknown.append(package)
    said = [f"Newer releases on the package index were not tried: {listed(newer, SHOWN)}."] if newer else []
    if unknown:
        said.append(f"If there are newer releases of {listed(unknown, SHOWN)}, they were not tried.")
    return tuple(said)


def _version(text: str) -> Version | None:
    try:
        return Version(Version(text).public)
    except InvalidVersion:
        return None
