"""The wheels of a bundle: fetched, stored, thinned, and named with their new hashes in the locks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import parse_wheel_filename

from harness.envs.bundle.fetch import fetch, requirements, sha256
from harness.envs.bundle.target import Target
from harness.envs.bundle.wheelfile import one_cuda, store

THINNED = "bitsandbytes"


@dataclass(frozen=True)
class Wheelhouse:
    """A folder of stored wheels; ``hashes`` maps an entry of a lock to the digests it may be installed by."""

    folder: Path
    hashes: Mapping[str, tuple[str, str]]

    def relock(self, text: str) -> str:
        """Return a lock that names, for each entry, the wheel of the index and the one stored here."""
        lines = []
        for entry in requirements(text):
            hashes = " \\\n".join(f"    --hash=sha256:{digest}" for digest in dict.fromkeys(self.hashes[entry]))
            lines.append(f"{entry.split()[0]} \\\n{hashes}\n")
        return "".join(lines)


def make_wheelhouse(
    texts: Sequence[str], target: Target, folder: Path, cache: Path, *, cuda: str | None, said: Callable[[str], None]
) -> Wheelhouse:
    """Fetch every wheel of these locks, check it, and store it in ``folder``.

    Args:
        texts: requirements files with hashes.
        target: the machine the wheels are for.
        folder: where the stored wheels go.
        cache: where the wheels are kept as they came.
        cuda: the only CUDA version to keep in bitsandbytes (``130``); None keeps all.
        said: hears what is being done.

    Raises:
        ConfigError: a package has no wheel, or bitsandbytes none for that CUDA version.
        InfrastructureError: the index cannot be reached, or a wheel is not what the lock says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = fetch((entry for text in texts for entry in requirements(text)), target, cache, said)
    said(f"storing {len(set(found.values()))} wheels")
    hashes = {}
    for entry, wheel in found.items():
        stored = folder / wheel.name
        if not stored.exists():
            thin = cuda is not None and str(parse_wheel_filename(wheel.name)[0]) == THINNED
            store(wheel, stored, *([one_cuda(wheel, cuda)] if thin and cuda else []))
        hashes[entry] = (sha256(wheel), sha256(stored))
    return Wheelhouse(folder, hashes)


def cuda_version(text: str) -> str:
    """Read a CUDA version as bitsandbytes writes it: ``130``, ``13.0`` and ``cu130`` are one.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(?:cu)?(\d{2})\.?(\d)", text)
    if match is None:
        raise ValueError(text)
    return match[1] + match[2]
