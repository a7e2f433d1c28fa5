"""What leaves the machine goes through here: texts, and values with every text in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from harness.report.conceal import conceal
from harness.report.paths import paths_to_hide, redact
from harness.report.private import Private, private_of
from harness.store.records import RunRecord

__all__ = ["for_outside", "paths_to_hide", "redact", "redacted", "value_for_outside"]
Value = TypeVar("Value")


def for_outside(text: str, run: RunRecord, folder: Path) -> str:
    """Return a text about a run without what must not leave the machine; :func:`conceal` has the table.

    Args:
        text: a draft, a script, a page.
        run: whose packages, versions and GPUs are known.
        folder: the run folder.
    """
    return conceal(text, private_of(run, folder))


def value_for_outside(value: Value, private: Private) -> Value:
    """Return a value with every text in it concealed: dataclasses, tuples, mappings and whatever they hold."""
    return _walk(value, partial(conceal, private=private))  # type: ignore[no-any-return]


def redacted(value: Value, hidden: Mapping[str, str]) -> Value:
    """Return a value with the paths in every text of it hidden."""
    return _walk(value, partial(redact, hidden=hidden))  # type: ignore[no-any-return]


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_walk(each, change) for each in value)
    if isinstance(value, dict):
        return {_walk(name, change): _walk(each, change) for name, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _walk(getattr(value, each.name), change) for each in fields(value)})
    return value
