"""The modules that a matrix file itself asks to be imported before the attempts, as opposed to those that are usual."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.errors import ConfigError
from harness.matrix.schema import Preload

IMPORTED = ("modules", "without_gpu")


def named_modules(raw: Mapping[str, Any], file: str) -> dict[str, str]:
    """Map each module that a matrix, as read, names itself to where it stands: ``m.toml: [preload] modules = "x"``.

    A usual module that a cell lacks (PEFT, in a matrix without it) is no mistake; one that the file names may be, and
    only the cell knows: what no pin names may be brought by a package that is pinned.
    """
    table = raw.get("preload", {})
    return {module: _place(file, key, module) for key in IMPORTED for module in table.get(key, ())}


def check_modules(preload: Preload, file: str) -> None:
    """Refuse what cannot be the name of a module, such as a package's name with a dash.

    Raises:
        ConfigError: one sentence with file, key, value and what may have been meant.
    """
    for key in Preload.model_fields:
        for module in getattr(preload, key):
            if not _is_name(module):
                meant = module.replace("-", "_")
                hint = f'; the nearest is "{meant}"' if _is_name(meant) else ""
                raise ConfigError(f"{_place(file, key, module)} is not the name of a module{hint}.")


def _is_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _place(file: str, key: str, module: str) -> str:
    return f"{file}: [preload] {key} = {json.dumps(module, ensure_ascii=False)}"
