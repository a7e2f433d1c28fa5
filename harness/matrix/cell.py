"""Cells and their pins: the values that the other rooms pass around."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pin:
    """One package at one version.

    ``package`` is the normalized index name, ``label`` what a person reads (``5.0.0``, ``dev@1a2b3c4d``), and
    ``requirement`` the PEP 508 text handed to the resolver (``transformers==5.0.0``, ``transformers @ git+https://…@<sha>``).
    ``installed`` is true when the package is taken as the base interpreter has it. ``expression`` is what the matrix
    says where that may mean another version another day (``latest``, ``latest~1``, ``dev``, ``pr:12``), else empty.
    """

    package: str
    label: str
    requirement: str
    installed: bool = False
    expression: str = field(default="", compare=False)
    transitive: bool = False  # held only so that nothing but what is searched moves: no package under test

    @property
    def address(self) -> str:
        """What it is built from (``git+https://…@<commit>``, ``file:///…``); empty for a release."""
        return self.requirement.partition(" @ ")[2]


@dataclass(frozen=True)
class Cell:
    """One full set of pins, with the Python and the environment variables of its attempts.

    ``axes`` names what varies in the matrix (packages, ``python``, variables), in the order of the file.
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
        """Derive the id once, so that it can never disagree with the pins."""
        object.__setattr__(self, "id", cell_id(self))

    def label(self, axis: str) -> str:
        """Return what this cell has on one axis: a version label, a Python version or a variable's value."""
        if axis == "python":
            return self.python
        for pin in self.pins:
            if pin.package == axis:
                return pin.label
        return dict(self.variables).get(axis, "")

    def series(self) -> str:
        """Return what the cell is over nights, whatever its expressions mean today; empty where nothing varies.

        ``transformers=latest accelerate=1.13.0``: the axes in the matrix's order, each with its expression where that
        moves and with its label where it does not.
        """
        moving = {pin.package: pin.expression for pin in self.pins if pin.expression}
        return " ".join(f"{axis}={moving.get(axis) or lasting(self.label(axis))}" for axis in self.axes)


def lasting(label: str) -> str:
    """Return a label without the commit or version that it meant on its day: ``dev@1a2b3c4d`` → ``dev``."""
    expression = label.rpartition("@")[0]
    moves = expression in {"dev", "installed"} or expression.startswith(("git:", "pr:"))
    return expression if moves else label


def readable(version: str) -> str:
    """Return a version as a person reads it: ``git@1a2b3c4d`` for what is built from a commit, the name of a folder."""
    address = version.partition("#")[0]
    commit = re.search(r"@([0-9a-f]{8})[0-9a-f]{32}$", address)
    if commit is not None:
        return f"git@{commit[1]}"
    return f"path:{address.rstrip('/').rpartition('/')[2]}" if "://" in address else version


def cell_id(cell: Cell) -> str:
    """Name a cell by what varies, plus a digest over everything, safe as a folder name and as a nox session id."""
    content = {
        "python": cell.python,
        "base": cell.base_python,
        "pins": [[pin.package, pin.requirement, pin.installed] for pin in cell.pins],
        "variables": [list(item) for item in cell.variables],
        "as_of": cell.as_of,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:6]
    words = [f"{axis}-{cell.label(axis)}" for axis in cell.axes]
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words)).strip("-")[:80]
    return f"{readable or 'cell'}-{digest}"
