"""Checkpoints and adapters: made once by a pinned builder environment, kept by the hash of what they are made from."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import Cell, Pin
from harness.matrix.places import nearest, own_root, short

BUILD_SECONDS = 3600.0
LAST_USED = "last-used"


@dataclass(frozen=True)
class Definition:
    """One ``<name>.toml``: a model's geometry, or an adapter over the checkpoint named ``base``."""

    name: str
    file: Path
    base: str | None
    hub: str | None


@dataclass(frozen=True)
class Shelf:
    """The built checkpoints of one size below ``root``; ``builder`` is the folder with build.py and builder.txt."""

    root: Path
    builder: Path
    definitions: Mapping[str, Definition]
    size: str

    def folder(self, name: str) -> Path:
        """Return where a checkpoint lies once it is built: its name, size and the hash of all that shapes its bytes."""
        return self.root / f"{name}-{self.size}-{self._key(name)}"

    def _key(self, name: str) -> str:
        definition = self.definitions[name]
        digest = hashlib.sha256()
        for path in (definition.file, self.builder / "build.py", self.builder / "builder.txt"):
            digest.update(path.read_bytes() + b"\0")
        digest.update(self.size.encode())
        if definition.base is not None:
            digest.update(self._key(definition.base).encode())
        return digest.hexdigest()[:12]

    def with_bases(self, names: Iterable[str]) -> list[str]:
        """Return the names and the bases of adapters among them, bases first.

        Raises:
            ConfigError: a name has no definition; the nearest one is in the sentence.
        """
        ordered: dict[str, None] = {}
        for name in names:
            if name not in self.definitions:
                near = nearest(name, self.definitions)
                hint = f"; the nearest is {near}" if near else ""
                raise ConfigError(f"there is no checkpoint named {name}{hint}")
            base = self.definitions[name].base
            ordered |= dict.fromkeys([*(self.with_bases([base]) if base else []), name])
        return list(ordered)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return which of the names (bases included) must be built, in the order to build them."""
        return [name for name in self.with_bases(names) if not (self.folder(name) / LAST_USED).exists()]

    def provide(self, names: Sequence[str], python: Callable[[], Path], log: Path) -> dict[str, str]:
        """Build what is missing and return name → folder.

        ``python`` is called only when something must be built and returns the builder's interpreter.

        Raises:
            ConfigError: a name has no definition.
            InfrastructureError: the builder failed; ``log`` has its output.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if self.missing(names):
            with FileLock(self.root / f"{self.size}.lock"):
                self._build(self.missing(names), python, log)
        found = {name: self.folder(name) for name in names}
        for folder in found.values():
            (folder / LAST_USED).touch()
        return {name: str(folder) for name, folder in found.items()}

    def _build(self, names: Sequence[str], python: Callable[[], Path], log: Path) -> None:
        if not names:
            return
        with tempfile.TemporaryDirectory(dir=self.root, prefix="building-") as scratch:
            folders = {name: Path(scratch, name) for name in names}
            order = [
                {
                    "definition": str(self.definitions[name].file),
                    "size": self.size,
                    "out": str(folders[name]),
                    "base": self._base_folder(name, folders),
                }
                for name in names
            ]
            plan = Path(scratch, "plan.json")
            plan.write_text(json.dumps(order), encoding="utf-8")
            _run_builder([str(python()), str(self.builder / "build.py"), "--plan", str(plan)], log)
            for name in names:
                (folders[name] / LAST_USED).touch()
                shutil.rmtree(self.folder(name), ignore_errors=True)
                folders[name].rename(self.folder(name))

    def _base_folder(self, name: str, building: Mapping[str, Path]) -> str | None:
        base = self.definitions[name].base
        return None if base is None else str(building.get(base, self.folder(base)))


def _run_builder(command: list[str], log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            subprocess.run(command, stdout=output, stderr=output, check=True, timeout=BUILD_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [str(error)])[-1]
            raise InfrastructureError(f"the checkpoints could not be built: {last} ({log})") from error


def open_shelf(root: Path, scenario_folders: Iterable[Path], size: str) -> Shelf:
    """Collect the definitions of the harness and those in ``checkpoints/`` beside the scenarios, which win."""
    own = own_root() / "scenarios" / "checkpoints"
    found: dict[str, Definition] = {}
    for folder in dict.fromkeys([own, *(path / "checkpoints" for path in scenario_folders)]):
        for file in sorted(folder.glob("*.toml")):
            found[file.stem] = read_definition(file)
    return Shelf(root, own, found, size)


def read_definition(file: Path) -> Definition:
    """Read the part of a definition that the host needs.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{short(file)} is not valid TOML: {error}") from error
    return Definition(file.stem, file, raw.get("base"), raw.get("hub"))


def builder_cell(shelf: Shelf) -> Cell:
    """Return the builder environment as a cell, so that it is locked and built like any other."""
    lines = (shelf.builder / "builder.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    pins = tuple(
        Pin(name, version, f"{name}=={version}")
        for name, _, version in (requirement.partition("==") for requirement in requirements)
    )
    return Cell(python=f"{sys.version_info.major}.{sys.version_info.minor}", pins=pins)


def of_weights(weights: str, folder: Path | None, names: Iterable[str], shelf: Shelf) -> dict[str, str] | None:
    """Return name → place for weights that are not synthetic: hub names, or folders below ``folder``; else None.

    Raises:
        ConfigError: a checkpoint has no hub name, or no folder of that name.
    """
    if weights == "synthetic":
        return None
    found = {}
    for name in shelf.with_bases(names):
        place = shelf.definitions[name].hub if folder is None else str(folder / name)
        if place is None or (folder is not None and not Path(place).is_dir()):
            wanted = f"the folder {place}" if place else f'"hub" in {short(shelf.definitions[name].file)}'
            raise ConfigError(f'[checkpoints] weights = "{weights}": {name} is not there; it needs {wanted}')
        found[name] = place
    return found
