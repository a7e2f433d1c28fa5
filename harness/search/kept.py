"""What a search asks and how it ended, kept as JSON beside its run."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from harness.errors import ConfigError
from harness.store.files import write_text
from harness.store.records import Record
from harness.store.run_folder import RunFolder

Kept = TypeVar("Kept", bound=Record)


def keep(record: Record, folder: RunFolder, name: str) -> None:
    """Write a record into a run folder."""
    write_text(folder.path / name, record.model_dump_json(indent=1))


def kept(folder: RunFolder, name: str, kind: type[Kept]) -> Kept | None:
    """Read a record of a run folder; None where it has none.

    Raises:
        ConfigError: the file cannot be read as one.
    """
    path = folder.path / name
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ConfigError(f"{path} cannot be read: {error.errors()[0]['msg']}") from None
