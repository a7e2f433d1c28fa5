"""The mark of a finished environment: written last, so that one without it, or with another one, is never used."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.envs.interpreters import Interpreter

BUILDER_VERSION = 1  # raise it when environments built by an older harness must not be used any more
STAMP, LAST_USED = "stamp.json", "last-used"


class Stamp(BaseModel):
    """What an environment was built from; ``python`` is its interpreter, relative to the environment's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lock: str
    python_version: str
    builder: int
    python: str


def write_stamp(folder: Path, lock_hash: str, interpreter: Interpreter, python: Path) -> None:
    """Declare the environment in ``folder`` finished."""
    stamp = Stamp(
        lock=lock_hash,
        python_version=interpreter.version,
        builder=BUILDER_VERSION,
        python=python.relative_to(folder).as_posix(),
    )
    (folder / STAMP).write_text(stamp.model_dump_json(), encoding="utf-8")


def usable(folder: Path, lock_hash: str, interpreter: Interpreter) -> Path | None:
    """Return the interpreter inside ``folder`` when the stamp there is the one that would be written today."""
    try:
        stamp = Stamp.model_validate_json((folder / STAMP).read_bytes())
    except (OSError, ValidationError):
        return None
    wanted = (lock_hash, interpreter.version, BUILDER_VERSION)
    python = folder / stamp.python
    return python if (stamp.lock, stamp.python_version, stamp.builder) == wanted and python.exists() else None


def finished(root: Path) -> list[Path]:
    """Return the finished environments below ``root``, the last used first."""
    found = [stamp.parent for stamp in root.glob(f"*/{STAMP}")]
    used = [path for path in found if (path / LAST_USED).exists()]
    return sorted(used, key=lambda path: (path / LAST_USED).stat().st_mtime, reverse=True)
