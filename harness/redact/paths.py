"""Replace the paths of a machine in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

# Paths of other machines are not known here: every home folder and everything up to site-packages is replaced.
HOMES = re.compile(r"(?<![\w.-])(?:[A-Za-z]:)?[\\/]+(?:home|Users)[\\/]+[^\\/\s'\":;,<>|()\[\]]+")
PACKAGES = re.compile(r"(?:[^\s'\"<>|()\[\],;=]*[\\/])?((?:site|dist)-packages(?=[\\/'\"\s]|$))")


def redact_paths(text: str, placeholders: Mapping[str, str]) -> str:
    """Replace every path of ``placeholders`` (path → placeholder), longest first, then homes and package folders.

    A path is replaced only as a whole or as the beginning of another: ``/root`` matches in ``/root/x``, not in
    ``/data/root`` or ``/rooted``.
    """
    if "/" not in text and "\\" not in text:
        return text
    for path in sorted(placeholders, key=len, reverse=True):
        if path in text:
            pattern = rf"(?<![\w.-]){re.escape(path)}(?![\w-]|\.\w)"
            text = re.sub(pattern, lambda _, path=path: placeholders[path], text)  # type: ignore[misc]
    return HOMES.sub("~", PACKAGES.sub(r"\1", text))


def path_placeholders(paths: Iterable[tuple[Path, str]]) -> tuple[tuple[str, str], ...]:
    """Return pairs of a spelling and its placeholder: each path as given and as resolved.

    A root and a relative path are left out. Of two entries for one path the later one wins.
    """
    return tuple({text: placeholder for path, placeholder in paths for text in _spellings(path)}.items())


def _spellings(path: Path) -> list[str]:
    return sorted({str(each) for each in (path, path.resolve()) if path.is_absolute() and len(each.parts) > 1})
