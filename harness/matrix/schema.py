"""The matrix file: its keys, their validation, and the sentences about mistakes."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.utils import InvalidName, canonicalize_name
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from harness.errors import ConfigError
from harness.matrix import paths
from harness.matrix.expression import WORDS, parse

SELECTOR_TABLES = ("reference", "include", "exclude")
IMPORTED_KEYS = ("modules", "without_gpu")
WEIGHTS = ("synthetic", "hub")

Loc = tuple[str | int, ...]


class Problem(ValueError):
    """One entry that is wrong in combination with others: its location, its value, and what is wrong."""

    def __init__(self, loc: tuple[str | int, ...], value: object, text: str, known: tuple[str, ...] = ()) -> None:
        """Take the parts of the sentence for the user."""
        super().__init__(text)
        self.loc = loc
        self.value = value
        self.known = known


def _expression(text: str) -> str:
    parse(text)
    return text


def _package(text: str) -> str:
    if text == "python":
        return text
    try:
        return canonicalize_name(text, validate=True)
    except InvalidName:
        raise ValueError("is not the name of a package") from None


def _python(text: str) -> str:
    if not re.fullmatch(r"3\.\d+(\.\d+)?", text):
        raise ValueError("is not a Python version (for example 3.11)")
    return text


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", text):
        raise ValueError("is not the name of an environment variable")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", text):
        raise ValueError("must have only letters, digits, dots, dashes and underscores: it names folders")
    return text


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


PackageName = Annotated[str, AfterValidator(_package)]
ExpressionText = Annotated[str, AfterValidator(_expression)]
PythonText = Annotated[str, AfterValidator(_python)]
VariableName = Annotated[str, AfterValidator(_variable)]
Values = Annotated[tuple[ExpressionText, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=1)]


class Table(BaseModel):
    """A frozen table of the file; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Checkpoints(Table):
    """The checkpoints of the scenarios: their size, and the source of the weights (``synthetic``, ``hub``, a path)."""

    size: Literal["tiny", "full"] = "tiny"
    weights: str = "synthetic"


class Preload(Table):
    """The modules that the fork server imports before it forks, and those that it must never import.

    ``without_gpu`` is imported on machines without a GPU only: ``torch._inductor.compile_fx`` takes more than half of
    the import time of bitsandbytes, but initializes the CUDA driver.
    """

    modules: Annotated[tuple[str, ...], Field(strict=False)] = ("torch", "transformers", "accelerate", "peft", "pytest")
    without_gpu: Annotated[tuple[str, ...], Field(strict=False)] = ("torch._inductor.compile_fx",)
    never: Annotated[tuple[str, ...], Field(strict=False)] = ("bitsandbytes",)


class MatrixFile(Table):
    """The keys of a matrix file; ``docs/matrix.md`` explains each."""

    name: Annotated[str, AfterValidator(_name)]
    title: str = ""
    python: PythonText | None = None
    base: str | None = None
    scenarios: Annotated[Texts, Field(strict=False)]
    keyword: str = ""
    markers: str = ""
    timeout: float = Field(default=600, gt=0, allow_inf_nan=False)
    as_of: dt.date | None = None
    reference: dict[str, str] = Field(default_factory=dict)
    axes: dict[PackageName, Annotated[Values, Field(strict=False)]] = Field(default_factory=dict)
    pins: dict[PackageName, ExpressionText] = Field(default_factory=dict)
    variables: dict[VariableName, Annotated[Texts, Field(strict=False)]] = Field(default_factory=dict)
    repositories: dict[PackageName, str] = Field(default_factory=dict)
    checkpoints: Checkpoints = Checkpoints()
    preload: Preload = Preload()
    include: Annotated[tuple[dict[str, str], ...], Field(strict=False)] = ()
    exclude: Annotated[tuple[dict[str, str], ...], Field(strict=False)] = ()

    @field_validator("as_of", mode="before")
    @classmethod
    def _read_date(cls, value: object) -> object:
        """Accept ``"2026-03-01"`` besides a date of TOML."""
        try:
            return dt.date.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('is not a date (for example "2026-03-01")') from None

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, raw: Any) -> Any:
        """Refuse one package under two spellings: the normalized names would be merged silently."""
        tables = raw if isinstance(raw, Mapping) else {}
        for table in ("axes", "pins", "repositories"):
            known: dict[str, str] = {}
            names = tables.get(table)
            for key, value in names.items() if isinstance(names, Mapping) else ():
                first = known.setdefault(canonicalize_name(str(key)), str(key))
                if first != key:
                    raise Problem((table, key), value, f'is the same package as "{first}"')

        return raw

    @model_validator(mode="after")
    def _check_tables(self) -> MatrixFile:
        if not self.packages:
            raise Problem(("axes",), {}, "names no package, and neither does [pins]")
        for key in self.pins:
            self._refuse_pin(key)
        for key, values in self.variables.items():
            if key in ("python", *self.packages):
                raise Problem(("variables", key), values, "has the name of an axis or a pin")
        for index, version in enumerate(self.axes.get("python", ())):
            self._check_python(("axes", "python", index), version)
        for table in SELECTOR_TABLES:
            value = getattr(self, table)
            for index, row in enumerate((value,) if isinstance(value, dict) else value):
                self._check_row((table,) if isinstance(value, dict) else (table, index), table, row)

        return self

    def _refuse_pin(self, key: str) -> None:
        if key == "python":
            raise Problem(("pins", key), self.pins[key], "is not a package; python is a key at the top of the file")
        if key in self.axes:
            raise Problem(("pins", key), self.pins[key], "is an axis too; keep one of the two")

    def _check_python(self, loc: tuple[str | int, ...], version: str) -> None:
        if self.python is not None:
            raise Problem(("python",), self.python, "is at the top and under [axes]; keep one of the two")
        try:
            _python(version)
        except ValueError as error:
            raise Problem(loc, version, str(error)) from None

    def _check_row(self, loc: tuple[str | int, ...], table: str, row: dict[str, str]) -> None:
        if not row and table != "reference":
            raise Problem(loc, row, "is empty and would match every cell")
        known = ("python", *self.packages, *self.variables)
        for key, value in row.items():
            name = key if key in self.variables else canonicalize_name(key)
            if name not in known:
                text = "is neither an axis, nor a pin, nor a variable of this matrix"
                raise Problem((*loc, key), value, text, known)
            if name in self.variables:
                continue
            try:
                _python(value) if name == "python" and table == "include" else self._check_value(value)
            except ValueError as error:
                raise Problem((*loc, key), value, str(error)) from None

    def _check_value(self, value: str) -> None:
        """Accept an expression, or the label of a resolved commit (``dev@1a2b3c4d``)."""
        parse(re.sub(r"@[0-9a-f]{8}$", "", value).removeprefix("installed@"))

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages of the matrix: axes first, then pins, in the order of the file."""
        return tuple(key for key in (*self.axes, *self.pins) if key != "python")

    def key(self, name: str) -> str:
        """Return the key of an include, exclude or reference entry: a variable unchanged, a package normalized."""
        return name if name in self.variables else canonicalize_name(name)


def named_modules(raw: Mapping[str, Any], file: str) -> dict[str, str]:
    """Return each module that the file itself preloads with its location: ``m.toml: [preload] modules = "x"``.

    A default module that a cell lacks (PEFT, in a matrix without it) is no mistake. A module of the file may be one,
    which only shows in the cell: a pinned package may depend on it.
    """
    table = raw.get("preload", {})
    return {module: _location(file, key, module) for key in IMPORTED_KEYS for module in table.get(key, ())}


def check_modules(preload: Preload, file: str) -> None:
    """Refuse names that are not modules, such as the name of a package with a dash.

    Raises:
        ConfigError: one sentence with file, key, value and the nearest name.
    """
    for key in Preload.model_fields:
        for module in getattr(preload, key):
            if not _is_name(module):
                meant = module.replace("-", "_")
                hint = f'; the nearest is "{meant}"' if _is_name(meant) else ""
                raise ConfigError(f"{_location(file, key, module)} is not the name of a module{hint}.")


def _is_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _location(file: str, key: str, module: str) -> str:
    return f"{file}: [preload] {key} = {json.dumps(module, ensure_ascii=False)}"


class Matrix(MatrixFile):
    """A matrix file: its keys, its TOML content with the overrides of ``--with``, and its path."""

    raw: dict[str, Any]
    path: Path
    overrides: tuple[str, ...] = ()  # as given to ``--with``


def load_matrix(path: Path | str) -> Matrix:
    """Read and validate a matrix file, given by its path or its name (``quickstart``).

    Raises:
        ConfigError: one sentence with file, table, key, value and the nearest valid name.
    """
    file = paths.find_matrix(path)
    name = paths.short_path(file)
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
    """Return the folder of ``checkpoints.weights``; None for ``synthetic`` and ``hub``.

    Raises:
        ConfigError: the value is none of these.
    """
    weights = matrix.checkpoints.weights
    if weights in WEIGHTS:
        return None
    folder = paths.find(weights, matrix.path.parent)
    if folder is not None and folder.is_dir():
        return folder
    near = paths.nearest(weights, WEIGHTS)
    hint = f'; the nearest is "{near}"' if near else ""
    where = f'{paths.short_path(matrix.path)}: [checkpoints] weights = "{weights}"'
    raise ConfigError(f"{where} is neither synthetic, nor hub, nor a folder{hint}.")


def _sentence(file: str, raw: Mapping[str, Any], error: ValidationError) -> str:
    """Return one sentence about the first error of pydantic, with the number of others."""
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
    if near := paths.nearest(word, known):
        return f'; the nearest is "{near}"'
    return f"; valid here: {', '.join(known)}" if known and known != WORDS else ""


def _known(kind: str, loc: Loc, error: Any) -> tuple[str, ...]:
    """Return what would be valid at this location, if it is a short list."""
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
        return "is a key of the top of the file and must be above the first [table]"
    match kind:
        case "extra_forbidden":
            return "is not a key of a matrix file" if len(loc) == 1 else "is not a key of this table"
        case "missing":
            return "is missing"
        case "string_type" if isinstance(value, int | float) and not isinstance(value, bool):
            return f'is a number; write versions and other texts in quotes ("{value}")'
        case "value_error":
            return str(cause)
        case "too_short":
            return "needs at least one entry"
        case "dict_type" | "model_type":
            return "is not a table"
        case "tuple_type" if loc[0] in {"include", "exclude"}:
            return f"must be a list of tables, each under [[{loc[0]}]]"
        case "literal_error":
            return "is not one of the valid values"
        case _:
            return f"is not valid: {_lower(message)}"


def _where(loc: Loc, raw: Mapping[str, Any]) -> str:
    """Return a location in the file: ``[axes] transformers``, ``[[exclude]] 2, accelerate``, ``name``."""
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
