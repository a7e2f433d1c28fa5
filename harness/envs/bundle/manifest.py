"""``bundle.json``: what a bundle holds, in the words of both ends."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import ConfigError
from harness.matrix.cell import Cell

SCHEMA_VERSION = 1
FILE = "bundle.json"
WHEELS, CHECKPOINTS, PROGRAM, HOST_LOCK = "wheels", "checkpoints", "app", "host.txt"


class Stored(BaseModel):
    """One cell with its lock, or with the sentence that says why it has none.

    ``from_base`` names what is taken as the base of the other machine has it; the lock leaves it out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: Cell
    text: str | None = None
    sentence: str | None = None
    from_base: tuple[str, ...] = ()


class Manifest(BaseModel):
    """Everything ``harness run`` must know of a bundle.

    ``matrix`` and ``selection`` are relative to the bundle's folder; ``selection`` is empty where all scenarios are the
    harness's own. ``base`` holds the versions that the bundle was made for, as far as they were told. ``needs_base``
    says whether anything is taken from a base.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    harness_version: str
    python: str
    platform: str
    matrix: str
    selection: tuple[str, ...] = ()
    needs_base: bool
    base: dict[str, str] = {}
    cells: tuple[Stored, ...]
    builder: Stored | None = None

    def write(self, folder: Path) -> None:
        """Write ``bundle.json``."""
        (folder / FILE).write_text(self.model_dump_json(indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read ``bundle.json``.

    Raises:
        ConfigError: it is missing, damaged, or of a newer harness.
    """
    try:
        manifest = Manifest.model_validate_json((folder / FILE).read_bytes())
    except OSError as missing:
        raise ConfigError(f"{folder} is not an unpacked bundle: it has no {FILE}") from missing
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or FILE
        raise ConfigError(f"{folder / FILE}: {where}: {first['msg']}") from invalid
    if manifest.schema_version > SCHEMA_VERSION:
        raise ConfigError(f"{folder / FILE} has schema {manifest.schema_version}, newer than {SCHEMA_VERSION}")
    return manifest
