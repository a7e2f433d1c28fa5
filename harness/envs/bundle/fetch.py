"""Fetch the wheels that locks name, through pip with the user's own settings, and keep them for the next bundle."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from harness.envs.bundle.target import Target
from harness.envs.explain import is_network
from harness.errors import ConfigError, InfrastructureError

DOWNLOAD_SECONDS = 3600.0
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAME = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def requirements(text: str) -> list[str]:
    """Split a lock into its entries, each with its hashes on the lines that follow."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def fetch(entries: Iterable[str], target: Target, cache: Path, said: Callable[[str], None]) -> dict[str, Path]:
    """Return entry → wheel for every entry of the locks, downloaded now or before; the hash of each is checked.

    Raises:
        ConfigError: an entry has no wheel for the target, or is a commit or a folder.
        InfrastructureError: the index cannot be reached.
    """
    wanted = sorted(set(entries))
    for entry in wanted:
        if NAME.match(entry) is None:
            raise ConfigError(f"a bundle holds released wheels; {entry.split()[0]} is a commit or a folder")
    found = {entry: wheel for entry in wanted if (wheel := _kept(_folder(entry, target, cache))) is not None}
    missing = [entry for entry in wanted if entry not in found]
    for round_ in _rounds(missing):
        said(f"downloading {len(round_)} wheels")
        _download(round_, target, cache)
    found |= {entry: wheel for entry in missing if (wheel := _kept(_folder(entry, target, cache))) is not None}
    for entry in wanted:
        _check(entry, found[entry])
    return found


def _folder(entry: str, target: Target, cache: Path) -> Path:
    key = f"{entry}\n{target.python}\n{target.platform}"
    return cache / hashlib.sha256(key.encode()).hexdigest()[:24]


def _kept(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("*.whl"))), None)


def _rounds(entries: Sequence[str]) -> list[list[str]]:
    """Share the entries out so that none of the lists has two versions of a package: pip takes one at a time."""
    rounds: list[dict[str, str]] = []
    for entry in entries:
        name = _name(entry)
        place = next((one for one in rounds if name not in one), None)
        if place is None:
            rounds.append(place := {})
        place[name] = entry
    return [list(one.values()) for one in rounds]


def _name(entry: str) -> str:
    return str(canonicalize_name(entry.split("==", 1)[0]))


def _download(entries: Sequence[str], target: Target, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as scratch:
        listing = Path(scratch, "wheels.txt")
        listing.write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += [*target.pip_arguments(), "--dest", scratch, "-r", str(listing)]
        _run(command, target)
        by_name = {str(parse_wheel_filename(wheel.name)[0]): wheel for wheel in Path(scratch).glob("*.whl")}
        for entry in entries:
            folder = _folder(entry, target, cache)
            folder.mkdir(exist_ok=True)
            wheel = by_name[_name(entry)]
            os.replace(wheel, folder / wheel.name)


def _run(command: list[str], target: Target) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise InfrastructureError(f"the wheels were not downloaded within {DOWNLOAD_SECONDS:.0f} s") from late
    if done.returncode == 0:
        return
    missing = re.search(r"No matching distribution found for (\S+)", done.stderr)
    if missing is not None and not is_network(done.stderr):
        raise ConfigError(no_wheel(missing[1], target))
    last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
    raise InfrastructureError(f"the wheels could not be downloaded: {last.removeprefix('ERROR: ')}")


def no_wheel(package: str, target: Target) -> str:
    """Say that a package is there only as source."""
    where = f"Python {target.python} on {target.platform}"
    return (
        f"{package} has no wheel for {where}; a bundle holds wheels only, build one and name its folder in find-links"
    )


def _check(entry: str, wheel: Path) -> None:
    digest = sha256(wheel)
    if digest not in HASH.findall(entry):
        raise InfrastructureError(
            f"{wheel} is not what the lock of {entry.split(maxsplit=1)[0]} names: delete it and try again"
        )


def sha256(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
