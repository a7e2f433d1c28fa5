"""Expand a matrix to its cells: the product of its axes, without the excluded cells, plus the included ones."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from packaging.utils import InvalidName, canonicalize_name

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import Cell, Pin
from harness.matrix.expression import Resolve, parse, selector_matches
from harness.matrix.schema import Matrix, MatrixFile


@dataclass(frozen=True)
class PythonContext:
    """What a matrix takes from the machine if it does not say: the Python, and the base of ``installed`` pins."""

    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    base_python: str | None = None


THIS_PYTHON = PythonContext()


def expand(matrix: MatrixFile, resolve: Resolve, context: PythonContext = THIS_PYTHON) -> tuple[Cell, ...]:
    """Return the cells of a matrix, in the order of the file, each once.

    The first axis varies slowest; the releases of a range ascend. Exclusions apply to the product, not to the cells of
    an ``include``.

    Args:
        matrix: The validated matrix.
        resolve: Returns the pins of a package and a version expression.
        context: The Python of the machine.

    Raises:
        ConfigError: the reference matches no cell.
        NothingSelectedError: everything is excluded.
    """
    excluded = [_named(matrix, row) for row in matrix.exclude]
    kept = [
        cell
        for cell in product_cells(matrix, resolve, context)
        if not any(selector_matches(row, cell, resolve) for row in excluded)
    ]
    added = [cell for row in matrix.include for cell in product_cells(matrix, resolve, context, _named(matrix, row))]
    cells: dict[str, Cell] = {}
    for cell in (*kept, *added):
        if _moving_pins(cell) > _moving_pins(cells.setdefault(cell.id, cell)):
            cells[cell.id] = cell  # the same pins from expressions that may mean another version tomorrow
    if not cells:
        raise NothingSelectedError("[[exclude]] leaves no cell of this matrix")
    return _with_reference(matrix, tuple(cells.values()), resolve)


def product_cells(
    matrix: MatrixFile, resolve: Resolve, context: PythonContext, row: Mapping[str, str] | None = None
) -> Iterator[Cell]:
    """Yield every combination of the axes' values; a row of ``include`` replaces the values of its keys."""
    choices = _choices(matrix, resolve, context, row or {})
    axes = varying(matrix)
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        pins = tuple(pin for package in matrix.packages if isinstance(pin := chosen[package], Pin))
        yield Cell(
            python=str(chosen["python"]),
            pins=pins,
            variables=tuple((name, str(chosen[name])) for name in matrix.variables),
            axes=axes,
            as_of=matrix.as_of.isoformat() if matrix.as_of else None,
            base_python=context.base_python if any(pin.installed for pin in pins) else None,
        )


def varying(matrix: MatrixFile) -> tuple[str, ...]:
    """Return what distinguishes cells: the axes, variables with several values, and the keys of ``include``."""
    variables = (name for name, values in matrix.variables.items() if len(values) > 1)
    included = (key for row in matrix.include for key in _named(matrix, row))
    return tuple(dict.fromkeys((*matrix.axes, *variables, *included)))


def _choices(
    matrix: MatrixFile, resolve: Resolve, context: PythonContext, row: Mapping[str, str]
) -> dict[str, tuple[Pin | str, ...]]:
    """Return the possible values of each key of a cell, the slowest varying key first."""
    python = (matrix.python or context.python,)
    pinned = {package: (text,) for package, text in matrix.pins.items()}
    texts = {**matrix.axes, **matrix.variables, **pinned, "python": matrix.axes.get("python", python)}
    texts |= {key: (value,) for key, value in row.items()}
    packages = set(matrix.packages)
    return {key: _pins(key, values, resolve) if key in packages else values for key, values in texts.items()}


def _pins(package: str, texts: tuple[str, ...], resolve: Resolve) -> tuple[Pin | str, ...]:
    """Return the pins of all expressions of an axis, each once, with the label that comes first.

    An expression that may mean another version tomorrow names the series: in ``[">=5.0", "latest"]`` the newest release
    belongs to the series ``latest``.
    """
    found: dict[tuple[str, bool], Pin | str] = {}
    for text in texts:
        for pin in resolve(package, text):
            first = found.setdefault((pin.requirement, pin.installed), pin)
            if isinstance(first, Pin) and not first.expression:
                found[pin.requirement, pin.installed] = replace(first, expression=pin.expression)
    return tuple(found.values())


def _moving_pins(cell: Cell) -> int:
    return sum(bool(pin.expression) for pin in cell.pins)


def _named(matrix: MatrixFile, row: Mapping[str, str]) -> dict[str, str]:
    return {matrix.key(key): value for key, value in row.items()}


def _with_reference(matrix: MatrixFile, cells: tuple[Cell, ...], resolve: Resolve) -> tuple[Cell, ...]:
    row = _named(matrix, matrix.reference)
    if not row:
        return cells
    marked = tuple(replace(cell, reference=selector_matches(row, cell, resolve)) for cell in cells)
    if not any(cell.reference for cell in marked):
        wanted = ", ".join(f'{key} = "{value}"' for key, value in row.items())
        known = {key: dict.fromkeys(cell.label(key) or '""' for cell in cells) for key in row}
        labels = "; ".join(f"{key}: {', '.join(values)}" for key, values in known.items())
        raise ConfigError(f"reference {{ {wanted} }} matches no cell; there are {labels}")

    return marked


def override_versions(matrix: Matrix, words: Sequence[str]) -> Matrix:
    """Return the matrix with the versions of ``PACKAGE=EXPRESSION``; a package given several times becomes an axis.

    An axis keeps the value of the reference cell, so that there is something to compare with. A package that the matrix
    does not name is added.

    Raises:
        ConfigError: a word does not have that form, or its expression is invalid.
    """
    if not words:
        return matrix
    raw: dict[str, Any] = copy.deepcopy(matrix.raw)
    for package, values in _overrides(words).items():
        axes, pins = raw.setdefault("axes", {}), raw.setdefault("pins", {})
        axis = next((key for key in axes if canonicalize_name(key) == package), None)
        pin = next((key for key in pins if canonicalize_name(key) == package), None)
        if axis is not None:
            kept = [value for key, value in matrix.reference.items() if matrix.key(key) == package]
            axes[axis] = list(dict.fromkeys([*kept, *values]))
        elif len(values) > 1:
            pins.pop(pin, None)
            axes[package] = values
        else:
            pins[pin or package] = values[0]

    return Matrix.model_validate({**raw, "raw": raw, "path": matrix.path, "overrides": tuple(words)})


def _overrides(words: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            package = str(canonicalize_name(name.strip(), validate=True))
            parse(text.strip())
        except (InvalidName, ValueError) as error:
            raise ConfigError(f"--with {word} is not PACKAGE=VERSION ({error})") from None
        found.setdefault(package, []).append(text.strip())

    return found
