"""Checkpoints and adapters: built once, stored under a hash of their inputs."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.envs.build import LAST_USED
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.paths import install_root, near_hint, short_path
from harness.reporter import Reporter
from harness.session.checkpoint_builder import run_builder

SIZES = ("tiny", "full")
RECORD, PART = "builder.json", ".part"


@dataclass(frozen=True)
class Definition:
    """One ``<name>.toml``: the geometry of a model, or an adapter of the checkpoint ``base``.

    ``stated`` is size → bytes of the weights, if the file states them.
    """

    name: str
    file: Path
    base: str | None
    hub: str | None
    kind: str = "model"
    stated: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one size below ``root``; ``builder`` is the folder of build.py and builder.txt."""

    root: Path
    builder: Path
    definitions: Mapping[str, Definition]
    size: str

    def folder(self, name: str) -> Path:
        """Return the folder of a checkpoint: its name, size, and the hash of its inputs.

        The versions of an interpreter that the user names are not inputs; ``builder.json`` in the folder lists them.
        """
        return self.root / f"{name}-{self.size}-{self._key(name)}"

    def _key(self, name: str) -> str:
        definition = self.definitions[name]
        digest = hashlib.sha256()
        for path in (definition.file, *sorted(self.builder.glob("*.py")), self.builder / "builder.txt"):
            digest.update(path.read_bytes() + b"\0")
        digest.update(self.size.encode())
        if definition.base is not None:
            digest.update(self._key(definition.base).encode())
        return digest.hexdigest()[:12]

    def is_built(self, name: str) -> bool:
        """Return whether a checkpoint is complete; ``LAST_USED`` is written last."""
        return (self.folder(name) / LAST_USED).exists()

    def with_bases(self, names: Iterable[str]) -> list[str]:
        """Return the names with the bases of adapters, bases first.

        Raises:
            ConfigError: a name has no definition; the sentence names the nearest.
        """
        ordered: dict[str, None] = {}
        for name in names:
            if name not in self.definitions:
                raise ConfigError(f"there is no checkpoint named {name}{near_hint(name, self.definitions)}")
            base = self.definitions[name].base
            ordered |= dict.fromkeys([*(self.with_bases([base]) if base else []), name])
        return list(ordered)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return the names (bases included) that are not built, in the order of the build."""
        return [name for name in self.with_bases(names) if not self.is_built(name)]

    def provide(
        self, names: Sequence[str], python: Callable[[], Path], log: Path, echo: Reporter = lambda text: None
    ) -> dict[str, str]:
        """Build missing checkpoints and return name → folder; an interrupted build is continued.

        Args:
            names: the checkpoints.
            python: returns the interpreter of the builder; called if something has to be built.
            log: the file for the output of the builder.
            echo: receives the progress.

        Raises:
            ConfigError: a name has no definition.
            InfrastructureError: the builder failed; ``log`` has its output.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if self.missing(names):
            with FileLock(self.root / f"{self.size}.lock"):
                self._build(self.missing(names), python, log, echo)
        found = {name: self.folder(name) for name in names}
        for folder in found.values():
            (folder / LAST_USED).touch()
        return {name: str(folder) for name, folder in found.items()}

    def _build(self, names: Sequence[str], python: Callable[[], Path], log: Path, echo: Reporter) -> None:
        if not names:
            return
        orders = [self._order(name) for name in names]
        with tempfile.TemporaryDirectory() as scratch:
            plan = Path(scratch, "plan.json")
            plan.write_text(json.dumps(orders), encoding="utf-8")
            command = [str(python()), str(self.builder / "build.py"), "--plan", str(plan)]
            before = {name for name in names if self.folder(name).exists()}  # incomplete: partly removed
            try:
                run_builder(command, names, log, echo)
                before = set()
            finally:  # a folder is renamed when it is complete, even if the build stops at a later one
                for name in names:
                    if name not in before and self.folder(name).exists():
                        (self.folder(name) / LAST_USED).touch()

    def layouts(
        self, names: Sequence[str], python: Callable[[], Path], log: Path, echo: Reporter = lambda text: None
    ) -> dict[str, Any]:
        """Return name → the content of the checkpoint without its weights: ``configs`` and ``tensors``.

        See ``layout`` in ``scenarios/checkpoints/configuration.py``. It is computed once and stored in ``root``.

        Raises:
            ConfigError: a name has no definition.
            InfrastructureError: the builder failed; ``log`` has its output.
        """
        self.with_bases(names)
        self.root.mkdir(parents=True, exist_ok=True)
        files = {name: self.root / f"{self.folder(name).name}.layout.json" for name in names}
        missing = [name for name, file in files.items() if not file.exists()]
        if missing:
            orders = [{**self._order(name), "base": self._base_definition(name)} for name in missing]
            with tempfile.TemporaryDirectory(dir=self.root, prefix="building-") as scratch:
                plan, found = Path(scratch, "plan.json"), Path(scratch, "layout.json")
                plan.write_text(json.dumps(orders), encoding="utf-8")
                build = str(self.builder / "build.py")
                run_builder([str(python()), build, "--plan", str(plan), "--layout", str(found)], missing, log, echo)
                for name, layout in json.loads(found.read_text(encoding="utf-8")).items():
                    Path(scratch, name).write_text(json.dumps(layout), encoding="utf-8")
                    Path(scratch, name).replace(files[name])

        return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}

    def _base_definition(self, name: str) -> str | None:
        base = self.definitions[name].base
        return None if base is None else str(self.definitions[base].file)

    def _order(self, name: str) -> dict[str, str | None]:
        definition = self.definitions[name]
        base = None if definition.base is None else str(self.folder(definition.base))
        return {"definition": str(definition.file), "size": self.size, "out": str(self.folder(name)), "base": base}


def open_store(root: Path, scenario_folders: Iterable[Path], size: str) -> CheckpointStore:
    """Return a store with the definitions of the harness and of ``checkpoints/`` in folders of scenarios, which win."""
    own = install_root() / "scenarios" / "checkpoints"
    found: dict[str, Definition] = {}
    for folder in dict.fromkeys([own, *(path / "checkpoints" for path in scenario_folders)]):
        for file in sorted(folder.glob("*.toml")):
            found[file.stem] = read_definition(file)
    return CheckpointStore(root, own, found, size)


def read_definition(file: Path) -> Definition:
    """Read the part of a definition that the host needs.

    Raises:
        ConfigError: it is not valid TOML, or a value is of the wrong type.
    """
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{short_path(file)} is not valid TOML: {error}") from error

    sizes = {size: raw[size].get("bytes") for size in ("tiny", "full") if isinstance(raw.get(size), dict)}
    wrong = [size for size, stated in sizes.items() if stated is not None and not isinstance(stated, int)]
    if wrong:
        raise ConfigError(f"{short_path(file)}: bytes in [{wrong[0]}] is not a whole number")
    stated = {size: stated for size, stated in sizes.items() if stated is not None}
    return Definition(file.stem, file, _text(raw, "base", file), _text(raw, "hub", file), raw.get("kind", ""), stated)


def _text(raw: Mapping[str, Any], name: str, file: Path) -> str | None:
    found = raw.get(name)
    if found is not None and not isinstance(found, str):
        raise ConfigError(f"{short_path(file)}: {name} is not a text")
    return found


def named_weights(
    weights: str, folder: Path | None, names: Iterable[str], store: CheckpointStore
) -> dict[str, str] | None:
    """Return name → hub name, or name → absolute folder in ``folder``; None for synthetic weights.

    Raises:
        ConfigError: a checkpoint has no hub name, or no folder.
    """
    if weights == "synthetic":
        return None
    found = {}
    for name in store.with_bases(names):
        source = store.definitions[name].hub if folder is None else str((folder / name).absolute())
        if source is None or (folder is not None and not Path(source).is_dir()):
            wanted = f"the folder {source}" if source else f'"hub" in {short_path(store.definitions[name].file)}'
            raise ConfigError(f'[checkpoints] weights = "{weights}": {name} is not there; it needs {wanted}')
        found[name] = source

    return found


@dataclass(frozen=True)
class CheckpointCopy:
    """One checkpoint in one size; ``bytes`` is None if it is neither built nor stated."""

    size: str
    folder: Path
    built: bool
    bytes: int | None
    builder: Mapping[str, str]


@dataclass(frozen=True)
class StoredCheckpoint:
    """One definition and its copies."""

    definition: Definition
    copies: tuple[CheckpointCopy, ...]


def checkpoint_copies(stores: Sequence[CheckpointStore]) -> list[StoredCheckpoint]:
    """Return every definition with its copy in each store; the stores share their definitions."""
    definitions = stores[0].definitions
    return [
        StoredCheckpoint(definitions[name], tuple(_checkpoint_copy(store, name) for store in stores))
        for name in sorted(definitions)
    ]


def _checkpoint_copy(store: CheckpointStore, name: str) -> CheckpointCopy:
    folder, built = store.folder(name), store.is_built(name)
    size = _bytes_in(folder) if built else store.definitions[name].stated.get(store.size)
    return CheckpointCopy(store.size, folder, built, size, _record(folder) if built else {})


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file() and path.suffix != PART)


def _record(folder: Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.exists():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def bytes_to_write(store: CheckpointStore, names: Sequence[str]) -> int:
    """Return the bytes that the missing checkpoints will take, as far as their definitions state them.

    Raises:
        InfrastructureError: the disk has not enough free space.
    """
    needed = 0
    for name in store.missing(names):
        partial = store.folder(name).with_name(f"building-{store.folder(name).name}")
        written = _bytes_in(partial) if partial.exists() else 0  # without an incomplete shard, which is written again
        needed += max(0, store.definitions[name].stated.get(store.size, 0) - written)

    free = free_bytes(store.root)
    if needed > free:
        raise InfrastructureError(
            f"{format_bytes(needed)} are needed and {store.root} has {format_bytes(free)} free:"
            " free space (harness gc --keep SIZE) or set HARNESS_CACHE to another folder"
        )

    return needed


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk of ``folder``, which need not exist."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def format_bytes(size: int) -> str:
    """Return bytes for display: ``7.0 MB``, ``14.19 GiB``."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 10**6:.1f} MB"
