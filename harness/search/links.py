"""Pages on GitHub: the repository of a package, and its releases, commits and pull requests; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.utils import canonicalize_name

from harness.matrix.git import DEFAULT_REPOSITORIES, SHORT_SHA, Commit

GITHUB = re.compile(r"(?:https?://(?:[^@/]+@)?|(?:ssh://)?git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?")
# Packages that are installed with the ones under test, and are not named as ``dev`` or ``git:`` in a matrix.
COMPANIONS: Mapping[str, str] = {
    "huggingface-hub": "https://github.com/huggingface/huggingface_hub",
    "safetensors": "https://github.com/huggingface/safetensors",
    "tokenizers": "https://github.com/huggingface/tokenizers",
}
WITHOUT_V = {"bitsandbytes"}  # its tags are ``0.49.2``, those of the others ``v5.4.0``
RELEASE = re.compile(r"\d+(?:\.\d+)+(?:(?:a|b|rc|\.post)\d+)?")


def github_page(address: str) -> str | None:
    """Return the page of a repository on GitHub, None for any other."""
    found = GITHUB.fullmatch(address)
    return f"https://github.com/{found[1]}" if found else None


def commit_links(page: str, before: str, commit: Commit) -> tuple[str, ...]:
    """Return where a commit, what it changed against the one before, and its pull request are shown."""
    pull = (f"{page}/pull/{commit.pull}",) if commit.pull is not None else ()
    return (f"{page}/commit/{commit.sha}", f"{page}/compare/{before[:SHORT_SHA]}...{commit.short}", *pull)


def repositories(own: Mapping[str, str]) -> dict[str, str]:
    """Return package → ``owner/name`` of those on GitHub; those of the matrix (``own``) take precedence."""
    known = {**COMPANIONS, **DEFAULT_REPOSITORIES, **own}
    pages = {name: github_page(address.removeprefix("git+")) for name, address in known.items()}
    return {name: page.removeprefix("https://github.com/") for name, page in pages.items() if page}


def repository_of(module: str, known: Mapping[str, str]) -> str | None:
    """Return the repository of a package or import name (``huggingface_hub``)."""
    wanted = canonicalize_name(module)
    return next((repository for name, repository in known.items() if canonicalize_name(name) == wanted), None)


def compare_link(package: str, before: str, after: str, known: Mapping[str, str]) -> str:
    """Return the page with all commits between two releases; empty without a known repository or release."""
    repository = repository_of(package, known)
    if repository is None or not RELEASE.fullmatch(before) or not RELEASE.fullmatch(after):
        return ""
    return f"https://github.com/{repository}/compare/{_tag(package, before)}...{_tag(package, after)}"


def _tag(package: str, release: str) -> str:
    return release if canonicalize_name(package) in WITHOUT_V else f"v{release}"
