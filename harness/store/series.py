"""The runs of one matrix in their order, and the names that mean one of them: ``latest``, ``latest~1``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError
from harness.store.run_folder import RunFolder, find

SEARCHES = ("bisect.json", "blame.json", "into.json")  # such a folder holds a search, which is no run of its matrix
BACK = re.compile(r"(?P<run>.+)~(?P<back>\d+)")


@dataclass(frozen=True, order=True)
class Dated:
    """A run folder with what orders it; ``started`` is ISO-8601 in UTC."""

    started: str
    name: str
    matrix: str


def runs_of(reports: Path) -> list[Dated]:
    """Return the runs below ``reports``, oldest first, without searches and without what cannot be read."""
    found = []
    for path in reports.absolute().glob("*/run.json"):
        if any((path.parent / name).exists() for name in SEARCHES):
            continue
        try:
            raw = json.loads(path.read_bytes())
            found.append(Dated(raw["started"], path.parent.name, raw["name"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half-written or not ours: whoever names it gets the reason
    return sorted(found)


def named(text: str, reports: Path) -> RunFolder:
    """Return the run that a text means.

    ============================ =============================================================
    a path, a name's begin, end  that run
    ``latest``                   the newest run below ``reports`` that is no search
    ``RUN~N``                    the run that is N before it among the runs of the same matrix
    ============================ =============================================================

    Raises:
        ConfigError: there is none, or several are meant.
    """
    match = None if (Path(text) / "run.json").exists() else BACK.fullmatch(text)
    if match is None and text != "latest":
        return find(text, reports)
    runs = runs_of(reports)
    if match is None:
        if not runs:
            raise ConfigError(f"there is no run below {reports}")
        return RunFolder(reports.absolute() / runs[-1].name)
    return _before(named(match["run"], reports), int(match["back"]), runs, text)


def _before(run: RunFolder, back: int, runs: list[Dated], text: str) -> RunFolder:
    own = next((one for one in runs if one.name == run.path.name), None)
    if own is None:
        raise ConfigError(f"{text}: {run.path.name} is no run below the reports folder whose runs could be counted")
    same = [one for one in runs if one.matrix == own.matrix]
    place = same.index(own) - back
    if place < 0:
        raise ConfigError(f"{text}: there is no such run; {own.matrix} has {same.index(own)} before {own.name}")
    return RunFolder(run.path.parent / same[place].name)
