"""The releases between two ends, as the index lists them: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from harness.errors import ConfigError
from harness.matrix.releases import Release
from harness.matrix.versions import one_per_version


@dataclass(frozen=True)
class Between:
    """Releases from end to end, ascending, and what to tell the user."""

    releases: tuple[str, ...]
    notes: tuple[str, ...] = ()


def between(package: str, listed: Sequence[Release], good: str, bad: str, *, find_fix: bool = False) -> Between:
    """Return both ends and every final release between them that was not yanked.

    Raises:
        ConfigError: an end is no release, or they stand in the wrong order.
    """
    known = {one.version: one for one in one_per_version(listed)}
    older, newer = (_release(package, text, known) for text in ((bad, good) if find_fix else (good, bad)))
    if older >= newer:
        if find_fix:
            raise ConfigError(f"--find-fix looks for the fix after the bad release, and {good} is not newer than {bad}")
        hint = "" if older == newer else "; add --find-fix to search for the release that fixed it"
        raise ConfigError(f"the bad release {bad} is not newer than the good one {good}{hint}")
    inside = [one for version, one in sorted(known.items()) if older < version < newer]
    yanked = [str(one.version) for one in inside if one.yanked is not None]
    left = [one.version for one in inside if one.yanked is None and not one.version.is_prerelease]
    notes = (f"yanked, so left out: {package} {', '.join(yanked)}",) if yanked else ()
    return Between(tuple(str(version) for version in (older, *left, newer)), notes)


def _release(package: str, text: str, known: dict[Version, Release]) -> Version:
    try:
        version = Version(text)
    except InvalidVersion:
        raise ConfigError(f'"{text}" is not a version of {package}') from None
    if version not in known:
        near = [*sorted(one for one in known if one < version)[-1:], *sorted(one for one in known if one > version)[:1]]
        hint = f"; the nearest are {', '.join(map(str, near))}" if near else ""
        raise ConfigError(f"the index lists no {package} {text}{hint}")
    return version
