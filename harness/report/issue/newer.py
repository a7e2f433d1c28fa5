"""Which newer releases were not tried, as far as kept answers of the package index tell: nobody is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from harness.matrix.releases import kept_releases
from harness.report.issue.words import listed

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
