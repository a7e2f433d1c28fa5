"""What a night leaves to the next one: for every place the last answer, the night it was seen in, and its history."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pydantic import ConfigDict, Field

from harness.nightly.look import Look, Mark, Place, Word
from harness.nightly.machine import MachineSnapshot
from harness.store.records import Outcome, Record

NIGHTS_KEPT = 30  # of each place's answers: what the rate of a flaky scenario is counted over
VALUES_KEPT = 12  # of each figure since it last moved: what its noise is judged by


class Tally(Record):
    """The answers of one place in one night: ``R`` and ``G`` in their order, under one lock and source."""

    night: str
    key: str  # lock and source
    answers: str


class Seen(Record):
    """The last answer of one place. ``night`` is when it was seen, ``since`` since when it has been the same.

    ``unsure``: the answer could not be had again since, or was not confirmed; the place is run next night.
    ``epoch`` is the night since which the machine has measured as it did then: figures of two epochs are not compared.
    """

    line: str
    scenario: str
    cell: str
    night: str
    since: str
    epoch: str
    attempts: tuple[str, ...]
    signatures: tuple[str, ...] = ()
    figures: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    built: dict[str, str] = Field(default_factory=dict)  # the address of what is built from a commit or a folder
    lock: str = ""
    source: str = ""
    gpu: str = ""
    level: str = ""  # the night since which its figures stand where they do
    unsure: bool = False
    tried: str = ""  # the lock under which it could not be had again, or was not confirmed
    tallies: tuple[Tally, ...] = ()

    @property
    def place(self) -> Place:
        """Where it was seen."""
        return (self.line, self.scenario)

    @cached_property
    def look(self) -> Look:
        """The answer as a look; its figures are those of several nights."""
        return Look(
            line=self.line,
            scenario=self.scenario,
            cell=self.cell,
            attempts=tuple(map(Outcome.parse, self.attempts)),
            signatures=self.signatures,
            figures=self.figures,
            versions=self.versions,
            mark=Mark(self.lock, self.source),
            gpu=self.gpu,
            built=self.built,
        )

    @property
    def word(self) -> Word:
        """What the place showed."""
        return self.look.word

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Ledger(Record):
    """The state after one night that came to its end.

    ``control`` is what the control cell showed when the machine was last trusted, ``moved_control`` what it showed in a
    later night in which it had moved; the machine is trusted again when the next night shows either of the two.
    """

    night: str
    epoch: str
    facts: MachineSnapshot = MachineSnapshot()
    seen: tuple[Seen, ...] = ()
    control: tuple[Seen, ...] = ()
    moved_control: tuple[Seen, ...] = ()
    announced: tuple[str, ...] = ()  # claims that are said again each night, see known.mark
    unanswered: tuple[Place, ...] = ()  # places that were run and never had an answer

    @property
    def settled(self) -> bool:
        """Tell whether the machine was trusted in that night."""
        return not self.moved_control

    def places(self) -> dict[Place, Seen]:
        """Return place → last answer."""
        return {one.place: one for one in self.seen}


def seen(look: Look, night: str, epoch: str, was: Seen | None = None, *, same: bool, level: bool) -> Seen:
    """Write down tonight's look after an earlier answer.

    Args:
        look: what was seen tonight.
        night: tonight's name.
        epoch: since when the machine measures as it does.
        was: the earlier answer, if there is one.
        same: whether the answer is still the earlier one, so that ``since`` stays.
        level: whether the figures still stand where they stood, so that their earlier values count on.
    """
    stays = was is not None and level and was.epoch == epoch
    before = was.figures if was is not None and stays else {}
    return Seen(
        line=look.line,
        scenario=look.scenario,
        cell=look.cell,
        night=night,
        since=was.since if was is not None and same else night,
        epoch=epoch,
        attempts=tuple(map(str, look.attempts)),
        signatures=look.signatures,
        figures={name: (*before.get(name, ()), *values)[-VALUES_KEPT:] for name, values in look.figures.items()},
        versions=dict(look.versions),
        built=dict(look.built),
        lock=look.mark.lock,
        source=look.mark.source,
        gpu=look.gpu,
        level=was.level if was is not None and stays else night,
        tallies=tallied(look, night, was),
    )


def tallied(look: Look, night: str, was: Seen | None) -> tuple[Tally, ...]:
    """Return the history of a place with tonight's answers."""
    before = was.tallies if was is not None else ()
    answers = look.letters()
    if not answers:
        return before
    return (*before, Tally(night=night, key=key(look.mark), answers=answers))[-NIGHTS_KEPT:]


def key(mark: Mark) -> str:
    """Write a mark as one word."""
    return f"{mark.lock}/{mark.source}"


def by_scenario(control: tuple[Seen, ...]) -> Mapping[str, Seen]:
    """Return scenario → answer of the control cell."""
    return {one.scenario: one for one in control}
