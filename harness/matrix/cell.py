"""Cells and their pins."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.matrix.paths import nearest


@dataclass(frozen=True)
class Pin:
    """One package at one version.

    Attributes:
        package: the normalized name on the index.
        label: the version for display (``5.0.0``, ``dev@1a2b3c4d``).
        requirement: the PEP 508 text for the resolver (``transformers==5.0.0``, ``transformers @ git+https://…@<sha>``).
        installed: the package of the base interpreter is used.
        expression: the expression of the matrix if it may mean another version on another day (``latest``,
            ``latest~1``, ``dev``, ``pr:12``), else empty.
        transitive: the package is not under test; it is pinned so that a search changes nothing else.
    """

    package: str
    label: str
    requirement: str
    installed: bool = False
    expression: str = field(default="", compare=False)
    transitive: bool = False

    @property
    def address(self) -> str:
        """The source of the build (``git+https://…@<commit>``, ``file:///…``); empty for a release."""
        return self.requirement.partition(" @ ")[2]


@dataclass(frozen=True)
class Cell:
    """One full set of pins, with the Python and the environment variables of its attempts.

    ``axes`` lists the axes of the matrix (packages, ``python``, variables) in the order of the file.
    """

    python: str
    pins: tuple[Pin, ...]
    variables: tuple[tuple[str, str], ...] = ()
    axes: tuple[str, ...] = ()
    as_of: str | None = None
    base_python: str | None = None
    reference: bool = False
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Derive the id from the pins."""
        object.__setattr__(self, "id", cell_id(self))

    def label(self, axis: str) -> str:
        """Return the value of one axis: a version label, a Python version or the value of a variable."""
        if axis == "python":
            return self.python
        for pin in self.pins:
            if pin.package == axis:
                return pin.label
        return dict(self.variables).get(axis, "")

    def series(self) -> str:
        """Return the name under which results of several nightly runs are compared; empty without axes.

        ``transformers=latest accelerate=1.13.0``: each axis in the order of the matrix, with its expression if that may
        mean another version on another day, else with its label.
        """
        moving = {pin.package: pin.expression for pin in self.pins if pin.expression}
        return " ".join(f"{axis}={moving.get(axis) or stable_label(self.label(axis))}" for axis in self.axes)


def stable_label(label: str) -> str:
    """Return a label without the commit or version that it resolved to: ``dev@1a2b3c4d`` → ``dev``."""
    expression = label.rpartition("@")[0]
    moves = expression in {"dev", "installed"} or expression.startswith(("git:", "pr:"))
    return expression if moves else label


def display_version(version: str) -> str:
    """Return a version for display: ``git@1a2b3c4d`` for a build of a commit, ``path:<name>`` for one of a folder."""
    address = version.partition("#")[0]
    commit = re.search(r"@([0-9a-f]{8})[0-9a-f]{32}$", address)
    if commit is not None:
        return f"git@{commit[1]}"
    return f"path:{address.rstrip('/').rpartition('/')[2]}" if "://" in address else version


def cell_id(cell: Cell) -> str:
    """Return an id of axis labels and a digest of all pins, valid as a folder name and as a nox session id."""
    content = {
        "python": cell.python,
        "base": cell.base_python,
        "pins": [[pin.package, pin.requirement, pin.installed] for pin in cell.pins],
        "variables": [list(item) for item in cell.variables],
        "as_of": cell.as_of,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:6]
    parts = [f"{axis}-{cell.label(axis)}" for axis in cell.axes]
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts)).strip("-")[:80]
    return f"{readable or 'cell'}-{digest}"


def nearest_cell(wanted: str, ids: Iterable[str]) -> str | None:
    """Return the cell id nearest to what is wanted, with or without its digest; None if none is near."""
    known = {name: one for one in ids for name in (one.rpartition("-")[0], one)}
    near = nearest(wanted, known)
    return known[near] if near else None
