"""Read what a user has installed: a lock, requirements, ``pip freeze``, ``pip list``, what conda writes; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.matrix.cell import Pin

HARNESS = frozenset(  # what the probe brings into every cell, with what that needs alone
    {"pytest", "pytest-json-report", "pytest-metadata", "pluggy", "iniconfig", "exceptiongroup", "tomli", "pygments"}
)
INSTALLERS = frozenset({"pip", "uv", "wheel", "conda"})
BROUGHT = re.compile(r"nvidia-|cuda-|triton$|pytorch-triton")  # torch names these exactly: they come with its build
OPTION = re.compile(r"--?[A-Za-z]")
CONDA = re.compile(r"([A-Za-z0-9_.-]+)=([^=\s]+)=(\S+)$")
CONDAS = "left out, conda's and not pip's"
ENVIRONMENT = re.compile(r"^dependencies:\s*$", re.MULTILINE)  # in an environment.yml of conda
FROM_PIP = "pypi_0"  # the build that conda gives to what pip installed
LISTED = re.compile(r"([A-Za-z0-9][\w.-]*)\s+v?(\d\S*)(\s+\S.*)?$")
HEADING = re.compile(r"(Package\s+Version\b.*|[-\s]+)$")


@dataclass(frozen=True)
class Pinned:
    """What a text names: requirements with an exact version or an address, others, and what was not used and why."""

    pins: tuple[Pin, ...]
    open: tuple[Pin, ...]  # no exact version: the resolver decides
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Line:
    """One line: its pin, whether that is exact, and what a note says of it; without a pin it is left out."""

    pin: Pin | None = None
    exact: bool = True
    reason: str = ""


def read_pinned(text: str) -> Pinned:
    """Read a text line by line; what cannot be used is in a note with its reason, each reason once."""
    of_conda = ENVIRONMENT.search(text) is not None
    read = dict(_environment(text)) if of_conda else {line: _read(line) for line in _lines(text)}
    told: dict[str, list[str]] = {}
    for line, found in read.items():
        if found.reason:
            told.setdefault(found.reason, []).append(line)
    return Pinned(
        pins=tuple(found.pin for found in read.values() if found.pin and found.exact),
        open=tuple(found.pin for found in read.values() if found.pin and not found.exact),
        notes=tuple(f"{reason}: {', '.join(lines)}" for reason, lines in told.items()),
    )


def is_implicit(package: str) -> bool:
    """Tell whether a package is never a change of its own: the harness's, an installer, a part of torch's build."""
    return package in HARNESS or package in INSTALLERS or BROUGHT.match(package) is not None


def exact_pin(package: str, version: str, *, transitive: bool = False) -> Pin:
    """Return the pin of what a lock says: a version without its local part (``+cu130``), or an address."""
    if "://" in version:
        commit = re.search(r"@([0-9a-f]{7,40})(?:#|$)", version)
        label = f"git@{commit[1][:8]}" if commit else version.rpartition("/")[2]
        return Pin(package, label, f"{package} @ {version}", transitive=transitive)
    public = _public(version)
    return Pin(package, public, f"{package}=={public}", transitive=transitive)


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _lines(text: str) -> Iterator[str]:
    """Yield requirements without comments, hashes and continuation marks."""
    joined = re.sub(r"\\\s*\n", " ", text.removeprefix("\ufeff"))
    for line in joined.splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line)
        bare = re.sub(r"\s+--(hash|config-settings|global-option)[= ]\S+", "", bare).strip()
        if bare and not HEADING.match(bare):
            yield bare


def _environment(text: str) -> Iterator[tuple[str, _Line]]:
    """Yield the packages of an environment.yml: those below ``pip:`` as pip has them, the others are conda's."""
    section, below = "", None
    for line in text.removeprefix("\ufeff").splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).rstrip()
        if key := re.match(r"(\w+):", bare):
            section, below = key[1], None
        item = re.match(r"(\s*)-\s+(.*)$", bare)
        if section != "dependencies" or item is None:
            continue
        indent, what = len(item[1]), item[2].strip("'\"")
        if what == "pip:":
            below = indent
        elif below is not None and indent > below:
            yield what, _read(what)
        else:
            below = None
            yield what, _Line(reason=CONDAS)


def _read(line: str) -> _Line:
    if line.startswith(("-e ", "-e=", "--editable")):
        return _Line(reason="left out, installed from a working copy")
    if OPTION.match(line):
        return _Line(reason="left out, an option of pip (the index is the one that pip is set to use)")
    conda = CONDA.match(line)
    if conda:
        return _read(f"{conda[1]}=={conda[2]}") if conda[3] == FROM_PIP else _Line(reason=CONDAS)
    listed = LISTED.match(line)
    third = (listed[3] or "").split()[:1] if listed else []  # where it lies (pip list), or its build (conda list)
    if third and third[0] != FROM_PIP:
        local = "/" in third[0] or "\\" in third[0]
        return _Line(reason="left out, installed from a working copy" if local else CONDAS)
    try:
        found = Requirement(f"{listed[1]}=={listed[2]}" if listed else line)
    except InvalidRequirement:
        return _Line(reason="left out, no requirement of a package")
    return _requirement(found)


def _requirement(found: Requirement) -> _Line:
    name = str(canonicalize_name(found.name))
    if BROUGHT.match(name):
        return _Line(reason="left out, torch brings its own")
    if is_implicit(name):
        return _Line(reason="left out, the harness brings its own")
    if found.url is not None:
        ours = found.url.startswith("file:")
        there = "left out, a file of the machine it was on (pip list --format=freeze names its version)"
        return _Line(reason=there) if ours else _Line(exact_pin(name, found.url))
    extras = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
    marker = f"; {found.marker}" if found.marker else ""
    exact = re.fullmatch(r"={2,3}([^*,]+)", str(found.specifier))
    if exact is None:
        pin = Pin(name, str(found.specifier) or "any", f"{name}{extras}{found.specifier}{marker}")
        return _Line(pin, exact=False, reason="names no exact version, the index decides now")
    public = _public(exact[1])
    reason = "" if public == exact[1] else "taken in the build that fits this machine"
    return _Line(Pin(name, public, f"{name}{extras}=={public}{marker}"), reason=reason)
