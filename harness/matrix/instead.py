"""A matrix with other versions than its file names, as ``--with PACKAGE=EXPRESSION`` says it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from packaging.utils import InvalidName, canonicalize_name

from harness.errors import ConfigError
from harness.matrix.expression import parse
from harness.matrix.model import Matrix


def with_versions(matrix: Matrix, words: Sequence[str]) -> Matrix:
    """Return the matrix with ``PACKAGE=EXPRESSION`` in place of what its file says; a package named again is an axis.

    What the reference cell has of a replaced axis stays on that axis: without it nothing could be compared. A package
    that the matrix does not name is added.

    Raises:
        ConfigError: a word is not of that form, or its expression is none.
    """
    if not words:
        return matrix
    raw: dict[str, Any] = copy.deepcopy(matrix.raw)
    for package, values in _grouped(words).items():
        axes, pins = raw.setdefault("axes", {}), raw.setdefault("pins", {})
        axis = next((key for key in axes if canonicalize_name(key) == package), None)
        pin = next((key for key in pins if canonicalize_name(key) == package), None)
        if axis is not None:
            axes[axis] = _with_reference(matrix, package, values)
        elif len(values) > 1:
            pins.pop(pin, None)
            axes[package] = values
        else:
            pins[pin or package] = values[0]
    return Matrix.model_validate({**raw, "raw": raw, "path": matrix.path, "instead": tuple(words)})


def _grouped(words: Sequence[str]) -> dict[str, list[str]]:
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


def _with_reference(matrix: Matrix, package: str, values: Sequence[str]) -> list[str]:
    kept = [value for key, value in matrix.reference.items() if matrix.key(key) == package]
    return list(dict.fromkeys([*kept, *values]))
