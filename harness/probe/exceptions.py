"""Describe an exception as plain data: type, message, and frames with paths that are the same on every machine."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from types import TracebackType
from typing import Any

import pytest

TEXT_LIMIT = 20_000  # characters of a printed traceback that are kept: its end, with the cause


def describe(error: BaseException, when: str, root: str) -> dict[str, Any]:
    """Describe ``error`` as a JSON-ready mapping: when, type, message, frames outermost first, text.

    ``root`` is the scenario's folder: paths below it are written relative to it.
    """
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "when": when,
        "type": type_name(type(error)),
        "message": message(error)[:4000],
        "frames": frames(error.__traceback__, root),
        "text": text[-TEXT_LIMIT:],
    }


def message(error: BaseException) -> str:
    """Return the message of an exception; for an unknown fixture, which pytest describes in its own way, its name."""
    if isinstance(error, pytest.FixtureLookupError) and error.argname:
        return f"fixture {error.argname!r} not found"
    return str(error)


def type_name(kind: type[BaseException]) -> str:
    """Return the name of an exception type with its module; a builtin type has none."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def frames(trace: TracebackType | None, root: str) -> list[dict[str, Any]]:
    """Return the frames of a traceback, outermost first, without those of pytest and the probe."""
    found = []
    for frame, line in traceback.walk_tb(trace):
        path, package = locate(frame.f_code.co_filename, root)
        if package not in {"_pytest", "pluggy", "pytest"} and not path.startswith("harness/"):
            found.append({"path": path, "function": frame.f_code.co_name, "line": line, "package": package})
    return found


def locate(filename: str, root: str) -> tuple[str, str | None]:
    """Return a path without machine-specific parts, and its top-level package, if any.

    The path of an editable install has no ``site-packages``: its package is looked up in ``sys.modules``.
    """
    path = filename.replace(os.sep, "/")
    for marker in ("/site-packages/", "/dist-packages/"):
        if marker in path:
            relative = path.rsplit(marker, 1)[1]
            return relative, relative.split("/", 1)[0].removesuffix(".py")

    for folder, package in ((root, None), (_probe_root(), None), (sysconfig.get_paths()["stdlib"], None)):
        prefix = folder.replace(os.sep, "/").rstrip("/") + "/"
        if path.startswith(prefix):
            return path[len(prefix) :], package

    return _locate_in_place(path)


def _probe_root() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _locate_in_place(path: str) -> tuple[str, str | None]:
    parts = path.split("/")
    for index in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(parts[index])
        origin = getattr(module, "__file__", None) or ""
        if origin.replace(os.sep, "/") == "/".join([*parts[: index + 1], "__init__.py"]):
            return "/".join(parts[index:]), parts[index]
    return parts[-1], None
