"""What a night leaves to the next one: the last result of each scenario and series, its night, and its history."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pydantic import ConfigDict, Field

from harness.nightly.machine import MachineSnapshot
from harness.store.records import Outcome, Record, Status
from harness.verdict.result import ResultKey, ScenarioResult, letters

NIGHTS_KEPT = 30  # of each place's answers: what the rate of a flaky scenario is counted over
VALUES_KEPT = 12  # of each figure since it last moved: what its noise is judged by


class AnswerLog(Record):
    """The answers of one scenario in one night: ``R`` and ``G`` in their order, under one lock and source."""

    night: str
    key: str  # lock and source
    answers: str


class LastResult(Record):
    """The last result of one scenario in one series, and the night of it; ``since`` is the first night with it.

    ``unsure``: the result could not be repeated since, or was not confirmed; the scenario runs next night.
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
    level: str = ""  # first night with the current level of its figures
    unsure: bool = False
    tried: str = ""  # the lock under which it could not be had again, or was not confirmed
    tallies: tuple[AnswerLog, ...] = ()

    @property
    def key(self) -> ResultKey:
        """What it is the last result of."""
        return ResultKey(self.line, self.scenario)

    @cached_property
    def result(self) -> ScenarioResult:
        """The result; its figures are those of several nights."""
        return ScenarioResult(
            key=self.key,
            cell=self.cell,
            recorded_as=self.scenario,
            outcomes=tuple(map(Outcome.parse, self.attempts)),
            signatures=self.signatures,
            values=self.figures,
            versions=self.versions,
            built=self.built,
            lock=self.lock,
            source=self.source,
            gpu=self.gpu,
        )

    @property
    def status(self) -> Status:
        """The status of the result."""
        return self.result.status

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Ledger(Record):
    """The state after one night that came to its end.

    ``control`` is what the control cell showed when the machine was last trusted, ``moved_control`` what it showed in a
    later night in which it had moved; the machine is trusted again when the next night shows either of the two.
    """

    night: str
    epoch: str
    facts: MachineSnapshot = MachineSnapshot()
    seen: tuple[LastResult, ...] = ()
    control: tuple[LastResult, ...] = ()
    moved_control: tuple[LastResult, ...] = ()
    announced: tuple[str, ...] = ()  # claims that are said again each night, see known.mark
    unanswered: tuple[ResultKey, ...] = ()  # places that were run and never had an answer

    @property
    def settled(self) -> bool:
        """Tell whether the machine was trusted in that night."""
        return not self.moved_control

    def last_results(self) -> dict[ResultKey, LastResult]:
        """Return the last result of each key."""
        return {one.key: one for one in self.seen}


def remember(
    result: ScenarioResult, night: str, epoch: str, was: LastResult | None = None, *, same: bool, level: bool
) -> LastResult:
    """Write down tonight's result after an earlier one.

    Args:
        result: tonight's result.
        night: tonight's name.
        epoch: since when the machine measures as it does.
        was: the earlier result, if there is one.
        same: whether the result is still the earlier one, so that ``since`` stays.
        level: whether the figures are still at their level, so that their earlier values count on.
    """
    stays = was is not None and level and was.epoch == epoch
    before = was.figures if was is not None and stays else {}
    return LastResult(
        line=result.key.series,
        scenario=result.key.scenario,
        cell=result.cell,
        night=night,
        since=was.since if was is not None and same else night,
        epoch=epoch,
        attempts=tuple(map(str, result.outcomes)),
        signatures=result.signatures,
        figures={name: (*before.get(name, ()), *values)[-VALUES_KEPT:] for name, values in result.values.items()},
        versions=dict(result.versions),
        built=dict(result.built),
        lock=result.lock,
        source=result.source,
        gpu=result.gpu,
        level=was.level if was is not None and stays else night,
        tallies=with_answers(result, night, was),
    )


def with_answers(result: ScenarioResult, night: str, was: LastResult | None) -> tuple[AnswerLog, ...]:
    """Return the answers of earlier nights with tonight's."""
    before = was.tallies if was is not None else ()
    answers = letters(result.outcomes)
    if not answers:
        return before
    return (*before, AnswerLog(night=night, key=f"{result.lock}/{result.source}", answers=answers))[-NIGHTS_KEPT:]


def by_scenario(control: tuple[LastResult, ...]) -> Mapping[str, LastResult]:
    """Return scenario → last result of the control cell."""
    return {one.scenario: one for one in control}
