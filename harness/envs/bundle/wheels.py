"""Fetch the wheels that locks name, through pip with the user's own settings, and keep them for the next bundle."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from harness.envs.bundle.target import Target
from harness.envs.uv import is_network
from harness.errors import ConfigError, InfrastructureError
from harness.reporter import Reporter

DOWNLOAD_SECONDS = 3600.0


HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


NAME = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def requirements(text: str) -> list[str]:
    """Split a lock into its entries, each with its hashes on the lines that follow."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def fetch_wheels(entries: Iterable[str], target: Target, cache: Path, said: Reporter) -> dict[str, Path]:
    """Return entry → wheel for every entry of the locks, downloaded now or before; the hash of each is checked.

    Raises:
        ConfigError: an entry has no wheel for the target, or is a commit or a folder.
        InfrastructureError: the index cannot be reached.
    """
    wanted = sorted(set(entries))
    for entry in wanted:
        if NAME.match(entry) is None:
            raise ConfigError(f"a bundle holds released wheels; {entry.split()[0]} is a commit or a folder")
    found = {entry: wheel for entry in wanted if (wheel := _cached_wheel(_folder(entry, target, cache))) is not None}
    missing = [entry for entry in wanted if entry not in found]
    for round_ in _batches(missing):
        said(f"downloading {len(round_)} wheels")
        _download(round_, target, cache)
    found |= {entry: wheel for entry in missing if (wheel := _cached_wheel(_folder(entry, target, cache))) is not None}
    for entry in wanted:
        _check(entry, found[entry])
    return found


def _folder(entry: str, target: Target, cache: Path) -> Path:
    key = f"{entry}\n{target.python}\n{target.platform}"
    return cache / hashlib.sha256(key.encode()).hexdigest()[:24]


def _cached_wheel(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("*.whl"))), None)


def _batches(entries: Sequence[str]) -> list[list[str]]:
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


EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip file can tell


CUDA_LIBRARY = re.compile(r"bitsandbytes/libbitsandbytes_(cuda|rocm|xpu|hip|mps)(\w*)\.(so|dll|dylib)")


def store_wheel(wheel: Path, target: Path, keep: Callable[[str], bool] = lambda name: True) -> None:
    """Write ``wheel`` to ``target`` uncompressed, with the members that ``keep`` allows.

    Raises:
        ConfigError: the file is not a wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as source:
            names = sorted(name for name in source.namelist() if not name.endswith("/") and keep(name))
            record = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name))
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as sink:
                for name in [*(name for name in names if name != record), record]:  # RECORD last, as wheels have it
                    content = source.read(name)
                    mode = source.getinfo(name).external_attr >> 16 & 0o111
                    sink.writestr(_entry(name, mode), _record_of(content, set(names)) if name == record else content)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise ConfigError(f"{wheel.name} is not a wheel: {error or 'it has no RECORD'}") from error


def _entry(name: str, executable: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3  # Unix, whatever machine makes the bundle
    entry.external_attr = (0o100644 | executable) << 16
    return entry


def _record_of(record: bytes, names: set[str]) -> bytes:
    """Take lines of members that are gone out of ``RECORD``; the bytes stay where none is."""
    rows = list(csv.reader(io.StringIO(record.decode("utf-8"))))
    left = [row for row in rows if row and row[0] in names]
    if len(left) == len(rows):
        return record
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(left)
    return text.getvalue().encode("utf-8")


def keep_one_cuda(wheel: Path, cuda: str) -> Callable[[str], bool]:
    """Return what to keep of a bitsandbytes wheel for one CUDA version (``130``): that library and the CPU's.

    Raises:
        ConfigError: the wheel has no library for that version; those it has are in the sentence.
    """
    with zipfile.ZipFile(wheel) as source:
        found = [match for name in source.namelist() if (match := CUDA_LIBRARY.fullmatch(name))]
    versions = [match[2] for match in found if match[1] == "cuda"]
    if cuda not in versions:
        has = ", ".join(sorted(versions)) or "none"
        raise ConfigError(f"--cuda {cuda}: {wheel.name} has no library for it; it has {has}")

    def keep(name: str) -> bool:
        match = CUDA_LIBRARY.fullmatch(name)
        return match is None or (match[1], match[2]) == ("cuda", cuda)

    return keep


THINNED_PACKAGE = "bitsandbytes"


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
    texts: Sequence[str], target: Target, folder: Path, cache: Path, *, cuda: str | None, said: Reporter
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
    found = fetch_wheels((entry for text in texts for entry in requirements(text)), target, cache, said)
    said(f"storing {len(set(found.values()))} wheels")
    hashes = {}
    for entry, wheel in found.items():
        stored = folder / wheel.name
        if not stored.exists():
            thin = cuda is not None and str(parse_wheel_filename(wheel.name)[0]) == THINNED_PACKAGE
            store_wheel(wheel, stored, *([keep_one_cuda(wheel, cuda)] if thin and cuda else []))
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
