"""Take the machine's own paths out of a text: text → text, given the paths to hide."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.envs.cache_dir import CacheDir
from harness.matrix.paths import install_root
from harness.store.records import RunRecord

# Anybody's home folder and anything up to site-packages, wherever the run was made: the paths of another machine are
# not known here.
HOMES = re.compile(r"(?<![\w.-])(?:[A-Za-z]:)?[\\/]+(?:home|Users)[\\/]+[^\\/\s'\":;,<>|()\[\]]+")
PACKAGES = re.compile(r"(?:[^\s'\"<>|()\[\],;=]*[\\/])?((?:site|dist)-packages(?=[\\/'\"\s]|$))")


def redact(text: str, hidden: Mapping[str, str]) -> str:
    """Replace every path of ``hidden`` (path → what to write instead), longest first, then homes and package folders.

    A path is replaced only as a whole or as the beginning of another: ``/root`` hides in ``/root/x``, not in
    ``/data/root`` or ``/rooted``.
    """
    if "/" not in text and "\\" not in text:
        return text
    for path in sorted(hidden, key=len, reverse=True):
        if path in text:
            text = re.sub(rf"(?<![\w.-]){re.escape(path)}(?![\w-]|\.\w)", lambda _, path=path: hidden[path], text)  # type: ignore[misc]
    return HOMES.sub("~", PACKAGES.sub(r"\1", text))


def paths_to_hide(run: RunRecord, folder: Path) -> dict[str, str]:
    """Return what to hide of a run: its folder, its scenarios' folders, the cache, the harness, the user's home."""
    scenarios = {Path(info.nodeid.split("::", 1)[0]).parent for info in run.scenarios}
    named = [
        (Path.home(), "~"),
        (Path(tempfile.gettempdir()), "<tmp>"),
        (install_root(), "<harness>"),
        (Path.cwd(), "."),
        *((path, "<scenarios>") for path in sorted(scenarios)),
        (CacheDir.of_user().root, "<cache>"),
        (folder, "<run>"),
    ]
    return {text: stand_in for path, stand_in in named for text in _spellings(path)}


def _spellings(path: Path) -> Iterable[str]:
    """Write a path as it stands and as it resolves; a root or a relative path hides nothing."""
    found = {str(each) for each in (path, path.resolve()) if path.is_absolute() and len(each.parts) > 1}
    return sorted(found)
