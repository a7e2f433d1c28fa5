"""A matrix file read into a value, or one sentence that says what is wrong with it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import ConfigError
from harness.matrix import places
from harness.matrix.expression import WORDS
from harness.matrix.preloaded import check_modules
from harness.matrix.schema import Checkpoints, MatrixFile, Preload, Problem, Table

WEIGHTS = ("synthetic", "hub")
Loc = tuple[str | int, ...]


class Matrix(MatrixFile):
    """A matrix file that was read: its keys, the TOML as it stood or as ``--with`` made it, and where."""

    raw: dict[str, Any]
    path: Path
    instead: tuple[str, ...] = ()  # what ``--with`` put in place of what the file says


def load_matrix(path: Path | str) -> Matrix:
    """Read and validate a matrix file, given by its path or by its bare name (``quickstart``).

    Raises:
        ConfigError: one sentence with file, table, key, value and the nearest valid name.
    """
    file = places.find_matrix(path)
    name = places.short(file)
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not valid TOML: {_lower(str(error))}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} cannot be read: {error}.") from None
    try:
        MatrixFile.model_validate(raw)
        matrix = Matrix.model_validate({**raw, "raw": raw, "path": file})
    except ValidationError as error:
        raise ConfigError(_sentence(name, raw, error)) from None
    weights_folder(matrix)
    check_modules(matrix.preload, name)
    return matrix


def weights_folder(matrix: Matrix) -> Path | None:
    """Return the folder named by ``checkpoints.weights``; None for ``synthetic`` and ``hub``.

    Raises:
        ConfigError: the value is neither of the two words nor a folder.
    """
    weights = matrix.checkpoints.weights
    if weights in WEIGHTS:
        return None
    folder = places.find(weights, matrix.path.parent)
    if folder is not None and folder.is_dir():
        return folder
    near = places.nearest(weights, WEIGHTS)
    hint = f'; the nearest is "{near}"' if near else ""
    where = f'{places.short(matrix.path)}: [checkpoints] weights = "{weights}"'
    raise ConfigError(f"{where} is neither synthetic, nor hub, nor a folder{hint}.")


def _sentence(file: str, raw: Mapping[str, Any], error: ValidationError) -> str:
    """Make one sentence of the first thing pydantic found, and count the others."""
    found = error.errors(include_url=False)
    first, others = found[0], len(found) - 1
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, Problem):
        text, loc, value, known = str(cause), cause.loc, cause.value, cause.known
    else:
        loc, value = tuple(part for part in first["loc"] if part != "[key]"), first["input"]
        text, known = _reason(first["type"], first["msg"], value, loc, cause), _known(first["type"], loc, first)
    word = loc[-1] if first["type"] == "extra_forbidden" or isinstance(cause, Problem) else value
    more = f" (and {others} more)" if others else ""
    return f"{file}: {_where(loc, raw)}{_shown(value, loc, first['type'])} {text}{_hint(str(word), known)}{more}."


def _hint(word: str, known: tuple[str, ...]) -> str:
    if near := places.nearest(word, known):
        return f'; the nearest is "{near}"'
    return f"; valid here: {', '.join(known)}" if known and known != WORDS else ""


def _known(kind: str, loc: Loc, error: Any) -> tuple[str, ...]:
    """Name what would be valid in this place, where that is a short list."""
    if kind == "literal_error":
        return tuple(word.strip("' ") for word in error["ctx"]["expected"].replace(" or ", ",").split(","))
    if kind == "value_error" and loc[0] in {"axes", "pins"}:
        return WORDS
    if kind != "extra_forbidden":
        return ()
    tables: dict[str, type[Table]] = {"checkpoints": Checkpoints, "preload": Preload}
    return tuple(tables.get(str(loc[0]), MatrixFile).model_fields)


def _reason(kind: str, message: str, value: object, loc: Loc, cause: object) -> str:  # noqa: PLR0911 - one return a kind
    if len(loc) > 1 and loc[0] in {"axes", "pins", "variables", "checkpoints"} and loc[1] in MatrixFile.model_fields:
        return "is a key of the top of the file and must stand above the first [table]"
    match kind:
        case "extra_forbidden":
            return "is not a key of a matrix file" if len(loc) == 1 else "is not a key of this table"
        case "missing":
            return "is missing"
        case "string_type" if isinstance(value, int | float) and not isinstance(value, bool):
            return f'is a number; versions and other texts are written in quotes ("{value}")'
        case "value_error":
            return str(cause)
        case "too_short":
            return "needs at least one entry"
        case "dict_type" | "model_type":
            return "is not a table"
        case "tuple_type" if loc[0] in {"include", "exclude"}:
            return f"must be a list of tables, each under [[{loc[0]}]]"
        case "literal_error":
            return "is not one of the words that may stand there"
        case _:
            return f"is not valid: {_lower(message)}"


def _where(loc: Loc, raw: Mapping[str, Any]) -> str:
    """Write a place of the file: ``[axes] transformers``, ``[[exclude]] 2, accelerate``, ``name``."""
    head, *rest = loc or ("the file",)
    match raw.get(str(head)), rest:
        case _, []:
            return str(head)
        case list(), [int(index), *keys] if head in {"include", "exclude"}:
            return f"[[{head}]] {index + 1}" + "".join(f", {key}" for key in keys)
        case dict(), keys:
            return f"[{head}] " + ", entry ".join(str(key + 1) if isinstance(key, int) else key for key in keys)
        case _, [int(index), *_]:
            return f"{head}, entry {index + 1}"
        case _:
            return ".".join(str(part) for part in loc)


def _shown(value: object, loc: Loc, kind: str) -> str:
    if kind == "missing" or not loc:
        return ""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return f" = {text if len(text) <= 80 else text[:77] + '…'}"  # noqa: PLR2004 - one line of a terminal


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
