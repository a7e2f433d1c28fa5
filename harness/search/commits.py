"""Commits between two releases: their tags, the row that is searched, and how one is named: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.matrix.cell import Pin
from harness.matrix.git import SHORT_SHA, Commit

PATTERNS = ("v{}", "{}", "release-{}", "{package}-{}", "{package}-v{}", "rel/{}")
GITHUB = re.compile(r"(?:https?://(?:[^@/]+@)?|(?:ssh://)?git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def prefixes(package: str, pattern: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return what may stand before and after the version in a tag, the likeliest first."""
    names = dict.fromkeys((package, package.replace("-", "_")))
    texts = [one.replace("{package}", name) for one in PATTERNS for name in names] if pattern is None else [pattern]
    cut = (text.partition("{}") for text in dict.fromkeys(texts))
    return tuple((before, after) for before, _, after in cut)


def tag_of(package: str, release: str, tags: Iterable[str], pattern: str | None = None) -> str | None:
    """Return the tag of a release; ``v1.2`` and ``v1.2.0-rc1`` stand for what ``1.2.0`` and ``1.2.0rc1`` mean.

    Args:
        package: The normalized name, which some tags carry (``<package>-1.2.0``).
        release: The version as the index has it.
        tags: All tags of the repository.
        pattern: How tags are written here (``rel_{}``), instead of the usual ways.
    """
    known = list(tags)
    for before, after in prefixes(package, pattern):
        same = [tag for tag in known if version_in(tag, before, after) == Version(release)]
        if same:
            exact = f"{before}{release}{after}"
            return exact if exact in same else same[0]
    return None


def nearest_tags(package: str, release: str, tags: Iterable[str], pattern: str | None = None) -> tuple[str, ...]:
    """Return the tags of the releases before and after one that has none; the last of all where none is a version."""
    known, wanted = list(tags), Version(release)
    dated: dict[Version, str] = {}
    for before, after in prefixes(package, pattern):
        for tag in known:
            version = version_in(tag, before, after)
            if version is not None:
                dated.setdefault(version, tag)
    near = [*sorted(one for one in dated if one < wanted)[-1:], *sorted(one for one in dated if one > wanted)[:1]]
    return tuple(dated[one] for one in near) or tuple(known[-3:])


def version_in(tag: str, before: str, after: str) -> Version | None:
    """Read the version between what stands before and after it; None where it is none."""
    if not (tag.startswith(before) and tag.endswith(after)):
        return None
    try:
        return Version(tag[len(before) : len(tag) - len(after)])
    except InvalidVersion:
        return None


def commit_pin(package: str, address: str, commit: str, subfolder: str = "") -> Pin:
    """Return the pin of a commit: ``package @ git+<address>@<commit>``."""
    inside = f"#subdirectory={subfolder}" if subfolder else ""
    name = canonicalize_name(package)
    return Pin(name, f"git@{commit[:8]}", f"{name} @ git+{address}@{commit}{inside}")


@dataclass(frozen=True)
class Built:
    """What a package is built from: the repository, the commit by its whole name, the folder inside it."""

    address: str
    commit: str
    subfolder: str = ""


def built_from(text: str) -> Built | None:
    """Read an address as :func:`commit_pin` writes it (``git+<address>@<commit>``); None for anything else."""
    found = re.fullmatch(r"git\+(.+)@([0-9a-f]{40})(?:#subdirectory=(.+))?", text)
    return Built(found[1], found[2], found[3] or "") if found else None


def on_github(address: str) -> str | None:
    """Return the page of a repository on GitHub, None for any other."""
    found = GITHUB.fullmatch(address)
    return f"https://github.com/{found[1]}" if found else None


def links(page: str, before: str, commit: Commit) -> tuple[str, ...]:
    """Return where a commit, what it changed against the one before, and its pull request are shown."""
    pull = (f"{page}/pull/{commit.pull}",) if commit.pull is not None else ()
    return (f"{page}/commit/{commit.sha}", f"{page}/compare/{before[:SHORT_SHA]}...{commit.short}", *pull)
