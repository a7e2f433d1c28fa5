"""Lock cells: every package of every cell with version and hash, resolved by uv and kept for a day."""

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
from harness.envs.lock_input import LockInput, gather
from harness.envs.pip_config import Carried
from harness.envs.uv import Answer, environment, is_network, need_uv, paragraph, run_uv
from harness.errors import HarnessError
from harness.matrix.cell import Cell

LIFETIME = 24 * 3600.0  # seconds: new releases of what no pin names should be seen within a day


class CachedAnswer(BaseModel):
    """A resolution (``text``), or the sentence that says why there is none; ``created`` in seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None
    sentence: str | None
    created: float

    def fresh(self, *, forever: bool) -> bool:
        """Tell whether it may be used without asking the index again."""
        return forever or 0 <= time.time() - self.created < LIFETIME


def load_answer(path: Path) -> CachedAnswer | None:
    """Return what is on disk, None where nothing is or another version of the harness wrote it."""
    try:
        return CachedAnswer.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def save_answer(path: Path, text: str | None, sentence: str | None) -> None:
    """Write an entry so that a reader sees all of it or the one before."""
    entry = CachedAnswer(text=text, sentence=sentence, created=time.time())
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(entry.model_dump_json())
    os.replace(name, path)


RESOLVE_SECONDS = 900.0


NO_VERSION = re.compile(r"(?:there is no version of|no versions of) ([A-Za-z0-9._-]+)(?:==|\b)|(\S+) was not found in")


@dataclass(frozen=True)
class Lock:
    """One complete resolution: two cells with the same ``hash`` are one environment.

    ``text`` is a requirements file with hashes. Comment lines in front name what it cannot say: packages that
    come from the base interpreter, and the content of folders. ``packages`` holds both, normalized name → version.
    """

    hash: str
    text: str
    packages: dict[str, str]
    python: str
    base: str | None = None


@dataclass(frozen=True)
class Unsolvable:
    """A cell that has no resolution, with the resolver's sentence; ``network`` when the index could not be asked."""

    sentence: str
    network: bool = False


def resolve_cells(
    cells: Iterable[Cell], *, cache: Path, jobs: int, carried: Carried | None = None
) -> dict[str, Lock | Unsolvable]:
    """Lock every cell, ``jobs`` at a time, and return cell id → lock, or why there is none.

    Resolutions live in ``cache`` under a digest of their input and count for a day, or for ever with ``as_of``. An
    older one is used when the index cannot be reached.

    Raises:
        InfrastructureError: uv or pip is missing.
    """
    need_uv()
    settings = pip_config.read() if carried is None else carried
    wanted, answers = _gather_all(cells, settings)
    cache.mkdir(parents=True, exist_ok=True)
    unreachable = threading.Event()  # one dead index need not be waited for by every cell

    def solve(question: LockInput) -> Lock | Unsolvable:
        return _cached(question, cache, settings, unreachable)

    distinct = {question.digest: question for question in wanted.values()}
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        solved = dict(zip(distinct, pool.map(solve, distinct.values()), strict=True))
    return {**answers, **{cell: solved[question.digest] for cell, question in wanted.items()}}


def _gather_all(cells: Iterable[Cell], carried: Carried) -> tuple[dict[str, LockInput], dict[str, Lock | Unsolvable]]:
    wanted: dict[str, LockInput] = {}
    failed: dict[str, Lock | Unsolvable] = {}
    for cell in cells:
        try:
            wanted[cell.id] = gather(cell, carried, os.environ)
        except HarnessError as error:  # one cell's mistake is that cell's row
            failed[cell.id] = Unsolvable(str(error))
    return wanted, failed


def _cached(question: LockInput, cache: Path, carried: Carried, unreachable: threading.Event) -> Lock | Unsolvable:
    path = cache / f"{question.digest}.json"
    entry = load_answer(path)
    if entry is not None and (entry.fresh(forever=question.as_of is not None) or unreachable.is_set()):
        return answer_of(question, entry)
    with tempfile.TemporaryDirectory(prefix="harness-lock-") as folder:
        answer = _resolve(question, carried, Path(folder))
    if isinstance(answer, Unsolvable) and answer.network:
        unreachable.set()
        return answer if entry is None else answer_of(question, entry)
    save_answer(path, answer.text if isinstance(answer, Lock) else None, getattr(answer, "sentence", None))
    return answer


def answer_of(question: LockInput, entry: CachedAnswer) -> Lock | Unsolvable:
    """Turn a cached resolution back into a lock."""
    if entry.text is None:
        return Unsolvable(entry.sentence or "")
    return read_lock(entry.text, question.python, question.base, question.platform)


def _resolve(question: LockInput, carried: Carried, folder: Path) -> Lock | Unsolvable:
    """Ask uv, and leave out what only the base has: torch of an image is often on no index."""
    absent: set[str] = set()
    layer = dict(question.layer)
    while True:
        answer = _ask(question, carried, folder, absent)
        if answer.code == 0:
            text = comments(question) + answer.output
            return read_lock(text, question.python, question.base, question.platform)
        names = {str(canonicalize_name(a or b)) for a, b in NO_VERSION.findall(answer.errors)}
        unknown = (names & layer.keys()) - absent
        if not unknown:
            return Unsolvable(paragraph(answer.errors), network=is_network(answer.errors))
        absent |= unknown


def _ask(question: LockInput, carried: Carried, folder: Path, absent: set[str]) -> Answer:
    arguments = [*compile_arguments(question), *carried.args]
    _write(folder / "cell.in", question.requirements)
    if question.layer:
        _write(folder / "base.txt", [f"{name}=={version}" for name, version in question.layer])
        arguments += ["--constraints", "base.txt"]
    if absent:
        _write(folder / "absent.txt", sorted(absent))
        arguments += ["--excludes", "absent.txt"]
    return run_uv(arguments, environment(carried), folder, RESOLVE_SECONDS)


def compile_arguments(question: LockInput) -> list[str]:
    """Return the arguments of ``uv pip compile`` that follow from a cell alone."""
    arguments = ["pip", "compile", "cell.in", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"]
    if question.program is not None:
        arguments += ["--python", question.program]
    else:
        arguments += ["--python-version", question.python]
    if question.as_of is not None:
        arguments += ["--exclude-newer", question.as_of]
        for name in question.pinned:  # what is named is taken as named, however young
            arguments += ["--exclude-newer-package", f"{name}=false"]
    for name, _ in question.layer:
        arguments += ["--no-emit-package", name]
    return arguments


def comments(question: LockInput) -> str:
    """Write down in the lock what a requirements file has no words for."""
    lines = [f"# base: {name}=={version}" for name, version in question.layer]
    lines += [f"# content: {name} {digest}" for name, digest in question.contents]
    return "".join(f"{line}\n" for line in lines)


def read_lock(text: str, python: str, base: str | None, platform: str) -> Lock:
    """Make a lock of a requirements file; its hash covers text, Python, platform and base."""
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
    """Return normalized name → version of a lock; a commit or a folder stands as its address."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# base: ") or line[:1].isalnum():
            requirement = Requirement(line.removeprefix("# base: ").rstrip("\\ "))
            version = requirement.url or str(requirement.specifier).removeprefix("==")
            found[str(canonicalize_name(requirement.name))] = version
    return dict(sorted(found.items()))


def base_layer(text: str) -> dict[str, str]:
    """Return name → version of what a lock takes from its base interpreter."""
    lines = [line.removeprefix("# base: ") for line in text.splitlines() if line.startswith("# base: ")]
    return dict(line.split("==", 1) for line in lines)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
