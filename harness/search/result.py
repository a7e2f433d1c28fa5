"""How a bisect ended, as it is kept beside its run."""

from __future__ import annotations

from enum import StrEnum

from harness.search.criterion import Evaluation
from harness.search.kept import keep, kept
from harness.store.records import Record
from harness.store.run_folder import RunFolder

FILE = "result.json"


class Ending(StrEnum):
    """How a search ended."""

    FOUND = "found"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    INTERRUPTED = "interrupted"


class Result(Record):
    """How a bisect ended: the last release before the change, and those of which one is the first after it."""

    ending: Ending
    package: str
    before: str
    suspects: tuple[str, ...]
    releases: dict[str, Evaluation]  # every release that was probed
    find_fix: bool = False
    reason: str = ""


def write(result: Result, folder: RunFolder) -> None:
    """Keep the result in its run folder."""
    keep(result, folder, FILE)


def read(folder: RunFolder) -> Result | None:
    """Read the result of a bisect; None where the run is none, or has not come to an end.

    Raises:
        ConfigError: the file is not one.
    """
    return kept(folder, FILE, Result)
