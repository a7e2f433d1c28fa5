"""Whether a row of ``[[exclude]]`` or ``reference`` speaks of a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from packaging.version import Version

from harness.matrix.cell import Cell, Pin
from harness.matrix.expression import Commit, Exact, Folder, Installed, Latest, Range, parse, written_version

Resolve = Callable[[str, str], Sequence[Pin]]


def row_holds(row: Mapping[str, str], cell: Cell, resolve: Resolve) -> bool:
    """Say whether every key of the row matches the cell.

    ========================  =====================================================================
    value for a package       matches
    ========================  =====================================================================
    a label                   the pin that is shown so (``dev@1a2b3c4d``, ``path:work``)
    an exact version          the release, and a local build of it (``2.13.0`` has ``2.13.0+cpu``)
    a specifier, ``5.1.x``    every release in it, pre-releases too; never a commit or a folder
    ``latest``, ``latest:6``  what the expression means today
    ``dev``, ``git:``, ``pr:``  the pin that the same expression made
    ``path:…``, ``installed``  the working copy; whatever the base interpreter has
    ========================  =====================================================================

    For ``python`` a version (``3.11`` has ``3.11.7``) or a specifier; for a variable its value.
    """
    return all(_matches(key, value, cell, resolve) for key, value in row.items())


def _matches(key: str, value: str, cell: Cell, resolve: Resolve) -> bool:
    if key == "python":
        return python_matches(value, cell.python)
    for pin in cell.pins:
        if pin.package == key:
            return pin_matches(value, pin, resolve)
    return dict(cell.variables).get(key) == value


def python_matches(value: str, python: str) -> bool:
    """Compare a Python version with an exact one, to as many parts as that has, or with a specifier."""
    wanted = parse(value)
    if isinstance(wanted, Range):
        return wanted.holds(Version(python), prereleases=True)
    parts = value.split(".")
    return python.split(".")[: len(parts)] == parts


def pin_matches(value: str, pin: Pin, resolve: Resolve) -> bool:  # noqa: PLR0911 - one return a form
    """Say whether a value of a row means this pin; see :func:`row_holds`."""
    if value == pin.label:
        return True
    if "@" in value:
        return False
    version = written_version(pin.label)
    match parse(value):
        case Exact(wanted):
            return version is not None and wanted in {version, Version(version.public)}
        case Range() as wanted:
            return version is not None and wanted.holds(version, prereleases=True)
        case Commit(text):
            return pin.label.rpartition("@")[0] == text
        case Latest() | Folder():
            return any(pin.requirement == other.requirement for other in resolve(pin.package, value))
        case Installed():
            return pin.installed
