"""The keys of a matrix file and what may stand in them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from packaging.utils import InvalidName, canonicalize_name
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from harness.matrix.expression import parse

_ROWS = ("reference", "include", "exclude")


class Problem(ValueError):
    """One wrong entry that only shows beside others: where it stands, its value, and what is wrong."""

    def __init__(self, loc: tuple[str | int, ...], value: object, text: str, known: tuple[str, ...] = ()) -> None:
        """Keep the parts, from which the sentence for the user is made."""
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
        raise ValueError("must be of letters, digits, dots, dashes and underscores, for it names folders")
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
    """A frozen table of the file; a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Checkpoints(Table):
    """What the scenarios load: its size, and where the weights come from (``synthetic``, ``hub`` or a path)."""

    size: Literal["tiny", "full"] = "tiny"
    weights: str = "synthetic"


class Preload(Table):
    """What the fork server imports before it forks, and what it must never import (an import that touches the GPU).

    ``without_gpu`` is imported too where there is no GPU: ``torch._inductor.compile_fx`` is more than half of what
    importing bitsandbytes costs, but it wakes the CUDA driver where there is one.
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
        """Take ``"2026-03-01"`` as well as TOML's own date."""
        try:
            return dt.date.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('is not a date (for example "2026-03-01")') from None

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, raw: Any) -> Any:
        """Refuse one package under two spellings, which the normalized names would silently merge."""
        tables = raw if isinstance(raw, Mapping) else {}
        for table in ("axes", "pins", "repositories"):
            seen: dict[str, str] = {}
            names = tables.get(table)
            for key, value in names.items() if isinstance(names, Mapping) else ():
                first = seen.setdefault(canonicalize_name(str(key)), str(key))
                if first != key:
                    raise Problem((table, key), value, f'is the same package as "{first}"')
        return raw

    @model_validator(mode="after")
    def _agree(self) -> MatrixFile:
        """Check what only shows across tables."""
        if not self.packages:
            raise Problem(("axes",), {}, "names no package, and neither does [pins]")
        for key in self.pins:
            self._refuse_pin(key)
        for key, values in self.variables.items():
            if key in ("python", *self.packages):
                raise Problem(("variables", key), values, "has the name of an axis or a pin")
        for index, version in enumerate(self.axes.get("python", ())):
            self._check_python(("axes", "python", index), version)
        for table in _ROWS:
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
            raise Problem(("python",), self.python, "stands at the top and under [axes]; keep one of the two")
        try:
            _python(version)
        except ValueError as error:
            raise Problem(loc, version, str(error)) from None

    def _check_row(self, loc: tuple[str | int, ...], table: str, row: dict[str, str]) -> None:
        if not row and table != "reference":
            raise Problem(loc, row, "is empty, so it would mean every cell")
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
        """Name every package of the matrix: axes first, then held pins, in the order of the file."""
        return tuple(key for key in (*self.axes, *self.pins) if key != "python")

    def key(self, name: str) -> str:
        """Return the name a row of include, exclude or reference means: a variable as it stands, else normalized."""
        return name if name in self.variables else canonicalize_name(name)
