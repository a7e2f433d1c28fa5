"""Checkpoints and adapters: made once by a builder of their own, kept by the hash of what they are made from."""

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
from harness.matrix.paths import install_root, nearest, short_path
from harness.reporter import Reporter
from harness.session.checkpoint_builder import run_builder


@dataclass(frozen=True)
class Definition:
    """One ``<name>.toml``: a model's geometry, or an adapter over the checkpoint named ``base``.

    ``stated`` is size → bytes of the weights, where the file says so.
    """

    name: str
    file: Path
    base: str | None
    hub: str | None
    kind: str = "model"
    stated: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointStore:
    """The built checkpoints of one size below ``root``; ``builder`` is the folder with build.py and builder.txt."""

    root: Path
    builder: Path
    definitions: Mapping[str, Definition]
    size: str

    def folder(self, name: str) -> Path:
        """Return where a checkpoint lies once it is built: its name, size and the hash of all that shapes its bytes.

        The interpreter that a user names instead of the pinned one does not change it: ``builder.json`` in the folder
        says which versions drew the weights.
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
        """Say whether a checkpoint is there in full; its mark comes after everything else."""
        return (self.folder(name) / LAST_USED).exists()

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
        return [name for name in self.with_bases(names) if not self.is_built(name)]

    def provide(
        self, names: Sequence[str], python: Callable[[], Path], log: Path, echo: Reporter = lambda text: None
    ) -> dict[str, str]:
        """Build what is missing and return name → folder.

        ``python`` is called only when something must be built and returns the builder's interpreter; ``say`` hears the
        builder's progress, a line at a time. What an interrupted build finished is used again.

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
            before = {name for name in names if self.folder(name).exists()}  # without a mark: half removed
            try:
                run_builder(command, names, log, echo)
                before = set()
            finally:  # a folder gets its name when it is whole, also when the build stopped at a later one
                for name in names:
                    if name not in before and self.folder(name).exists():
                        (self.folder(name) / LAST_USED).touch()

    def layouts(
        self, names: Sequence[str], python: Callable[[], Path], log: Path, echo: Reporter = lambda text: None
    ) -> dict[str, Any]:
        """Return name → what the checkpoint holds, without its weights: ``configs`` and ``tensors``.

        See ``layout`` in ``scenarios/checkpoints/configuration.py``. It is asked once and kept beside the folders.

        Raises:
            ConfigError: a name has no definition.
            InfrastructureError: the builder failed; ``log`` has its output.
        """
        self.with_bases(names)
        self.root.mkdir(parents=True, exist_ok=True)
        places = {name: self.folder(name) for name in names}
        kept = {name: place.with_name(f"{place.name}.layout.json") for name, place in places.items()}
        missing = [name for name, file in kept.items() if not file.exists()]
        if missing:
            orders = [{**self._order(name), "base": self._base_definition(name)} for name in missing]
            with tempfile.TemporaryDirectory(dir=self.root, prefix="building-") as scratch:
                plan, found = Path(scratch, "plan.json"), Path(scratch, "layout.json")
                plan.write_text(json.dumps(orders), encoding="utf-8")
                build = str(self.builder / "build.py")
                run_builder([str(python()), build, "--plan", str(plan), "--layout", str(found)], missing, log, echo)
                for name, layout in json.loads(found.read_text(encoding="utf-8")).items():
                    Path(scratch, name).write_text(json.dumps(layout), encoding="utf-8")
                    Path(scratch, name).replace(kept[name])
        return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in kept.items()}

    def _base_definition(self, name: str) -> str | None:
        base = self.definitions[name].base
        return None if base is None else str(self.definitions[base].file)

    def _order(self, name: str) -> dict[str, str | None]:
        definition = self.definitions[name]
        base = None if definition.base is None else str(self.folder(definition.base))
        return {"definition": str(definition.file), "size": self.size, "out": str(self.folder(name)), "base": base}


def open_store(root: Path, scenario_folders: Iterable[Path], size: str) -> CheckpointStore:
    """Collect the definitions of the harness and those in ``checkpoints/`` beside the scenarios, which win."""
    own = install_root() / "scenarios" / "checkpoints"
    found: dict[str, Definition] = {}
    for folder in dict.fromkeys([own, *(path / "checkpoints" for path in scenario_folders)]):
        for file in sorted(folder.glob("*.toml")):
            found[file.stem] = read_definition(file)
    return CheckpointStore(root, own, found, size)


def read_definition(file: Path) -> Definition:
    """Read the part of a definition that the host needs.

    Raises:
        ConfigError: it is not TOML, or says something of the wrong kind.
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


def of_weights(
    weights: str, folder: Path | None, names: Iterable[str], store: CheckpointStore
) -> dict[str, str] | None:
    """Return name → place for weights that are not synthetic: hub names, or absolute folders in ``folder``; else None.

    Raises:
        ConfigError: a checkpoint has no hub name, or no folder of that name.
    """
    if weights == "synthetic":
        return None
    found = {}
    for name in store.with_bases(names):
        place = store.definitions[name].hub if folder is None else str((folder / name).absolute())
        if place is None or (folder is not None and not Path(place).is_dir()):
            wanted = f"the folder {place}" if place else f'"hub" in {short_path(store.definitions[name].file)}'
            raise ConfigError(f'[checkpoints] weights = "{weights}": {name} is not there; it needs {wanted}')
        found[name] = place
    return found


SIZES = ("tiny", "full")


RECORD, PART = "builder.json", ".part"


@dataclass(frozen=True)
class Copy:
    """One checkpoint in one size; ``bytes`` is None where it is neither built nor stated."""

    size: str
    folder: Path
    built: bool
    bytes: int | None
    builder: Mapping[str, str]


@dataclass(frozen=True)
class StoredCheckpoint:
    """One definition and its copies."""

    definition: Definition
    copies: tuple[Copy, ...]


def entries(stores: Sequence[CheckpointStore]) -> list[StoredCheckpoint]:
    """Return every definition with its copy in each store; the stores share their definitions."""
    definitions = stores[0].definitions
    return [
        StoredCheckpoint(definitions[name], tuple(_copy(store, name) for store in stores))
        for name in sorted(definitions)
    ]


def _copy(store: CheckpointStore, name: str) -> Copy:
    folder, built = store.folder(name), store.is_built(name)
    size = _bytes_in(folder) if built else store.definitions[name].stated.get(store.size)
    return Copy(store.size, folder, built, size, _record(folder) if built else {})


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file() and path.suffix != PART)


def _record(folder: Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.exists():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def bytes_to_write(store: CheckpointStore, names: Sequence[str]) -> int:
    """Return the bytes that building what is missing will add, as far as the definitions state them.

    Raises:
        InfrastructureError: the disk has no room for them.
    """
    needed = 0
    for name in store.missing(names):
        begun = store.folder(name).with_name(f"building-{store.folder(name).name}")
        there = _bytes_in(begun) if begun.exists() else 0  # without the shard that was being written: it is drawn again
        needed += max(0, store.definitions[name].stated.get(store.size, 0) - there)
    free = free_bytes(store.root)
    if needed > free:
        raise InfrastructureError(
            f"{human(needed)} are to be written and {store.root} has {human(free)} free:"
            " make room (harness gc --keep SIZE) or name another cache by HARNESS_CACHE"
        )
    return needed


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk on which ``folder`` lies or will lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def human(size: int) -> str:
    """Write bytes for a person: ``7.0 MB``, ``14.19 GiB``."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 10**6:.1f} MB"
