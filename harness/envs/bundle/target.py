"""The machine that a bundle is made for, as arguments of uv and pip."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import ConfigError

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
