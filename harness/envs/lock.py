"""Lock cells: every package of every cell with version and hash, resolved by uv and cached for a day."""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.envs import pip_config
from harness.envs.lock_input import LockInput, read_lock_input
from harness.envs.pip_config import UvSettings
from harness.envs.uv import UvResult, environment, error_paragraph, is_network, need_uv, run_uv
from harness.errors import HarnessError, InfrastructureError
from harness.matrix.answer_cache import AnswerCache
from harness.matrix.cell import Cell

LIFETIME = 24 * 3600.0  # seconds, after which new releases of unpinned packages are used
RESOLVE_SECONDS = 900.0
NO_VERSION = re.compile(r"(?:there is no version of|no versions of) ([A-Za-z0-9._-]+)(?:==|\b)|(\S+) was not found in")


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
    unreachable = threading.Event()

    def solve(question: LockInput) -> Lock | Unsolvable:
        found = cached_resolution(question, cache, lambda: _resolve(question, settings), unreachable)
        if isinstance(found, Unsolvable):
            return found
        return read_lock(found, question.python, question.base, question.platform)

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


def cached_resolution(
    question: LockInput, cache: Path, resolve: Callable[[], str | Unsolvable], unreachable: threading.Event
) -> str | Unsolvable:
    """Return the text of a lock, or why there is none: from the cache, else from ``resolve``, else from an old answer.

    ``unreachable`` is set when the index does not answer; then old answers are used without asking again.
    """
    answers = AnswerCache(cache, fresh_seconds=math.inf if question.as_of else LIFETIME)

    def ask() -> dict[str, str | None]:
        if unreachable.is_set() and answers.cached(question.digest) is not None:
            raise InfrastructureError("the index does not answer")
        found = resolve()
        if isinstance(found, str):
            return {"text": found, "sentence": None}
        if found.network:
            unreachable.set()
            raise InfrastructureError(found.sentence)
        return {"text": None, "sentence": found.sentence}

    try:
        value = answers.ask(question.digest, ask).value
    except InfrastructureError as error:
        return Unsolvable(str(error), network=True)

    return Unsolvable(value["sentence"]) if value["text"] is None else str(value["text"])


def _resolve(question: LockInput, uv_settings: UvSettings) -> str | Unsolvable:
    """Resolve with uv, without the packages of the base that are on no index, such as the torch of an image."""
    absent: set[str] = set()
    layer = dict(question.layer)
    with tempfile.TemporaryDirectory(prefix="harness-lock-") as folder:
        while True:
            answer = _ask(question, uv_settings, Path(folder), absent)
            if answer.code == 0:
                return comments(question) + answer.output
            names = {str(canonicalize_name(a or b)) for a, b in NO_VERSION.findall(answer.errors)}
            unknown = (names & layer.keys()) - absent
            if not unknown:
                return Unsolvable(
                    error_paragraph(answer.errors),
                    network=is_network(answer.errors),
                )
            absent |= unknown


def _ask(question: LockInput, uv_settings: UvSettings, folder: Path, absent: set[str]) -> UvResult:
    arguments = [*compile_arguments(question), *uv_settings.args]
    write_lines(folder / "cell.in", question.requirements)
    if question.layer:
        write_lines(folder / "base.txt", [f"{name}=={version}" for name, version in question.layer])
        arguments += ["--constraints", "base.txt"]
    if absent:
        write_lines(folder / "absent.txt", sorted(absent))
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


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a file of one text a line."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
