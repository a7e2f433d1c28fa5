"""What of a matrix goes into its bundle as files: itself, the scenarios of its user, and checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.envs.bundle import manifest
from harness.envs.bundle.program import safe_name
from harness.envs.inuse import Holds
from harness.envs.places import Places
from harness.matrix.model import Matrix
from harness.matrix.places import ScenarioFile, find, own_root
from harness.session.begin import KNOWN_ISSUES
from harness.session.builder import builder_python
from harness.session.checkpoints import Shelf

Said = Callable[[str], None]


def copy_matrix(matrix: Matrix, issues: str, folder: Path) -> str:
    """Copy the matrix file and the known issues beside it; return its place in the bundle."""
    target = folder / "matrices" / matrix.path.name
    target.parent.mkdir()
    shutil.copyfile(matrix.path, target)
    if find(KNOWN_ISSUES, matrix.path.parent) is not None:
        (target.parent / KNOWN_ISSUES).write_text(issues, encoding="utf-8")
    return target.relative_to(folder).as_posix()


def copy_scenarios(files: Iterable[ScenarioFile], folder: Path, *, chosen: bool) -> tuple[str, ...]:
    """Copy the folders of a user's own scenarios, for the harness's own travel with it.

    Returns all of them by place; none where the matrix's own entries lead to the harness's own there as here.
    """
    own = own_root() / "scenarios"
    places: dict[Path, Path] = {}
    entries = []
    for file in files:
        parent = file.path.parent
        if parent == own:
            place = Path(manifest.PROGRAM, "scenarios")
        elif parent in places:
            place = places[parent]
        else:
            place = places[parent] = Path("scenarios", f"{len(places)}-{safe_name(parent.name)}")
            _copy_folder(parent, folder / place)
        entries.append(f"{(place / file.path.name).as_posix()}{f'::{file.test}' if file.test else ''}")
    return tuple(entries) if places or chosen else ()


def _copy_folder(source: Path, target: Path) -> None:
    """Copy the Python files and the checkpoint definitions beside a scenario, nothing else that lies there."""
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.py")):
        shutil.copyfile(path, target / path.name)
    if (source / "checkpoints").is_dir():
        shutil.copytree(source / "checkpoints", target / "checkpoints", ignore=shutil.ignore_patterns("__pycache__"))


def copy_checkpoints(shelf: Shelf, names: Sequence[str], places: Places, folder: Path, said: Said) -> None:
    """Build the checkpoints here, as a run would, and copy them."""
    install, log = places.root / "checkpoints-install.log", places.root / "checkpoints.log"
    with Holds() as holds:
        holds.take(*map(shelf.folder, shelf.with_bases(names)))
        shelf.provide(names, lambda: builder_python(shelf.builder, places, install, holds=holds), log, said)
        for name in names:
            source = shelf.folder(name)
            shutil.copytree(source, folder / manifest.CHECKPOINTS / source.name)
