"""The releases of a package, as the user's pip sees them, with dates and yanked marks where the index tells."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.errors import ConfigError, InfrastructureError
from harness.matrix import indexpage
from harness.matrix.cache import AnswerCache, age
from harness.matrix.places import nearest

PIP_TIMEOUT_SECONDS = 120
DEFAULT_INDEX = "https://pypi.org/simple"


@dataclass(frozen=True)
class Release:
    """One release: its version, when its first file was uploaded (None: unknown), and why it was yanked (None: not)."""

    version: Version
    uploaded: datetime | None = None
    yanked: str | None = None


@dataclass(frozen=True)
class Listing:
    """Releases by package, ascending by version (which is not the order of their dates), and what to tell the user."""

    releases: Mapping[str, tuple[Release, ...]]
    warnings: tuple[str, ...] = ()


def list_releases(packages: Iterable[str], folder: Path, known: Iterable[str] = ()) -> Listing:
    """List the releases of several packages at once, from answers less than an hour old where there are any.

    Args:
        packages: Names as the index has them.
        folder: Where answers are kept.
        known: Names to suggest from when a package does not exist.

    Raises:
        ConfigError: no index has a package of this name.
        InfrastructureError: the index cannot be reached and nothing is kept.
    """
    names = tuple(dict.fromkeys(canonicalize_name(package) for package in packages))
    answers = AnswerCache(folder)
    suggestions = tuple(known)

    def ask(name: str) -> tuple[tuple[Release, ...], str | None]:
        answer = answers.ask(_question(name), lambda: _encode(fetch_releases(name, suggestions)))
        if answer.stale is None:
            return _decode(answer.value), None
        warning = f"the package index does not answer; the list of {name} releases is {age(answer.stale)} old"
        return _decode(answer.value), warning

    with ThreadPoolExecutor(max_workers=max(1, min(8, len(names)))) as pool:
        found = dict(zip(names, pool.map(ask, names), strict=True))
    return Listing(
        {name: releases for name, (releases, _) in found.items()},
        tuple(warning for _, warning in found.values() if warning),
    )


def kept_releases(package: str, folder: Path) -> tuple[tuple[Release, ...], float] | None:
    """Return the releases of a kept answer and, past its hour, its age in seconds (else 0); None where none is kept."""
    try:
        answer = AnswerCache(folder).ask(_question(package), _nobody)
    except InfrastructureError:
        return None
    return _decode(answer.value), answer.stale or 0.0


def _nobody() -> NoReturn:
    raise InfrastructureError("the index is not asked")


def _question(package: str) -> str:
    """Name what is asked, with what else decides the answer: this Python, and an index set by the environment."""
    sources = [os.environ.get(name, "") for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")]
    return " ".join(("releases", package, *map(str, sys.version_info[:2]), *sources))


def fetch_releases(package: str, known: Iterable[str] = ()) -> tuple[Release, ...]:
    """Ask the index for one package's releases, ascending by version.

    pip says which releases there are for this user (its indexes, mirrors, find-links); it hides the yanked ones, so
    these come, with the dates, from the index's page.

    Raises:
        ConfigError: no index has a package of this name.
        InfrastructureError: the index cannot be reached.
    """
    settings = pip_settings()
    versions = _pip_versions(package, known)
    files = indexpage.fetch(settings.get("index-url", DEFAULT_INDEX), package, settings.get("cert"))
    return combine(versions, files)


def combine(versions: Iterable[Version], files: Iterable[indexpage.IndexFile]) -> tuple[Release, ...]:
    """Join what pip lists with what the page tells; a release is yanked when all its files are."""
    by_version: dict[Version, list[indexpage.IndexFile]] = {}
    for file in files:
        by_version.setdefault(file.version, []).append(file)
    listed = set(versions)
    yanked = {version for version, group in by_version.items() if all(file.yanked is not None for file in group)}
    return tuple(_release(version, by_version.get(version, [])) for version in sorted(listed | yanked))


def _release(version: Version, files: list[indexpage.IndexFile]) -> Release:
    dates = [file.uploaded for file in files if file.uploaded is not None]
    reasons = [file.yanked for file in files if file.yanked is not None]
    yanked = reasons[0] if files and len(reasons) == len(files) else None
    return Release(version, min(dates, default=None), yanked)


def _pip_versions(package: str, known: Iterable[str]) -> tuple[Version, ...]:
    with tempfile.TemporaryDirectory(prefix="harness-pip-") as folder:
        log = Path(folder, "log.txt")
        arguments = ("index", "versions", package, "--json", "--pre", "--retries", "2", "--no-input", "--log", str(log))
        done = _pip(*arguments)
        unreachable = _unreachable(log)
    if unreachable:
        # pip carries on with the sources that did answer, and its list may then lack releases without a word
        raise InfrastructureError(f"the package index does not answer for {package} ({unreachable}).")
    if done.returncode:
        near = nearest(package, (name for name in known if name != package))
        hint = f'; did you mean "{near}"?' if near else "."
        raise ConfigError(f'no index that pip is set to use has a release of "{package}" for this Python{hint}')
    found = json.loads(done.stdout)["versions"]
    return tuple(version for text in found if (version := _version(text)) is not None)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _unreachable(log: Path) -> str | None:
    """Return the reason why pip left a source out, read from its log; a source that lacks the package is no reason."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    for line in text.splitlines():
        _, found, rest = line.partition("Could not fetch URL ")
        if found and "404 Client Error" not in rest:
            return rest.partition(": ")[2].removesuffix(" - skipping") or "no reason given"
    return None


@cache
def pip_settings() -> Mapping[str, str]:
    """Return what pip is configured to use (``index-url``, ``cert``, …); the environment wins over the files."""
    done = _pip("config", "list")
    return parse_settings(done.stdout) if done.returncode == 0 else {}


def parse_settings(text: str) -> dict[str, str]:
    """Read the output of ``pip config list``: sections ``global``, then ``index``, then the environment win."""
    sections: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.strip().rpartition(".")
        try:
            sections.setdefault(section, {})[name] = str(ast.literal_eval(value))
        except (ValueError, SyntaxError):
            continue  # a line of another kind, such as a warning
    return sections.get("global", {}) | sections.get("index", {}) | sections.get(":env:", {})


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"pip cannot list releases: {error}.") from error


def _encode(releases: Iterable[Release]) -> list[list[Any]]:
    return [[str(one.version), one.uploaded and one.uploaded.isoformat(), one.yanked] for one in releases]


def _decode(rows: Iterable[tuple[str, str | None, str | None]]) -> tuple[Release, ...]:
    return tuple(
        Release(Version(version), datetime.fromisoformat(uploaded) if uploaded else None, yanked)
        for version, uploaded, yanked in rows
    )
