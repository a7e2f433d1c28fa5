"""Choose the repository of a failure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from harness.report.issue.model import Target
from harness.report.templates import tracker_url
from harness.search.links import repository_of


def frame_of(signature: str) -> str:
    """Return the frame at the end of a signature (``accelerate/utils/modeling.py:set_module_tensor``), or nothing."""
    head, at, frame = signature.rpartition(" @ ")
    return frame if head and at else ""


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
    the frame that raised it is in a package                   the package's
    the scenario was written for a tracker                     its repository
    a search found a release or commit of a package            the package's
    only one package differs in the comparison                 the package's
    anything else                                              none
    ========================================================== ============

    Args:
        signature: the whole signature.
        known: package → repository.
        trackers: (tracker, ``signature`` or ``scenario``), the most certain first.
        frames: import names of the packages in the traceback, innermost first.
        changed: packages that differ between the failing and the passing cell.
        pinned: those of them that the matrix sets.
        searched: the package that a search names; empty without one.
    """
    frame, frames = frame_of(signature), tuple(frames)
    module = _module(frame, frames)
    tracked = {kind: tracker.partition("#")[0] for tracker, kind in reversed(trackers) if tracker_url(tracker)}
    only = changed[0] if len(changed) == 1 else ""
    choices = (
        (tracked.get("signature"), "this failure is tracked there"),
        (repository_of(module, known), f"raised in {frame}"),
        (tracked.get("scenario"), "the scenario was written for an issue there"),
        (repository_of(searched, known), f"the search names {searched}"),
        (repository_of(only, known), f"{only} is the only package that differs"),
    )
    chosen, reason = next(((name, why) for name, why in choices if name), ("", _unknown(searched or module)))
    involved: dict[str, str] = {}
    ways = (
        ((module,), f"raised in {frame}"),
        ((searched,), "the search names it"),
        (frames, "in the traceback"),
        (pinned, "its versions differ"),
    )
    for names, why in ways:
        for name in filter(None, (repository_of(each, known) for each in names)):
            involved.setdefault(name, why)
    others = tuple((name, why) for name, why in involved.items() if name != chosen)
    return Target(chosen, reason, others)


def _module(frame: str, frames: Collection[str]) -> str:
    """Return the import name of the package that contains a frame; empty for the scenario's own file.

    A single-file module (``six.py:f``) is a package only if the traceback says so.
    """
    head, folder, _ = frame.partition("/")
    if folder:
        return head
    name = frame.partition(":")[0].removesuffix(".py")
    return name if name in frames else ""


def _unknown(package: str) -> str:
    if package:
        return f"no GitHub repository is known for {package}; add it under [repositories]"
    return "the traceback names no package"
