"""Describe another machine, and lock cells for it: from wheels only, without the packages of its base."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from harness.envs.lock import RESOLVE_SECONDS, Unsolvable, cached_resolution, compile_arguments, write_lines
from harness.envs.lock_input import PROBE_REQUIREMENTS, LockInput, cutoff, index_settings
from harness.envs.pip_config import UvSettings
from harness.envs.uv import environment, error_paragraph, is_network, need_uv, run_uv
from harness.errors import ConfigError
from harness.matrix.cell import Cell

NEWEST_GLIBC = 28  # the glibc that uv assumes of a Linux that it cannot ask
OLDEST_GLIBC = 5
PROCESSORS = {"linux-x86_64": "x86_64", "linux-aarch64": "aarch64"}
LEGACY = {"x86_64": ("manylinux2014", "manylinux2010", "manylinux1", "linux"), "aarch64": ("manylinux2014", "linux")}


@dataclass(frozen=True)
class Target:
    """A Python (``3.12``) on a platform (``linux-x86_64``, glibc 2.28 or newer)."""

    python: str
    platform: str

    def __post_init__(self) -> None:
        """Check Python and platform.

        Raises:
            ConfigError: the Python is not ``<major>.<minor>``, or the platform is unknown.
        """
        if not re.fullmatch(r"3\.\d{1,2}", self.python):
            raise ConfigError(f'--python "{self.python}" is not a version such as 3.12')
        if self.platform not in PROCESSORS:
            raise ConfigError(f'--platform "{self.platform}" is not one of {", ".join(PROCESSORS)}')

    def uv_arguments(self) -> list[str]:
        """Return the arguments with which ``uv pip compile`` resolves for this machine, from wheels only."""
        triple = f"{PROCESSORS[self.platform]}-unknown-linux-gnu"
        return ["--python-platform", triple, "--only-binary", ":all:"]

    def pip_arguments(self) -> list[str]:
        """Return the arguments with which ``pip download`` downloads for this machine, with a tag for each glibc."""
        processor = PROCESSORS[self.platform]
        tags = [f"manylinux_2_{minor}_{processor}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
        tags += [f"{name}_{processor}" for name in LEGACY[processor]]
        python = ["--python-version", self.python, "--implementation", "cp", "--only-binary", ":all:"]
        return [*python, *(argument for tag in tags for argument in ("--platform", tag))]


JOBS = 4


@dataclass(frozen=True)
class Resolver:
    """Resolves requirements for one target; ``base`` is name → version of the known packages of its base."""

    target: Target
    base: Mapping[str, str]
    cache: Path
    uv_settings: UvSettings

    def cells(self, cells: Iterable[Cell]) -> dict[str, str | Unsolvable]:
        """Return cell id → requirements file with hashes, or why there is none.

        Raises:
            ConfigError: ``as_of`` is not a date.
            InfrastructureError: uv is missing.
        """
        need_uv()
        questions = {cell.id: (self._question(cell), packages_of_base(cell)) for cell in cells}
        with ThreadPoolExecutor(JOBS) as pool:
            answers = pool.map(lambda item: self._cached(*item), questions.values())
            return dict(zip(questions, answers, strict=True))

    def plain(self, requirements: Sequence[str]) -> str | Unsolvable:
        """Resolve requirements outside a cell: those of the harness."""
        return self._cached(self._input(tuple(sorted(requirements)), (), None, ()), ())

    def _question(self, cell: Cell) -> LockInput:
        own = [pin for pin in cell.pins if not pin.installed]
        wanted = (*sorted(pin.requirement for pin in own), *PROBE_REQUIREMENTS)
        pinned = tuple(sorted(pin.package for pin in own))
        return self._input(wanted, pinned, cutoff(cell.as_of), packages_of_base(cell))

    def _input(
        self, wanted: tuple[str, ...], pinned: tuple[str, ...], as_of: str | None, left: tuple[str, ...]
    ) -> LockInput:
        settings = (
            *index_settings(self.uv_settings, os.environ),
            *self.target.uv_arguments(),
            *(f"left to base: {name}=={self.base.get(name, '')}" for name in left),
        )
        return LockInput(
            requirements=wanted,
            pinned=pinned,
            python=self.target.python,
            platform=self.target.platform,
            as_of=as_of,
            settings=settings,
        )

    def _cached(self, question: LockInput, left: Sequence[str]) -> str | Unsolvable:
        return cached_resolution(question, self.cache, lambda: self._resolve(question, left), threading.Event())

    def _resolve(self, question: LockInput, left: Sequence[str]) -> str | Unsolvable:
        known = {name: self.base[name] for name in left if _on_an_index(name, self.base.get(name, ""))}
        arguments = [*compile_arguments(question), *self.target.uv_arguments(), *self.uv_settings.args]
        arguments += ["--constraints", "base.txt", "--excludes", "left.txt"]
        arguments += [argument for name in known for argument in ("--no-emit-package", name)]
        with tempfile.TemporaryDirectory(prefix="harness-lock-") as name:
            folder = Path(name)
            write_lines(folder / "cell.in", question.requirements)
            write_lines(folder / "base.txt", [f"{name}=={version}" for name, version in known.items()])
            write_lines(folder / "left.txt", [name for name in left if name not in known])
            answer = run_uv(arguments, environment(self.uv_settings), folder, RESOLVE_SECONDS)

        if answer.code == 0:
            return answer.output
        return Unsolvable(error_paragraph(answer.errors), network=is_network(answer.errors))


def packages_of_base(cell: Cell) -> tuple[str, ...]:
    """Return the packages that a cell takes from the base of the other machine."""
    return tuple(sorted(pin.package for pin in cell.pins if pin.installed))


def _on_an_index(name: str, version: str) -> bool:
    """Return whether a version can be a constraint; never torch, as that would resolve its CUDA packages."""
    return bool(version) and name != "torch" and Version(version).local is None
