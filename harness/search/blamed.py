"""What a blame asks and how it ended, as both are kept beside its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.search.changes import Change, Subset
from harness.search.criterion import WORDS, Criterion
from harness.search.delta_debugging import MinimalSubset
from harness.search.kept import keep, kept
from harness.search.result import Ending
from harness.session.context import BUSY_BYTES, Options
from harness.store.records import Record
from harness.store.run_folder import RunFolder

QUESTION, RESULT = "blame.json", "blame-result.json"


class BlameQuestion(Criterion):
    """One blame: what differs between two environments, and what of it cannot be applied alone.

    ``good`` and ``bad`` are the ends as they were typed, ``shared`` is a cell with what both have, ``needs`` maps the
    number of a change to those that it cannot be applied without. ``followers`` are packages that only one end has,
    because another package of it needs them: they come and go with that one, and are no changes of their own.
    """

    good: str
    bad: str
    scenario: str
    matrix: str
    shared: Cell
    changes: tuple[Change, ...]
    followers: tuple[Change, ...] = ()
    needs: dict[int, tuple[int, ...]] = Field(default_factory=dict)
    assume_ends: bool = False
    confirm: int = 1
    jobs: int = 1
    timeout: float | None = None  # seconds
    busy_bytes: int = BUSY_BYTES
    reuse: bool = True

    def options(self) -> Options:
        """Return how attempts are run."""
        return Options(timeout=self.timeout, jobs=self.jobs, busy_bytes=self.busy_bytes)

    def command(self) -> tuple[str, ...]:
        """Return the command that asks the same."""
        words = ["harness", "blame", "--good", self.good, "--bad", self.bad, "--scenario", self.scenario]
        words += ["--matrix", self.matrix, "--python", self.shared.python, *self.words()]
        words += ["--timeout", f"{self.timeout:g}"] if self.timeout is not None else []
        words += ["--gpu-busy", str(self.busy_bytes)] if self.busy_bytes != BUSY_BYTES else []
        return tuple(words)


class Probed(Record):
    """One subset of the changes, its cell, and what it answered (None: undecided); without a cell it was not run."""

    applied: tuple[str, ...]
    cell: str | None
    bad: bool | None
    reason: str

    @property
    def word(self) -> str:
        """Say it: good, bad or undecided."""
        return WORDS[self.bad]


class BlameResult(Record):
    """How it ended.

    ``members`` turn green into red; without each group of ``proven`` it is green again. ``apart`` says of a member why
    it cannot be taken away alone, ``unsure`` why that could not be judged. ``followers`` come and go with them. While
    nothing is found, ``members`` are the changes that are left.
    """

    ending: Ending
    changes: dict[str, str]  # package -> the change in words
    members: tuple[str, ...]
    proven: tuple[tuple[str, ...], ...] = ()
    apart: dict[str, str] = Field(default_factory=dict)
    unsure: dict[str, str] = Field(default_factory=dict)
    followers: tuple[str, ...] = ()
    probes: tuple[Probed, ...] = ()
    reason: str = ""

    @property
    def ran(self) -> int:
        """How many environments were run, the two ends with them."""
        return sum(one.cell is not None for one in self.probes)


def write_question(question: BlameQuestion, folder: RunFolder) -> None:
    """Keep the question in its run folder."""
    keep(question, folder, QUESTION)


def read_question(folder: RunFolder) -> BlameQuestion:
    """Read the question of a run.

    Raises:
        ConfigError: the run is no blame, or its file is not one.
    """
    found = kept(folder, QUESTION, BlameQuestion)
    if found is None:
        raise ConfigError(f"{folder.path} is no blame: it has no {QUESTION}")
    return found


def write_result(result: BlameResult, folder: RunFolder) -> None:
    """Keep the result in its run folder."""
    keep(result, folder, RESULT)


def read_result(folder: RunFolder) -> BlameResult | None:
    """Read the result of a blame; None where the run is none, or has not come to an end.

    Raises:
        ConfigError: the file is not one.
    """
    return kept(folder, RESULT, BlameResult)


def outcome(
    changes: Sequence[Change], found: MinimalSubset, refused: Mapping[Subset, str], untold: Mapping[Subset, str]
) -> BlameResult:
    """Make a result of what the search found.

    ``refused`` says of subsets why there is no such environment, ``untold`` why what was run could not be judged. The
    first is part of an answer, for nobody can tell more; the second leaves it open.
    """
    without = {item: found.members - {item} for item in sorted(found.untold)}
    names = {item: change.package for item, change in enumerate(changes)}
    unsure = {names[item]: untold.get(one, "") for item, one in without.items() if one not in refused}
    return BlameResult(
        ending=Ending.INCONCLUSIVE if unsure else Ending.FOUND,
        changes={change.package: change.words() for change in changes},
        members=tuple(names[item] for item in sorted(found.members)),
        proven=tuple(tuple(names[item] for item in sorted(group)) for group in found.proven),
        apart={names[item]: refused[one] for item, one in without.items() if one in refused},
        unsure=unsure,
    )


def unfinished(changes: Sequence[Change], ending: Ending, left: Subset, reason: str) -> BlameResult:
    """Make a result of a blame that has no answer; ``left`` are the changes that it may still be."""
    return BlameResult(
        ending=ending,
        changes={change.package: change.words() for change in changes},
        members=tuple(changes[item].package for item in sorted(left)),
        reason=reason,
    )
