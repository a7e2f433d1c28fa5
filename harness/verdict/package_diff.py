"""What differs between two sets of installed packages. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PackageChange:
    """One package whose version differs; None where a side does not have it."""

    package: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Write ``torch 2.12.0 → 2.13.0``."""
        return f"{self.package} {self.before or '–'} → {self.after or '–'}"


def package_diff(
    before: Mapping[str, str], after: Mapping[str, str], *, first: Collection[str] = ()
) -> tuple[PackageChange, ...]:
    """Return the packages that differ by name, those named in ``first`` before the others.

    Args:
        before: package → version, or the address of what is built from a commit or a folder.
        after: the same.
        first: names of packages.
    """
    names = sorted(before.keys() | after.keys(), key=lambda name: (name not in first, name))
    changes = (PackageChange(name, before.get(name), after.get(name)) for name in names)
    return tuple(change for change in changes if change.before != change.after)
