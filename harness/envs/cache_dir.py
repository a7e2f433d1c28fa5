"""The cache directory: environments, locks, lists of releases, checkpoints; all can be made again."""

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
    """The cache folder and its parts."""

    root: Path

    @classmethod
    def of_user(cls, environ: Mapping[str, str] | None = None) -> CacheDir:
        """Return the folder of ``HARNESS_CACHE``, else the user's cache folder of the operating system."""
        chosen = (os.environ if environ is None else environ).get(VARIABLE)
        return cls(Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path(APPLICATION))

    @property
    def envs(self) -> Path:
        """Environments, one a lock."""
        return self.root / "envs"

    @property
    def locks(self) -> Path:
        """Resolutions, one file an input."""
        return self.root / "locks"

    @property
    def releases(self) -> Path:
        """Lists of releases from the index."""
        return self.root / "releases"

    @property
    def checkpoints(self) -> Path:
        """Synthetic weights and adapters, by content hash."""
        return self.root / "checkpoints"

    @property
    def repositories(self) -> Path:
        """Copies of git repositories."""
        return self.root / "repositories"

    @property
    def probe(self) -> Path:
        """Copies of the probe, for the cells."""
        return self.root / "probe"
