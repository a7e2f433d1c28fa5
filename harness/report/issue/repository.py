"""Which repository a failure belongs to, by the frame that raised it; where its releases are compared. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from harness.matrix.git import DEFAULT_REPOSITORIES
from harness.report.html import tracker_url
from harness.report.issue.model import Target
from harness.search.commits import on_github

# Packages that come with the ones under test, and are not named as `dev` or `git:` in a matrix.
COMPANIONS: Mapping[str, str] = {
    "huggingface-hub": "https://github.com/huggingface/huggingface_hub",
    "safetensors": "https://github.com/huggingface/safetensors",
    "tokenizers": "https://github.com/huggingface/tokenizers",
}
WITHOUT_V = {"bitsandbytes"}  # its tags are ``0.49.2``, the others' are ``v5.4.0``
RELEASE = re.compile(r"\d+(?:\.\d+)+(?:(?:a|b|rc|\.post)\d+)?")


def repositories(own: Mapping[str, str]) -> dict[str, str]:
    """Return package → ``owner/name`` of those on GitHub; ``own`` are the matrix's, which come first."""
    known = {**COMPANIONS, **DEFAULT_REPOSITORIES, **own}
    pages = {name: on_github(address.removeprefix("git+")) for name, address in known.items()}
    return {name: page.removeprefix("https://github.com/") for name, page in pages.items() if page}


def of_import(module: str, known: Mapping[str, str]) -> str | None:
    """Return the repository of an import name (``huggingface_hub``)."""
    wanted = _plain(module)
    return next((repository for name, repository in known.items() if _plain(name) == wanted), None)


def frame_of(signature: str) -> str:
    """Return the place at the end of a signature (``accelerate/utils/modeling.py:set_module_tensor``), or nothing."""
    head, at, place = signature.rpartition(" @ ")
    return place if head and at else ""


def target(
    signature: str,
    known: Mapping[str, str],
    *,
    trackers: Sequence[tuple[str, str]],
    frames: Iterable[str],
    changed: Sequence[str],
    pinned: Sequence[str],
    searched: str = "",
) -> Target:
    """Choose the repository.

    ========================================================== ============
    a rule or known issue gives the failure a tracker          its repository
    the frame that raised it lies in a package                 the package's
    the scenario was written for a tracker                     its repository
    a search found the release or the commit of a package      the package's
    one package alone differs in the contrast                  the package's
    anything else                                              none
    ========================================================== ============

    Args:
        signature: the whole signature.
        known: package → repository.
        trackers: (tracker, ``signature`` or ``scenario``), the surest first.
        frames: import names of the packages that the traceback passes, innermost first.
        changed: packages that differ between the red and the green cell.
        pinned: those of them that the matrix sets.
        searched: the package in which a search found it; empty where none did.
    """
    place, frames = frame_of(signature), tuple(frames)
    module = _module(place, frames)
    raised_in = of_import(module, known)
    by_kind = {kind: _repository(tracker) for tracker, kind in reversed(trackers) if tracker_url(tracker)}
    only = of_import(changed[0], known) if len(changed) == 1 else None
    choices = (
        (by_kind.get("signature"), "this failure is tracked there"),
        (raised_in, f"raised in {place}"),
        (by_kind.get("scenario"), "what the scenario was written for is tracked there"),
        (of_import(searched, known), f"the search names {searched}"),
        (only, f"{changed[0] if changed else ''} is the only package that differs"),
    )
    chosen, reason = next(((name, why) for name, why in choices if name), ("", _unknown(searched or module)))
    involved: dict[str, str] = {}
    ways = (
        ((module,), f"raised in {place}"),
        ((searched,), "the search names it"),
        (frames, "in the traceback"),
        (pinned, "its versions differ"),
    )
    for names, why in ways:
        for name in filter(None, (of_import(each, known) for each in names)):
            involved.setdefault(name, why)
    others = tuple((name, why) for name, why in involved.items() if name != chosen)
    return Target(chosen, reason, others)


def _module(place: str, frames: Collection[str]) -> str:
    """Return the import name of the package that a place lies in; empty for the scenario's own file.

    A module that is one file (``six.py:f``) looks like a scenario: the frames tell that it is a package.
    """
    head, folder, _ = place.partition("/")
    if folder:
        return head
    alone = place.partition(":")[0].removesuffix(".py")
    return alone if alone in frames else ""


def _unknown(package: str) -> str:
    """Say why no repository is chosen."""
    if package:
        return f"no repository on GitHub is known for {package}; name it under [repositories]"
    return "nothing in the traceback names a package"


def compare_link(package: str, before: str, after: str, known: Mapping[str, str]) -> str:
    """Return the page with all commits between two releases; empty for an unknown repository or what is no release."""
    repository = of_import(package, known)
    if repository is None or not RELEASE.fullmatch(before) or not RELEASE.fullmatch(after):
        return ""
    first, last = tag(package, before), tag(package, after)
    return f"https://github.com/{repository}/compare/{first}...{last}"


def tag(package: str, release: str) -> str:
    """Return how a package's repository names a release."""
    return release if _plain(package) in WITHOUT_V else f"v{release}"


def _repository(tracker: str) -> str:
    return tracker.partition("#")[0]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
