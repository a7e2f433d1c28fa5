"""The ledger that a nightly run leaves to the next: the last result of each series and scenario, and its history.

The history decides what can be reported: how often a result fails by itself, and whether its memory moved. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import ConfigDict, Field

from harness.nightly.machine import MachineSnapshot
from harness.store.records import Outcome, Record, Status
from harness.verdict.comparison import comparable
from harness.verdict.result import ResultKey, ScenarioResult, letters
from harness.verdict.statistics import ENOUGH, Shift, Spread, memory_shifts, spread

RUNS_KEPT = 30  # nightly runs whose attempts count for the failure rate of a flaky scenario
VALUES_KEPT = 12  # values of each figure since it last moved, which show its noise
MAX_CHANCE = 0.001  # consecutive failures that are less likely than this are no flake
MIN_FAILURES, MAX_FAILURES, MAX_FAILURES_FLAKY = 2, 6, 14  # consecutive failures that prove a failure
ALLOCATOR = ("allocated", "allocated_peak", "reserved", "reserved_peak", "active", "active_peak")
OWN_BYTES = ("bytes", "_memory")  # endings of a scenario's own figures (``x.``) that are memory


class AnswerLog(Record):
    """The attempts of one scenario in one nightly run, in their order: ``G`` for each pass, ``R`` for each failure."""

    run: str = Field(alias="night")
    key: str  # lock and source
    answers: str


class LastResult(Record):
    """The last result of one scenario in one series.

    Attributes:
        run: The nightly run that made it.
        since: The first nightly run with this result.
        machine_era: The nightly run since which the machine measured as it did then. Figures of two eras are not
            compared.
        level_since: The first nightly run with the current level of its figures.
        unconfirmed: A later run could not repeat or confirm it; the next one runs the scenario again.
        tried_lock: The lock of that later run.
        values: Its figures, also of earlier runs at the same level.
        built: Package → address, of those that are built from a commit or a folder.
    """

    series: str = Field(alias="line")
    scenario: str
    cell: str
    run: str = Field(alias="night")
    since: str
    machine_era: str = Field(alias="epoch")
    outcomes: tuple[str, ...] = Field(alias="attempts")
    signatures: tuple[str, ...] = ()
    values: dict[str, tuple[float, ...]] = Field(default_factory=dict, alias="figures")
    versions: dict[str, str] = Field(default_factory=dict)
    built: dict[str, str] = Field(default_factory=dict)
    lock: str = ""
    source: str = ""
    gpu: str = ""
    level_since: str = Field("", alias="level")
    unconfirmed: bool = Field(default=False, alias="unsure")
    tried_lock: str = Field("", alias="tried")
    history: tuple[AnswerLog, ...] = Field((), alias="tallies")

    @property
    def key(self) -> ResultKey:
        """The series and the scenario."""
        return ResultKey(self.series, self.scenario)

    @cached_property
    def result(self) -> ScenarioResult:
        """The result; its figures are those of several nightly runs."""
        return ScenarioResult(
            key=self.key,
            cell=self.cell,
            recorded_as=self.scenario,
            outcomes=tuple(map(Outcome.parse, self.outcomes)),
            signatures=self.signatures,
            values=self.values,
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

    model_config = ConfigDict(ignored_types=(cached_property,))


class Ledger(Record):
    """The state after a nightly run that finished.

    Attributes:
        control: The results of the control cell when the machine was last trusted.
        drifted_control: Its results in a later run in which the machine had drifted. The machine is trusted again when
            a run repeats either of the two.
        announced: Claims that are repeated each run, see :func:`harness.nightly.conclude.repeat_key`.
        without_result: What was run and never had a result.
    """

    run: str = Field(alias="night")
    machine_era: str = Field(alias="epoch")
    machine: MachineSnapshot = Field(MachineSnapshot(), alias="facts")
    results: tuple[LastResult, ...] = Field((), alias="seen")
    control: tuple[LastResult, ...] = ()
    drifted_control: tuple[LastResult, ...] = Field((), alias="moved_control")
    announced: tuple[str, ...] = ()
    without_result: tuple[ResultKey, ...] = Field((), alias="unanswered")

    @property
    def machine_was_trusted(self) -> bool:
        """Tell whether the machine was trusted in that run."""
        return not self.drifted_control

    def last_results(self) -> dict[ResultKey, LastResult]:
        """Return the last result of each key."""
        return {one.key: one for one in self.results}


def record_result(
    result: ScenarioResult,
    run: str,
    machine_era: str,
    last: LastResult | None = None,
    *,
    same_result: bool,
    same_level: bool,
) -> LastResult:
    """Return the last result of a key after a nightly run.

    Args:
        result: The result of the run.
        run: The name of the run.
        machine_era: Since when the machine measures as it does.
        last: The last result before, if any.
        same_result: Whether the result is that of before, so that ``since`` stays.
        same_level: Whether the figures are at their earlier level, so that their earlier values count.
    """
    stays = last is not None and same_level and last.machine_era == machine_era
    before = last.values if last is not None and stays else {}
    return LastResult(
        series=result.key.series,
        scenario=result.key.scenario,
        cell=result.cell,
        run=run,
        since=last.since if last is not None and same_result else run,
        machine_era=machine_era,
        outcomes=tuple(map(str, result.outcomes)),
        signatures=result.signatures,
        values={name: (*before.get(name, ()), *values)[-VALUES_KEPT:] for name, values in result.values.items()},
        versions=dict(result.versions),
        built=dict(result.built),
        lock=result.lock,
        source=result.source,
        gpu=result.gpu,
        level_since=last.level_since if last is not None and stays else run,
        history=with_answers(result, run, last),
    )


def with_answers(result: ScenarioResult, run: str, last: LastResult | None) -> tuple[AnswerLog, ...]:
    """Return the history of a key, with the attempts of a run added."""
    before = last.history if last is not None else ()
    answers = letters(result.outcomes)
    if not answers:
        return before
    return (*before, AnswerLog(run=run, key=f"{result.lock}/{result.source}", answers=answers))[-RUNS_KEPT:]


def same_inputs(one: ScenarioResult, other: ScenarioResult) -> bool:
    """Tell whether lock and source of two results are known and equal."""
    return bool(one.lock and one.source) and (one.lock, one.source) == (other.lock, other.source)


@dataclass(frozen=True)
class FailureRate:
    """How often a result fails by itself: ``failures`` of ``attempts``.

    Attempts under one lock and source that disagree are flaky. Failures under a lock and source that never passed are
    due to the software and do not count; passes always do.
    """

    failures: int
    attempts: int

    @property
    def flaky(self) -> bool:
        """Tell whether attempts under one lock and source ever disagreed."""
        return self.failures > 0

    def chance(self, failures: int) -> float:
        """Return the probability of so many consecutive failures by chance.

        A result that never was flaky is taken to fail with the chance of the rule of succession, 1 in ``attempts`` + 2.
        For a flaky one every rate that its history allows is weighed (uniform prior), for a few failures in a short
        history do not determine the rate.
        """
        if not self.flaky:
            return (1 / (self.attempts + 2)) ** failures
        return math.prod((self.failures + 1 + each) / (self.attempts + 2 + each) for each in range(failures))

    def __str__(self) -> str:
        """Write ``fails in 1 of 3 attempts``."""
        return f"fails in {self.failures} of {self.attempts} attempts"


def failure_rate(history: Sequence[AnswerLog]) -> FailureRate:
    """Return the failure rate of a result by itself, from its attempts by lock and source."""
    answers: dict[str, str] = {}
    for one in history:
        answers[one.key] = answers.get(one.key, "") + one.answers
    passed = [text for text in answers.values() if "G" in text]
    return FailureRate(sum(text.count("R") for text in passed), sum(len(text) for text in passed))


def failures_needed(history: Sequence[AnswerLog]) -> int:
    """Return how many consecutive failures prove that a result fails, the first one included.

    So many that its failure rate explains them with a chance below 0.001; at least two. A short history needs more, up
    to six, and a flaky one up to fourteen.
    """
    rate = failure_rate(history)
    most = MAX_FAILURES_FLAKY if rate.flaky else MAX_FAILURES
    return next((count for count in range(MIN_FAILURES, most) if rate.chance(count) < MAX_CHANCE), most)


def passes_needed(history: Sequence[AnswerLog]) -> int:
    """Return how many more consecutive passes a flaky result needs before it is reused; 0 for one that is not flaky.

    It needs fourteen in all, as many as the failures that prove a flaky result to fail.
    """
    text = "".join(one.answers for one in history)
    passes = len(text) - len(text.rstrip("G"))
    return max(0, MAX_FAILURES_FLAKY - passes) if failure_rate(history).flaky else 0


def trailing_failures(history: Sequence[AnswerLog]) -> tuple[int, tuple[AnswerLog, ...]]:
    """Return the number of failures at the end of a history, and the history before them."""
    count, left = 0, list(history)
    while left:
        last = left.pop()
        earlier = last.answers.rstrip("R")
        count += len(last.answers) - len(earlier)
        if earlier:
            left.append(last.model_copy(update={"answers": earlier}))
            break

    return count, tuple(left)


def is_watched(name: str) -> bool:
    """Tell whether changes of a figure are reported: memory of the allocator on any GPU, and a scenario's own bytes.

    Memory in use as the driver or the host reports it is left out: other processes have a part in it.
    """
    source, _, rest = name.partition(".")
    if source == "x":
        return rest.endswith(OWN_BYTES)
    return source.startswith("cuda") and any(source.endswith(f"_{one}") for one in ALLOCATOR)


def shifts_since(history: Mapping[str, Sequence[float]], now: Mapping[str, Sequence[float]]) -> tuple[Shift, ...]:
    """Return the watched figures that moved from their values in earlier runs.

    Beyond :func:`harness.verdict.statistics.memory_shifts`, no value may lie in the range of the earlier ones: a figure
    that varies from run to run needs that room. Few attempts are no reason to be more tolerant here, for the history
    grows every run, and growth is reported only after three measurements.
    """
    before, after = ({name: spread(values) for name, values in side.items() if values} for side in (history, now))
    return _watched_shifts(_as_enough(before), after)


def shifts_from_baseline(before: ScenarioResult, after: ScenarioResult) -> tuple[Shift, ...]:
    """Return the watched figures that moved since a baseline, if both passed on one model of GPU.

    The rule is that of :func:`shifts_since`, but a baseline of few attempts gets the tolerance that ``harness compare``
    gives it: what is reported can then be accepted.
    """
    if not comparable(before, after) or {before.status, after.status} != {Status.PASS}:
        return ()
    return _watched_shifts(before.figures, after.figures)


def _watched_shifts(before: Mapping[str, Spread], after: Mapping[str, Spread]) -> tuple[Shift, ...]:
    found = memory_shifts(before, _as_enough(after))
    apart = (one for one in found if one.after.low > one.before.high or one.after.high < one.before.low)
    return tuple(one for one in apart if is_watched(one.name))


def _as_enough(figures: Mapping[str, Spread]) -> dict[str, Spread]:
    """Return figures that count as measured often enough to know their noise."""
    return {name: replace(one, count=max(one.count, ENOUGH)) for name, one in figures.items()}
