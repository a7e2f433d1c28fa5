"""Version expressions and selectors: parsed and matched without the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from harness.matrix.cell import Cell, Pin

WORDS = ("latest", "dev", "installed")


FORMS = "5.1.0, >=5.0,<5.7, 5.1.x, 5.x.x, latest, latest:6, dev, git:<ref>, pr:<number>, path:<folder>, installed"


@dataclass(frozen=True)
class Exact:
    """One release by its number: ``5.1.0``."""

    version: Version


@dataclass(frozen=True)
class Range:
    """All releases in a specifier set (``>=5.0,<5.7``, ``5.1.x``), or the newest patch of each minor (``5.x.x``)."""

    specifiers: SpecifierSet
    newest_patches: bool = False

    def contains(self, version: Version, *, prereleases: bool = False) -> bool:
        """Return whether a release is in the set; pre-releases also are if the text names one."""
        return self.specifiers.contains(version, prereleases=prereleases or bool(self.specifiers.prereleases))


@dataclass(frozen=True)
class Latest:
    """The newest patch of each of the last ``minors`` minors: ``latest``, ``latest:6``."""

    minors: int = 1


@dataclass(frozen=True)
class GitRef:
    """A commit of the package's repository: ``dev`` (the default branch), ``git:<ref>``, ``pr:<number>``."""

    text: str
    ref: str | None = None
    pull: int | None = None


@dataclass(frozen=True)
class Folder:
    """A working copy: ``path:<folder>``."""

    folder: str


@dataclass(frozen=True)
class Installed:
    """The version in the base interpreter."""


Expression = Exact | Range | Latest | GitRef | Folder | Installed


def parse(text: str) -> Expression:  # noqa: PLR0911 - one return a form
    """Parse a version expression.

    Raises:
        ValueError: the text has none of the forms; the message is the predicate of a sentence.
    """
    word, colon, rest = text.partition(":")
    match word, bool(colon):
        case "latest", False:
            return Latest()
        case "latest", True if re.fullmatch(r"[1-9]\d*", rest):
            return Latest(int(rest))
        case "dev", False:
            return GitRef(text)
        case "git", True if re.fullmatch(r"[\w][\w./-]*", rest):
            return GitRef(text, ref=rest)
        case "pr", True if re.fullmatch(r"[1-9]\d*", rest):
            return GitRef(text, pull=int(rest))
        case "path", True if rest:
            return Folder(rest)
        case "installed", False:
            return Installed()
        case _:
            return _release(text)


def _release(text: str) -> Expression:
    if major := re.fullmatch(r"(\d+)\.x\.x", text):
        return Range(SpecifierSet(f"=={major[1]}.*"), newest_patches=True)
    if wildcard := re.fullmatch(r"(\d+(?:\.\d+)*)\.[x*]", text):
        return Range(SpecifierSet(f"=={wildcard[1]}.*"))
    if text[:1] in tuple("<>=!~"):
        try:
            return Range(SpecifierSet(text))
        except InvalidSpecifier:
            raise ValueError("is not a valid specifier (for example >=5.0,<5.7)") from None

    try:
        return Exact(Version(text))
    except InvalidVersion:
        raise ValueError(f"is not a version expression ({FORMS})") from None


def label_version(label: str) -> Version | None:
    """Return the version in a pin's label (``5.1.0``, ``installed@2.13.0+cpu``); None for a commit or a folder."""
    try:
        return Version(label.removeprefix("installed@"))
    except InvalidVersion:
        return None


Resolve = Callable[[str, str], Sequence[Pin]]


def selector_matches(row: Mapping[str, str], cell: Cell, resolve: Resolve) -> bool:
    """Return whether every key of a selector matches the cell.

    ========================  =====================================================================
    value for a package       matches
    ========================  =====================================================================
    a label                   the pin with this label (``dev@1a2b3c4d``, ``path:work``)
    an exact version          the release, and a local build of it (``2.13.0`` matches ``2.13.0+cpu``)
    a specifier, ``5.1.x``    every release in it, pre-releases included; never a commit or a folder
    ``latest``, ``latest:6``  the releases to which the expression resolves today
    ``dev``, ``git:``, ``pr:``  the pin of the same expression
    ``path:…``, ``installed``  the working copy; any version of the base interpreter
    ========================  =====================================================================

    For ``python`` a version (``3.11`` matches ``3.11.7``) or a specifier; for a variable its value.
    """
    return all(_matches(key, value, cell, resolve) for key, value in row.items())


def _matches(key: str, value: str, cell: Cell, resolve: Resolve) -> bool:
    if key == "python":
        return python_matches(value, cell.python)
    for pin in cell.pins:
        if pin.package == key:
            return pin_matches(value, pin, resolve)
    return dict(cell.variables).get(key) == value


def python_matches(value: str, python: str) -> bool:
    """Return whether a Python version has the parts of an exact version, or is in a specifier."""
    wanted = parse(value)
    if isinstance(wanted, Range):
        return wanted.contains(Version(python), prereleases=True)
    parts = value.split(".")
    return python.split(".")[: len(parts)] == parts


def pin_matches(value: str, pin: Pin, resolve: Resolve) -> bool:  # noqa: PLR0911 - one return a form
    """Return whether a value of a selector matches this pin; see :func:`selector_matches`."""
    if value == pin.label:
        return True
    if "@" in value:
        return False
    version = label_version(pin.label)
    match parse(value):
        case Exact(wanted):
            return version is not None and wanted in {version, Version(version.public)}
        case Range() as wanted:
            return version is not None and wanted.contains(version, prereleases=True)
        case GitRef(text):
            return pin.label.rpartition("@")[0] == text
        case Latest() | Folder():
            return any(pin.requirement == other.requirement for other in resolve(pin.package, value))
        case Installed():
            return pin.installed
