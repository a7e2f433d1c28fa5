"""The one writer of files that hold results or answers: written beside the old file, then put in its place."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name of a new file beside ``path`` that replaces it when the block ends, whole or not at all.

    The content is on the disk before the name changes: neither a kill nor a full disk leaves a part of it under
    ``path``. A link stays one: the file that it names is replaced. What is no file (a pipe, a terminal) is written to
    directly.

    Raises:
        OSError: the file cannot be written; ``path`` is as it was, and nothing is left beside it.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    scratch = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield scratch
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: as for :func:`replacing`.
    """
    with replacing(path) as scratch:
        scratch.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 whole or not at all.

    Raises:
        OSError: as for :func:`replacing`.
    """
    write_bytes(path, text.encode())
