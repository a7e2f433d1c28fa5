"""Resolve version expressions to pins; the sources of releases and commits are injected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.version import Version

from harness.errors import ConfigError
from harness.matrix.base import BaseInterpreter
from harness.matrix.cell import Pin
from harness.matrix.expression import Exact, Folder, GitRef, Installed, Latest, Range, label_version, parse
from harness.matrix.git import ResolvedRef
from harness.matrix.index import Release


@dataclass
class Resolver:
    """Resolves expressions to pins, and collects warnings for the user.

    Attributes:
        releases: Returns the releases of a package, ascending by version; called for expressions that need them.
        commit: Returns address and commit of an expression in a package's repository.
        base: Returns the base interpreter; called for ``installed``.
        folder: Returns the folder of ``path:``.
        as_of: Ranges and ``latest`` are resolved against the index as of the end of this day (UTC).
        warnings: The warnings, each once.
    """

    releases: Callable[[str], Sequence[Release]]
    commit: Callable[[str, GitRef], tuple[str, ResolvedRef]]
    base: Callable[[], BaseInterpreter]
    folder: Callable[[str], Path]
    as_of: dt.date | None = None
    warnings: list[str] = field(default_factory=list)

    def __call__(self, package: str, text: str) -> tuple[Pin, ...]:
        """Return the pins of one expression, ascending by version.

        Raises:
            ConfigError: the expression is invalid, or matches nothing for this package.
            InfrastructureError: the index or the repository cannot be reached.
        """
        match parse(text):
            case Exact(version):
                return (release_pin(package, version),)
            case Range() | Latest() as wanted:
                return self._pick(package, text, wanted)
            case GitRef() as wanted:
                return (self._commit_pin(package, wanted),)
            case Folder(folder):
                found = self.folder(folder)
                label = f"path:{found.name}"
                return (Pin(package, label, f"{package} @ {found.as_uri()}", expression=label),)
            case Installed():
                return (self._installed_pin(package),)

    def _pick(self, package: str, text: str, wanted: Range | Latest) -> tuple[Pin, ...]:
        known = without_local_builds(self.releases(package))
        uploaded = tuple(release for release in known if not self._too_new(release))
        offered = tuple(release for release in uploaded if release.yanked is None)
        if isinstance(wanted, Latest):
            chosen = newest_patches(offered, wanted.minors)
        else:
            chosen = tuple(release for release in offered if wanted.contains(release.version))
            chosen = newest_patches(chosen, len(chosen)) if wanted.newest_patches else chosen

        if not chosen:
            near = _nearest_releases(known, wanted, dated=self.as_of is not None)
            day = f" as of {self.as_of}" if self.as_of else ""
            raise ConfigError(f"no release of {package} matches{day}{near}")

        self._add_warnings(package, text, wanted, uploaded, chosen)
        pins = tuple(release_pin(package, release.version) for release in chosen)
        return with_expressions(pins, text) if isinstance(wanted, Latest) else pins

    def _too_new(self, release: Release) -> bool:
        if self.as_of is None or release.uploaded is None:
            return False
        return release.uploaded.astimezone(dt.UTC).date() > self.as_of

    def _add_warnings(
        self, package: str, text: str, wanted: Range | Latest, uploaded: Sequence[Release], chosen: Sequence[Release]
    ) -> None:
        lowest = chosen[0].version
        for release in uploaded:
            matches = wanted.contains(release.version) if isinstance(wanted, Range) else release.version > lowest
            if release.yanked is not None and matches:
                stated = " ".join(release.yanked.split()).rstrip(".")
                reason = f": {stated}" if stated else ""
                self._warn(f"{package} {release.version} was yanked and is skipped{reason}")

        undated = [str(release.version) for release in chosen if release.uploaded is None]
        if self.as_of and undated:
            self._warn(f"{package} {', '.join(undated)}: upload date unknown, so as_of = {self.as_of} is not applied")
        if isinstance(wanted, Latest) and len(chosen) < wanted.minors:
            self._warn(f"{package} = {text}: there are only {len(chosen)} minors")

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _commit_pin(self, package: str, wanted: GitRef) -> Pin:
        address, found = self.commit(package, wanted)
        if found.warning:
            self._warn(found.warning)
        if self.as_of and found.commit != wanted.ref:
            self._warn(f"{package} = {wanted.text} is the commit of today: as_of does not apply to repositories")
        requirement = f"{package} @ git+{address}@{found.commit}"
        return Pin(package, f"{wanted.text}@{found.commit[:8]}", requirement, expression=wanted.text)

    def _installed_pin(self, package: str) -> Pin:
        base = self.base()
        if package not in base.packages:
            raise ConfigError(f"{base.executable} has no {package}")
        version = base.packages[package].version
        return Pin(package, f"installed@{version}", f"{package}=={version}", installed=True, expression="installed")


def release_pin(package: str, version: Version) -> Pin:
    """Return the pin of one release."""
    return Pin(package, str(version), f"{package}=={version}")


def with_expressions(pins: Sequence[Pin], text: str) -> tuple[Pin, ...]:
    """Set the expression of each pin: ``latest``, or for ``latest:N`` ``latest~0`` for the newest, ``latest~1``, …."""
    if text == "latest":
        return tuple(replace(pin, expression=text) for pin in pins)
    return tuple(replace(pin, expression=f"latest~{len(pins) - number}") for number, pin in enumerate(pins, 1))


def without_local_builds(releases: Iterable[Release]) -> tuple[Release, ...]:
    """Return one release for each public version: of ``2.13.0`` and ``2.13.0+cpu`` the installer takes what fits.

    A version with local builds only stays, without its local part.
    """
    found: dict[Version, Release] = {}
    for release in sorted(releases, key=lambda one: one.version):
        public = Version(release.version.public)
        found.setdefault(public, Release(public, release.uploaded, release.yanked))
    return tuple(found.values())


def newest_patches(releases: Iterable[Release], minors: int) -> tuple[Release, ...]:
    """Return the newest final release of each of the last ``minors`` minors, ascending."""
    newest: dict[tuple[int, int, int], Release] = {}
    for release in releases:
        version = release.version
        if not version.is_prerelease:
            newest[version.epoch, version.major, version.minor] = release
    return tuple(newest.values())[-minors:]


def _nearest_releases(releases: Sequence[Release], wanted: Range | Latest, *, dated: bool) -> str:
    """Describe the releases next to the versions of a specifier, with their dates if a date matters."""
    final = {one.version: one for one in releases if one.is_final}
    if not final:
        return "; the index lists none"
    texts = [one.version.removesuffix(".*") for one in wanted.specifiers] if isinstance(wanted, Range) else []
    bounds = [version for text in texts if (version := label_version(text)) is not None]
    below = [max((version for version in final if version <= bound), default=min(final)) for bound in bounds]
    above = [min((version for version in final if version >= bound), default=max(final)) for bound in bounds]
    near = sorted({*below, *above}) or sorted(final)[-3:]
    days = {version: one.uploaded for version, one in final.items() if dated}
    names = (f"{version} ({day:%Y-%m-%d})" if (day := days.get(version)) else str(version) for version in near)
    return f"; the nearest releases are {', '.join(names)}"
