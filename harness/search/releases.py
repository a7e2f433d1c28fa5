"""The releases between two ends, as the index lists them; an end is a version, a day, or left out: pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import NO_VERSION, Lock, Unsolvable
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.index import Listing, Release, list_releases
from harness.matrix.paths import short_path
from harness.matrix.plan import Sources
from harness.matrix.schema import Matrix
from harness.matrix.versions import without_local_builds

Known = Mapping[Version, Release]


DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True)
class Between:
    """Releases from end to end, ascending, and what to tell the user.

    ``open_end``: nobody named the older end, so the first release is but the oldest that there is.
    """

    releases: tuple[str, ...]
    notes: tuple[str, ...] = ()
    open_end: bool = False


def between(
    package: str, listed: Sequence[Release], good: str | None, bad: str | None, *, find_fix: bool = False
) -> Between:
    """Return both ends and every final release between them that was not yanked.

    The newer end is the newest release where it is left out; without an older end everything older is there. A day
    stands for the highest final version that was uploaded by its end (UTC), which need not be the latest upload: an old
    line may get a patch after a new one has begun.

    Raises:
        ConfigError: an end is no release, the index tells no dates, or the ends stand in the wrong order.
    """
    known = {one.version: one for one in without_local_builds(listed)}
    final = [one for one in known.values() if one.yanked is None and not one.version.is_prerelease]
    if not final:
        raise ConfigError(f"the index lists no final release of {package}")
    first, last = (bad, good) if find_fix else (good, bad)
    notes: list[str] = []
    newer = max(one.version for one in final) if last is None else _end(package, last, known, notes)
    if last is None:
        notes.append(f"the {'good' if find_fix else 'bad'} end is {package} {newer}, the newest release")
    older = None if first is None else _end(package, first, known, notes)
    if older is not None and older >= newer:
        raise ConfigError(_wrong_order(older, newer, find_fix=find_fix))
    inside = [one for version, one in sorted(known.items()) if version < newer and (older is None or version > older)]
    yanked = [str(one.version) for one in inside if one.yanked is not None]
    left = [one.version for one in inside if one.yanked is None and not one.version.is_prerelease]
    if yanked and older is not None:
        notes.append(f"yanked, so left out: {package} {', '.join(yanked)}")
    releases = (*(() if older is None else (older,)), *left, newer)
    if len(releases) == 1:
        raise ConfigError(f"{package} {newer} is the oldest release: there is none before it to go back to")
    return Between(tuple(map(str, releases)), tuple(notes), open_end=older is None)


def _end(package: str, text: str, known: Known, notes: list[str]) -> Version:
    if not DAY.fullmatch(text):
        return _release(package, text, known)
    found = on_day(package, text, known.values())
    notes.append(f"{text} is {package} {found.version}, of {_day_of(found)}")
    return found.version


def on_day(package: str, text: str, releases: Iterable[Release]) -> Release:
    """Return the highest final version that was uploaded by the end of a day (UTC) and not yanked since.

    Raises:
        ConfigError: there is no such day, no such release, or the index tells no dates.
    """
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text} is not a day of the calendar") from None
    dated = [one for one in releases if one.uploaded is not None]
    if not dated:
        raise ConfigError(f"the index tells no dates of {package}, so {text} cannot be an end; name a version")
    offered = [one for one in dated if one.yanked is None and not one.version.is_prerelease]
    stood = [one for one in offered if _day_of(one) <= day]
    if not stood:
        first = min(offered, key=_day_of, default=None)
        hint = f"; the first is {first.version} of {_day_of(first)}" if first else ""
        raise ConfigError(f"no release of {package} was there on {text}{hint}")
    return max(stood, key=lambda one: one.version)


def _day_of(release: Release) -> dt.date:
    """Return the day of an upload (UTC); what has no date never was."""
    return release.uploaded.astimezone(dt.UTC).date() if release.uploaded else dt.date.max


def _wrong_order(older: Version, newer: Version, *, find_fix: bool) -> str:
    if find_fix:
        return f"--find-fix looks for the fix after the bad release, and {newer} is not newer than {older}"
    hint = "" if older == newer else "; add --find-fix to search for the release that fixed it"
    return f"the bad release {newer} is not newer than the good one {older}{hint}"


def _release(package: str, text: str, known: Known) -> Version:
    try:
        version = Version(text)
    except InvalidVersion:
        raise ConfigError(f'"{text}" is not a version of {package}, nor a day (2026-01-10)') from None
    if version not in known:
        near = [*sorted(one for one in known if one < version)[-1:], *sorted(one for one in known if one > version)[:1]]
        hint = f"; the nearest are {', '.join(map(str, near))}" if near else ""
        raise ConfigError(f"the index lists no {package} {text}{hint}")
    return version


def list_known_releases(package: str, cache_dir: CacheDir) -> Listing:
    """Return the releases of one package, ascending; a bundle's have no dates.

    Raises:
        ConfigError: no index has the package, or no cell of the bundle varies it.
    """
    bundle = opened_bundle()
    if bundle is None:
        return list_releases([package], cache_dir.releases)
    labels = {cell.label(package) for cell in bundle.cells() if package in cell.axes}
    if not labels:
        raise ConfigError(f"the bundle holds {package} in one version only: nothing to search")
    return Listing({package: tuple(Release(version) for version in sorted(map(Version, labels)))})


def require_releases(
    cell: Cell, lock: Lock | Unsolvable, matrix: Matrix, cache_dir: CacheDir, typed: Sequence[str] = ()
) -> None:
    """Refuse a cell one of whose pinned releases no index offers; any other reason is left to whoever asks.

    Args:
        cell: the cell as it was asked for.
        lock: what the resolver said; the index is asked only about what it did not find.
        matrix: whose ``as_of`` counts, and where a pin was written that was not typed.
        cache_dir: where lists of releases are kept.
        typed: each ``PACKAGE=VERSION`` of ``--with``.

    Raises:
        ConfigError: there is no such release, or no such package; the nearest ones are named.
        InfrastructureError: the index does not answer.
    """
    if isinstance(lock, Lock) or lock.network or opened_bundle() is not None:
        return
    missing = {str(canonicalize_name(one or two)) for one, two in NO_VERSION.findall(lock.sentence)}
    there = {str(canonicalize_name(text.partition("=")[0])): text for text in typed}
    for pin in cell.pins:
        if pin.package in missing and pin.requirement.startswith(f"{pin.package}=="):
            where = (
                f"--with {there[pin.package]}" if pin.package in there else f"{short_path(matrix.path)}, {pin.package}"
            )
            _offered(pin, where, matrix, cache_dir)


def _offered(pin: Pin, where: str, matrix: Matrix, cache_dir: CacheDir) -> None:
    """Ask the index for one release.

    Raises:
        ConfigError: it has none of this number.
    """
    resolver = replace(
        Sources(matrix, cache_dir.releases).resolver(),
        releases=lambda name: list_releases([name], cache_dir.releases, matrix.packages).releases[name],
    )
    try:
        resolver(pin.package, f"=={pin.requirement.partition('==')[2]}")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
