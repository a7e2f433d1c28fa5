"""Look up the paths of a matrix: in the folder of its file, in the current folder, in the harness."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.errors import ConfigError


@dataclass(frozen=True)
class ScenarioFile:
    """One file of scenarios, and one test of it if the matrix selects one (``::test_name``)."""

    path: Path
    test: str | None = None


def install_root() -> Path:
    """Return the folder with the ``scenarios/`` and ``matrices/`` of the harness: in the wheel, or the checkout."""
    package = Path(harness.__file__).resolve().parent
    shipped = package / "_shipped"
    return shipped if shipped.is_dir() else package.parent


def find(entry: str, matrix_folder: Path, suffix: str = "") -> Path | None:
    """Look up one path in three folders, each time as written and with the suffix; None if there is no such path.

    Args:
        entry: The path in the matrix; an absolute path, or one below ``~``, is not looked up.
        matrix_folder: The folder of the matrix file, which comes first.
        suffix: A suffix that may be left out (``.py``, ``.toml``).
    """
    for folder in (matrix_folder, Path.cwd(), install_root()):
        for name in dict.fromkeys((entry, entry + suffix)):
            found = (folder / Path(name).expanduser()).absolute()
            if found.exists():
                return found
    return None


def find_matrix(name: str | Path) -> Path:
    """Return the matrix file of a path or a name (``quickstart`` is ``matrices/quickstart.toml``).

    Raises:
        ConfigError: there is no such file; the sentence names the nearest.
    """
    text, found = str(name), _matrix_file(str(name))
    if found is not None:
        return found

    folders = (Path(text).expanduser().parent, Path("matrices"), install_root() / "matrices")
    known = {file.stem: file for folder in reversed(folders) for file in sorted(folder.glob("*.toml"))}
    near = nearest(Path(text).stem, known)
    hint = f"; the nearest is {short_path(known[near])}" if near else ""
    raise ConfigError(f"there is no matrix file {text}{hint}")


def is_matrix(name: str) -> bool:
    """Tell whether a path or a name is that of a matrix file."""
    return _matrix_file(name) is not None


def _matrix_file(text: str) -> Path | None:
    found = (find(entry, Path.cwd(), ".toml") for entry in (text, f"matrices/{text}"))
    return next((path for path in found if path is not None and path.is_file()), None)


def find_scenarios(
    entries: Iterable[str], matrix_file: Path, *, from_options: bool = False
) -> tuple[ScenarioFile, ...]:
    """Return the files of scenario entries: ``folder``, ``folder/name``, ``folder/name.py``, ``folder/name::test``.

    Args:
        entries: The entries.
        matrix_file: The matrix, whose folder is searched first.
        from_options: Whether the entries come from the command line instead of the matrix; only errors say so.

    Raises:
        ConfigError: there is no such file; the sentence names the nearest.
    """
    before, after = ("scenario", ":") if from_options else (f"{short_path(matrix_file)}: scenarios has", ", but")
    found = (_scenario_files(entry, matrix_file, f'{before} "{entry}"{after}') for entry in entries)
    return tuple(dict.fromkeys(file for files in found for file in files))


def _scenario_files(entry: str, matrix_file: Path, prefix: str) -> tuple[ScenarioFile, ...]:
    name, _, test = entry.partition("::")
    found = find(name, matrix_file.parent, ".py")
    if found is None:
        raise ConfigError(f"{prefix} {_missing(name, matrix_file)}.")
    if found.is_file():
        return (ScenarioFile(found, test or None),)
    if test:
        raise ConfigError(f"{prefix} {short_path(found)} is a folder.")
    files = tuple(file for file in sorted(found.glob("*.py")) if not file.name.startswith(("_", "conftest")))
    if not files:
        raise ConfigError(f"{prefix} {short_path(found)} has no scenario files.")
    return tuple(ScenarioFile(file) for file in files)


def _missing(name: str, matrix_file: Path) -> str:
    folder = Path(name).parent
    parents = (matrix_file.parent, Path.cwd(), install_root())
    known = {
        file.stem: (below / file.stem).as_posix()
        for below in (folder / "scenarios", folder)  # a name in the folder itself wins
        for parent in parents
        for file in sorted((parent / below).glob("*.py"))
    }
    near = nearest(Path(name).stem, known)
    hint = f'; the nearest is "{known[near]}"' if near else ""
    own = "" if matrix_file.parent.resolve() == Path.cwd().resolve() else "the folder of the matrix, "
    return f"there is no such file in {own}the current folder or the harness{hint}"


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.5) -> str | None:
    """Return the known name nearest to the word, None if none is at least so like it (0 to 1)."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return found[0] if found else None


def near_hint(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the nearest known name; empty where none is near."""
    near = nearest(word, known)
    return f"; the nearest is {near}" if near else ""


def short_path(path: Path) -> str:
    """Return a path for display: relative to the current folder if it is below it."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()).as_posix() if absolute.is_relative_to(Path.cwd()) else str(path)
