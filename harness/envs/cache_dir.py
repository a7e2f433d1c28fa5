"""Where the harness keeps what it may build again: environments, locks, releases, checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

VARIABLE = "HARNESS_CACHE"
APPLICATION = "hf-regression-matrix"


@dataclass(frozen=True)
class CacheDir:
    """The cache folder and its rooms; nothing in it is precious."""

    root: Path

    @classmethod
    def of_user(cls, environ: Mapping[str, str] | None = None) -> CacheDir:
        """Take the folder that ``HARNESS_CACHE`` names, else the operating system's cache folder of the user."""
        chosen = (os.environ if environ is None else environ).get(VARIABLE)
        return cls(Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path(APPLICATION))

    @property
    def envs(self) -> Path:
        """Built environments, one folder a lock."""
        return self.root / "envs"

    @property
    def locks(self) -> Path:
        """Resolutions, one file a set of inputs."""
        return self.root / "locks"

    @property
    def releases(self) -> Path:
        """Lists of releases as the index gave them."""
        return self.root / "releases"

    @property
    def checkpoints(self) -> Path:
        """Synthetic weights and adapters, by content hash."""
        return self.root / "checkpoints"

    @property
    def repositories(self) -> Path:
        """Copies of the repositories whose commits were searched."""
        return self.root / "repositories"

    @property
    def probe(self) -> Path:
        """Copies of the probe, as the cells import it."""
        return self.root / "probe"
