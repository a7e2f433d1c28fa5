"""A digest of everything that a scenario depends on: its file, modules in its folder, its checkpoints, the probe."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import harness
from harness.session.checkpoints import CheckpointStore, Definition

DIGITS = 16


def source_digest(file: Path, checkpoints: Iterable[str], store: CheckpointStore) -> str:
    """Return the digest of a scenario's source; empty if one of its checkpoints has no definition.

    It covers the whole file, all modules of its folder that it imports, directly or indirectly, ``conftest.py``, the
    probe, and the definitions and the builder of checkpoints. Data files that a scenario opens are not covered. The
    digest does not depend on the location of the files.
    """
    texts = {f"module {path.relative_to(file.parent).as_posix()}": path.read_bytes() for path in source_files(file)}
    names = tuple(checkpoints)
    if any(name not in store.definitions for name in names):
        return ""
    texts |= _definitions(names, store.definitions)
    if names:
        builder = (*store.builder.glob("*.py"), store.builder / "builder.txt")
        texts |= {f"builder {path.name}": path.read_bytes() for path in builder if path.is_file()}
    found = hashlib.sha256(_probe())
    for name, text in sorted(texts.items()):
        found.update(name.encode() + b"\0" + hashlib.sha256(text).digest())
    return found.hexdigest()[:DIGITS]


def source_files(file: Path) -> tuple[Path, ...]:
    """Return a file, the ``conftest.py`` of its folder, and all modules of the folder that they import."""
    found: dict[Path, None] = {}
    waiting = [file, *([file.with_name("conftest.py")] if file.with_name("conftest.py").is_file() else [])]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            waiting += [each for name in _imported(path) for each in _module_files(file.parent, name)]
    return tuple(sorted(found))


def _imported(path: Path) -> Iterator[str]:
    """Yield the top-level names that a file imports; none if it is not valid Python."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return

    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]
            case ast.ImportFrom():  # from . import name
                yield from (alias.name for alias in node.names)


def _module_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a module in a folder: one, or all of a package."""
    single, package = folder / f"{name}.py", folder / name
    if (package / "__init__.py").is_file():
        return sorted(package.rglob("*.py"))
    return [single] if single.is_file() else []


def _definitions(names: Iterable[str], known: Mapping[str, Definition]) -> dict[str, bytes]:
    texts: dict[str, bytes] = {}
    for name in names:
        definition = known.get(name)
        if definition is not None:
            texts[f"checkpoint {name}"] = definition.file.read_bytes()
            texts |= _definitions([definition.base] if definition.base else [], known)
    return texts


@cache
def _probe() -> bytes:
    """Return a digest of the code of the probe, on which all figures depend."""
    folder = Path(harness.__file__).parent / "probe"
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.digest()
