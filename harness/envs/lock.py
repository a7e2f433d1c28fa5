"""Lock cells: every package of every cell with version and hash, resolved by uv and cached for a day."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.envs import pip_config
from harness.envs.lock_input import LockInput, read_lock_input
from harness.envs.pip_config import UvSettings
from harness.envs.uv import UvResult, environment, error_paragraph, is_network, need_uv, run_uv
from harness.errors import HarnessError
from harness.matrix.cell import Cell

LIFETIME = 24 * 3600.0  # seconds, after which new releases of unpinned packages are used
RESOLVE_SECONDS = 900.0
NO_VERSION = re.compile(r"(?:there is no version of|no versions of) ([A-Za-z0-9._-]+)(?:==|\b)|(\S+) was not found in")


class CachedResolution(BaseModel):
    """A resolution (``text``), or the sentence why there is none; ``created`` in seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None
    sentence: str | None
    created: float

    def fresh(self, *, forever: bool) -> bool:
        """Return whether it can be used without asking the index again."""
        return forever or 0 <= time.time() - self.created < LIFETIME


def load_resolution(path: Path) -> CachedResolution | None:
    """Return a cached resolution, None if there is none or its form is unknown."""
    try:
        return CachedResolution.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def save_resolution(path: Path, text: str | None, sentence: str | None) -> None:
    """Write a resolution atomically."""
    entry = CachedResolution(text=text, sentence=sentence, created=time.time())
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(entry.model_dump_json())
    os.replace(name, path)


@dataclass(frozen=True)
class Lock:
    """One complete resolution; cells with equal hashes share one environment.

    Attributes:
        hash: identifies the environment.
        text: a requirements file with hashes. Comments at its beginning list packages of the base interpreter and
            digests of folders, which a requirements file cannot express.
        packages: normalized name → version of all packages, those of the base interpreter included.
        python: the Python version of the cell.
        base: the base interpreter.
    """

    hash: str
    text: str
    packages: dict[str, str]
    python: str
    base: str | None = None


@dataclass(frozen=True)
class Unsolvable:
    """A cell without a resolution, with the sentence of the resolver; ``network`` if the index could not be reached."""

    sentence: str
    network: bool = False


def resolve_cells(
    cells: Iterable[Cell], *, cache: Path, jobs: int, uv_settings: UvSettings | None = None
) -> dict[str, Lock | Unsolvable]:
    """Lock all cells, ``jobs`` at a time, and return cell id → lock, or why there is none.

    Resolutions are cached in ``cache`` under a digest of their input, for a day, or with ``as_of`` for ever. An older
    one is used if the index cannot be reached.

    Raises:
        InfrastructureError: uv or pip is missing.
    """
    need_uv()
    settings = pip_config.read_uv_settings() if uv_settings is None else uv_settings
    wanted, answers = _read_inputs(cells, settings)
    cache.mkdir(parents=True, exist_ok=True)
    unreachable = threading.Event()  # only the first cell waits for an index that does not answer

    def solve(question: LockInput) -> Lock | Unsolvable:
        return _cached(question, cache, settings, unreachable)

    distinct = {question.digest: question for question in wanted.values()}
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        solved = dict(zip(distinct, pool.map(solve, distinct.values()), strict=True))
    return {**answers, **{cell: solved[question.digest] for cell, question in wanted.items()}}


def _read_inputs(
    cells: Iterable[Cell], uv_settings: UvSettings
) -> tuple[dict[str, LockInput], dict[str, Lock | Unsolvable]]:
    wanted: dict[str, LockInput] = {}
    failed: dict[str, Lock | Unsolvable] = {}
    for cell in cells:
        try:
            wanted[cell.id] = read_lock_input(cell, uv_settings, os.environ)
        except HarnessError as error:  # the other cells can be locked
            failed[cell.id] = Unsolvable(str(error))
    return wanted, failed


def _cached(
    question: LockInput, cache: Path, uv_settings: UvSettings, unreachable: threading.Event
) -> Lock | Unsolvable:
    path = cache / f"{question.digest}.json"
    entry = load_resolution(path)
    if entry is not None and (entry.fresh(forever=question.as_of is not None) or unreachable.is_set()):
        return cached_lock(question, entry)
    with tempfile.TemporaryDirectory(prefix="harness-lock-") as folder:
        answer = _resolve(question, uv_settings, Path(folder))
    if isinstance(answer, Unsolvable) and answer.network:
        unreachable.set()
        return answer if entry is None else cached_lock(question, entry)
    save_resolution(path, answer.text if isinstance(answer, Lock) else None, getattr(answer, "sentence", None))
    return answer


def cached_lock(question: LockInput, entry: CachedResolution) -> Lock | Unsolvable:
    """Return the lock of a cached resolution."""
    if entry.text is None:
        return Unsolvable(entry.sentence or "")
    return read_lock(entry.text, question.python, question.base, question.platform)


def _resolve(question: LockInput, uv_settings: UvSettings, folder: Path) -> Lock | Unsolvable:
    """Resolve with uv, without the packages of the base that are on no index, such as the torch of an image."""
    absent: set[str] = set()
    layer = dict(question.layer)
    while True:
        answer = _ask(question, uv_settings, folder, absent)
        if answer.code == 0:
            text = comments(question) + answer.output
            return read_lock(text, question.python, question.base, question.platform)
        names = {str(canonicalize_name(a or b)) for a, b in NO_VERSION.findall(answer.errors)}
        unknown = (names & layer.keys()) - absent
        if not unknown:
            return Unsolvable(error_paragraph(answer.errors), network=is_network(answer.errors))
        absent |= unknown


def _ask(question: LockInput, uv_settings: UvSettings, folder: Path, absent: set[str]) -> UvResult:
    arguments = [*compile_arguments(question), *uv_settings.args]
    _write(folder / "cell.in", question.requirements)
    if question.layer:
        _write(folder / "base.txt", [f"{name}=={version}" for name, version in question.layer])
        arguments += ["--constraints", "base.txt"]
    if absent:
        _write(folder / "absent.txt", sorted(absent))
        arguments += ["--excludes", "absent.txt"]
    return run_uv(arguments, environment(uv_settings), folder, RESOLVE_SECONDS)


def compile_arguments(question: LockInput) -> list[str]:
    """Return the arguments of ``uv pip compile`` for an input."""
    arguments = ["pip", "compile", "cell.in", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"]
    if question.program is not None:
        arguments += ["--python", question.program]
    else:
        arguments += ["--python-version", question.python]
    if question.as_of is not None:
        arguments += ["--exclude-newer", question.as_of]
        for name in question.pinned:  # pins are not subject to as_of
            arguments += ["--exclude-newer-package", f"{name}=false"]
    for name, _ in question.layer:
        arguments += ["--no-emit-package", name]
    return arguments


def comments(question: LockInput) -> str:
    """Return the comments of a lock: packages of the base and digests of folders."""
    lines = [f"# base: {name}=={version}" for name, version in question.layer]
    lines += [f"# content: {name} {digest}" for name, digest in question.contents]
    return "".join(f"{line}\n" for line in lines)


def read_lock(text: str, python: str, base: str | None, platform: str) -> Lock:
    """Return the lock of a requirements file; its hash covers text, Python, platform and base."""
    normal = "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())
    content = "\n".join([normal, python, platform, base or ""])
    return Lock(
        hash=hashlib.sha256(content.encode()).hexdigest()[:16],
        text=normal,
        packages=packages_of(normal),
        python=python,
        base=base,
    )


def packages_of(text: str) -> dict[str, str]:
    """Return normalized name → version of a lock; for a commit or a folder its address."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# base: ") or line[:1].isalnum():
            requirement = Requirement(line.removeprefix("# base: ").rstrip("\\ "))
            version = requirement.url or str(requirement.specifier).removeprefix("==")
            found[str(canonicalize_name(requirement.name))] = version
    return dict(sorted(found.items()))


def base_layer(text: str) -> dict[str, str]:
    """Return name → version of the packages that a lock takes from its base interpreter."""
    lines = [line.removeprefix("# base: ") for line in text.splitlines() if line.startswith("# base: ")]
    return dict(line.split("==", 1) for line in lines)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
