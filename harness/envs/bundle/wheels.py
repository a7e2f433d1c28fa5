"""Download the wheels of locks with the user's pip, cache them, and store them in a bundle."""

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

from harness.envs.bundle.resolve import Target
from harness.envs.uv import is_network
from harness.errors import ConfigError, InfrastructureError
from harness.reporter import Reporter

DOWNLOAD_SECONDS = 3600.0
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAME = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip file
CUDA_LIBRARY = re.compile(r"bitsandbytes/libbitsandbytes_(cuda|rocm|xpu|hip|mps)(\w*)\.(so|dll|dylib)")
THINNED_PACKAGE = "bitsandbytes"


def requirements(text: str) -> list[str]:
    """Split a lock into its entries, each with its hashes."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def fetch_wheels(entries: Iterable[str], target: Target, cache: Path, report: Reporter) -> dict[str, Path]:
    """Return entry → wheel for the entries of locks, from the cache or downloaded; the hash of each wheel is checked.

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
    for batch in _batches(missing):
        report(f"downloading {len(batch)} wheels")
        _download(batch, target, cache)
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
    """Divide the entries into lists that have one version of a package each, as pip downloads one at a time."""
    batches: list[dict[str, str]] = []
    for entry in entries:
        name = _name(entry)
        batch = next((one for one in batches if name not in one), None)
        if batch is None:
            batches.append(batch := {})
        batch[name] = entry
    return [list(batch.values()) for batch in batches]


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
    """Return the sentence about a package without a wheel."""
    where = f"Python {target.python} on {target.platform}"
    return f"{package} has no wheel for {where}; a bundle holds wheels only: build one and add its folder to find-links"


def _check(entry: str, wheel: Path) -> None:
    digest = sha256(wheel)
    if digest not in HASH.findall(entry):
        raise InfrastructureError(
            f"{wheel} differs from the lock of {entry.split(maxsplit=1)[0]}: delete it and try again"
        )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def store_wheel(wheel: Path, target: Path, keep: Callable[[str], bool] = lambda name: True) -> None:
    """Write ``wheel`` to ``target`` uncompressed, with the members for which ``keep`` is true.

    Raises:
        ConfigError: the file is not a wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as source:
            names = sorted(name for name in source.namelist() if not name.endswith("/") and keep(name))
            record = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name))
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as sink:
                for name in [*(name for name in names if name != record), record]:  # RECORD is last in a wheel
                    content = source.read(name)
                    mode = source.getinfo(name).external_attr >> 16 & 0o111
                    sink.writestr(_entry(name, mode), _record_of(content, set(names)) if name == record else content)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise ConfigError(f"{wheel.name} is not a wheel: {error or 'it has no RECORD'}") from error


def _entry(name: str, executable: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3  # Unix, on every machine that makes the bundle
    entry.external_attr = (0o100644 | executable) << 16
    return entry


def _record_of(record: bytes, names: set[str]) -> bytes:
    """Return ``RECORD`` without the lines of removed members; unchanged if no member was removed."""
    rows = list(csv.reader(io.StringIO(record.decode("utf-8"))))
    left = [row for row in rows if row and row[0] in names]
    if len(left) == len(rows):
        return record
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(left)
    return text.getvalue().encode("utf-8")


def keep_one_cuda(wheel: Path, cuda: str) -> Callable[[str], bool]:
    """Return which members of a bitsandbytes wheel to keep for one CUDA version (``130``): its library and the CPU's.

    Raises:
        ConfigError: the wheel has no library for that version; the sentence lists the others.
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


@dataclass(frozen=True)
class Wheelhouse:
    """A folder of stored wheels; ``hashes`` maps an entry of a lock to the valid digests of its wheel."""

    folder: Path
    hashes: Mapping[str, tuple[str, str]]

    def relock(self, text: str) -> str:
        """Return a lock with the hashes of the wheel of the index and of the stored one."""
        lines = []
        for entry in requirements(text):
            hashes = " \\\n".join(f"    --hash=sha256:{digest}" for digest in dict.fromkeys(self.hashes[entry]))
            lines.append(f"{entry.split()[0]} \\\n{hashes}\n")
        return "".join(lines)


def make_wheelhouse(
    texts: Sequence[str], target: Target, folder: Path, cache: Path, *, cuda: str | None, report: Reporter
) -> Wheelhouse:
    """Download all wheels of these locks, check them, and store them in ``folder``.

    Args:
        texts: requirements files with hashes.
        target: the machine that the wheels are for.
        folder: the folder for stored wheels.
        cache: the folder for downloaded wheels.
        cuda: the only CUDA version to keep in bitsandbytes (``130``); None keeps all.
        report: receives the progress.

    Raises:
        ConfigError: a package has no wheel, or bitsandbytes no library for that CUDA version.
        InfrastructureError: the index cannot be reached, or a wheel differs from the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = fetch_wheels((entry for text in texts for entry in requirements(text)), target, cache, report)
    report(f"storing {len(set(found.values()))} wheels")
    hashes = {}
    for entry, wheel in found.items():
        stored = folder / wheel.name
        if not stored.exists():
            thin = cuda is not None and str(parse_wheel_filename(wheel.name)[0]) == THINNED_PACKAGE
            store_wheel(wheel, stored, *([keep_one_cuda(wheel, cuda)] if thin and cuda else []))
        hashes[entry] = (sha256(wheel), sha256(stored))

    return Wheelhouse(folder, hashes)


def cuda_version(text: str) -> str:
    """Return a CUDA version in the form of bitsandbytes: ``130`` for ``130``, ``13.0`` and ``cu130``.

    Raises:
        ValueError: the text is not a CUDA version.
    """
    match = re.fullmatch(r"(?:cu)?(\d{2})\.?(\d)", text)
    if match is None:
        raise ValueError(text)
    return match[1] + match[2]
