"""What a script depends on: the lock of a cell, without what only the harness needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from harness.errors import ConfigError

HARNESS = ("pytest", "pytest-json-report")
# what these two bring, where the cell's own environment cannot be asked any more
THEIRS = frozenset({*HARNESS, "iniconfig", "pluggy", "pytest-metadata"})
WITH_TORCH = re.compile(r"nvidia-.*|cuda-.*|(?:pytorch-)?triton(?:-.*)?")  # torch names its own, exactly
SYSTEM = frozenset({"pip", "wheel", "distribute", "uv"})


def pins(packages: Mapping[str, str], needed: Collection[str]) -> list[str]:
    """Return the requirements of a script: ``transformers==5.2.0``, ``peft @ git+https://…@<commit>``.

    Args:
        packages: normalized name → version, or address of a commit, of the whole lock and its base.
        needed: those that belong to what is under test, see :func:`needed_by`.

    Raises:
        ConfigError: a package was installed from a folder.
    """
    found = []
    for name, version in sorted(packages.items()):
        if name not in needed or WITH_TORCH.fullmatch(name) or name in SYSTEM:
            continue
        if version.startswith("file:"):
            raise ConfigError(f"{name} was installed from a folder ({version}): nobody else has it, so no script can")
        found.append(f"{name} @ {version}" if "://" in version else f"{name}=={version.partition('+')[0]}")
    return found


def needed_by(roots: Iterable[str], packages: Collection[str], site_packages: Path | None) -> set[str]:
    """Return those of a lock's packages that the roots need, themselves included.

    ``site_packages`` is the folder of the cell's environment; without it what pytest alone brings is known by name.
    """
    wanted = set(roots)
    if site_packages is None:
        return set(packages) - (THEIRS - wanted)
    requires = {
        str(canonicalize_name(each.metadata["Name"])): list(_required(each))
        for each in metadata.distributions(path=[str(site_packages)])
        if each.metadata["Name"]
    }
    return set(packages) - (THEIRS | _closure(HARNESS, requires)) | (set(packages) & _closure(wanted, requires))


def _closure(names: Iterable[str], requires: Mapping[str, list[str]]) -> set[str]:
    waiting, found = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += requires.get(name, [])
    return found


def _required(distribution: metadata.Distribution) -> Iterable[str]:
    """Yield what a package requires on this platform without extras."""
    for text in distribution.requires or []:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield str(canonicalize_name(requirement.name))
