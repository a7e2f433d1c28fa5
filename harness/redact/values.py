"""Redact every text in a value."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from harness.redact.private import Private
from harness.redact.text import redact

Value = TypeVar("Value")


def redact_value(value: Value, private: Private) -> Value:
    """Return a value of the same type with every text in it redacted.

    Dataclasses, tuples, lists and mappings are walked, mappings with their keys. An enumeration is not a text.
    """
    return _walk(value, private)  # type: ignore[no-any-return]


def _walk(value: Any, private: Private) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return redact(value, private)
    if isinstance(value, tuple | list):
        return type(value)(_walk(each, private) for each in value)
    if isinstance(value, dict):
        return {_walk(name, private): _walk(each, private) for name, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _walk(getattr(value, each.name), private) for each in fields(value)})
    return value
