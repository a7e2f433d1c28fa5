"""What a run did not test: newer releases, other checkpoints, hardware and Pythons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from harness.matrix.expression import label_version
from harness.matrix.index import cached_releases
from harness.report.issue.comparison import Example
from harness.report.issue.environment import gpu_names, host_of, installed, notable_versions
from harness.report.issue.evidence import checkpoints_of
from harness.report.issue.model import SearchEvidence
from harness.reporter import listed
from harness.search.links import RELEASE
from harness.store.records import RunRecord, ScenarioInfo

DAY = 86_400.0  # seconds; an older listing may lack the newest release
SHOWN = 8  # packages


@dataclass(frozen=True)
class Newest:
    """The newest final release in a cached listing. ``old``: there may be newer ones by now."""

    version: Version
    old: bool = False


def known_newest(packages: Iterable[str], folder: Path) -> dict[str, Newest]:
    """Return package → its newest release, from the listings cached in ``folder``; no network is used."""
    found = dict[str, Newest]()
    for package in packages:
        releases, age = cached_releases(package, folder) or ((), 0.0)
        final = [one.version for one in releases if one.is_final]
        if final:
            found[package] = Newest(Version(max(final).public), old=age > DAY)
    return found


def versions_tried(run: RunRecord, example: Example, searched: SearchEvidence | None) -> dict[str, tuple[str, ...]]:
    """Return the versions with which the scenario ran, in this run and in the search, of each notable package."""
    ran = {result.cell for result in example.row.table_cells if result.ran_on}
    cells = [installed(cell) for cell in run.cells if cell.id in ran]
    found = {
        name: tuple(dict.fromkeys(versions[name] for versions in cells if name in versions))
        for name, _ in notable_versions(example.cell)
    }
    if searched is not None and searched.package in found:
        found[searched.package] += tuple(release for release, _, _ in searched.probed if RELEASE.fullmatch(release))
    return found


def newer_releases(tried: Mapping[str, Sequence[str]], newest: Mapping[str, Newest]) -> tuple[str, ...]:
    """Return sentences on newer releases that were not tried, and on packages for which that is unknown.

    ``tried`` maps packages to installed versions. A package with a commit among them is left out: its releases are
    not what was compared.
    """
    newer, unknown = list[str](), list[str]()
    for package, texts in tried.items():
        known = [Version(version.public) for text in texts if (version := label_version(text)) is not None]
        if not known or len(known) < len(texts):
            continue
        top, found = max(known), newest.get(package)
        if found is not None and found.version > top:
            newer.append(f"{package} {found.version} (the newest tried is {top})")
        elif found is None or found.old:
            unknown.append(package)

    sentences = [f"Newer releases on the package index were not tried: {listed(newer, SHOWN)}."] if newer else []
    if unknown:
        sentences.append(f"If there are newer releases of {listed(unknown, SHOWN)}, they were not tried.")
    return tuple(sentences)


def other_conditions(run: RunRecord, example: Example, infos: Mapping[str, ScenarioInfo]) -> tuple[str, ...]:
    """Return sentences on the checkpoints, hardware and Pythons that the run did not cover."""
    sentences = []
    if checkpoints_of(example.row.scenario, infos):
        chosen = run.matrix.get("checkpoints", {})
        size, weights = chosen.get("size", "tiny"), chosen.get("weights", "synthetic")
        if weights == "synthetic":
            sentences.append("Published weights were not tried: the checkpoint is synthetic, with random weights.")
        if size == "tiny":
            sentences.append("Full-size checkpoints were not tried: this one has the architecture and tiny dimensions.")

    ran_on = {result.ran_on for result in example.row.table_cells if result.ran_on}
    if ran_on and "cuda" not in ran_on:
        sentences.append("No GPU was tried.")
    elif ran_on == {"cuda"}:
        names = {gpu_names(host_of(run, cell.id)) for cell in run.cells}
        sentences.append(f"No other GPU was tried than {'; '.join(sorted(names))}.")

    pythons = sorted({cell.python for cell in run.cells})
    platforms = sorted({host_of(run, cell.id).platform for cell in run.cells})
    sentences.append(f"Only Python {', '.join(pythons)} on {', '.join(platforms)}.")
    return tuple(sentences)
