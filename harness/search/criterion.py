"""What counts as bad, and the evaluation of one candidate's results as good, bad or undecided: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from harness.store.records import AttemptSummary, Outcome, Reason, Record, ScenarioInfo, Status
from harness.verdict.result import ScenarioResult
from harness.verdict.signature import recognise

RAN = {Status.PASS, Status.FAIL}
WORDS = {True: "bad", False: "good", None: "undecided"}
TESTS_NAMED = 6


class Criterion(Record):
    """What counts as bad; without any field set, every failure does.

    Attributes:
        signature: A rule's name or a whole signature. Only this failure is bad.
        good_signature: A failure that counts as good, because it masks the one that is searched.
        metric: The candidate is bad if this metric exceeds a bound.
        factor: The bound, as a multiple of the metric at the good end.
        limit: The bound itself, in the metric's own unit.
    """

    signature: str | None = None
    good_signature: str | None = None
    metric: str | None = None
    factor: float | None = None
    limit: int | None = None

    def words(self) -> tuple[str, ...]:
        """Return the command-line options that state the same criterion."""
        above = f"{self.factor:g}x" if self.factor is not None else self.limit
        return (
            *(("--signature", self.signature) if self.signature else ()),
            *(("--good-signature", self.good_signature) if self.good_signature else ()),
            *(("--metric", self.metric) if self.metric else ()),
            *(("--above", str(above)) if self.metric and above is not None else ()),
        )


class Cause(StrEnum):
    """Why a candidate is undecided."""

    NO_RESULT = "no result"
    FLAKY = "flaky"
    UNAVAILABLE = "unavailable"  # not resolved, or not installed
    NO_ENVIRONMENT = "no environment"  # the resolver, or a bundle, has no such combination
    TIMEOUT = "timeout"
    GPU_BUSY = "gpu busy"
    OTHER_FAILURE = "other failure"
    NOT_MEASURED = "not measured"
    NO_BOUND = "no bound"  # the good end lacks the metric
    MEASURED = "measured"  # a metric without a bound
    OTHER = "other"


@dataclass(frozen=True)
class Evaluation:
    """The answer of one candidate: bad, good or undecided (None), with the reason in words."""

    bad: bool | None
    reason: str
    cause: Cause | None = None

    @property
    def word(self) -> str:
        """Return ``good``, ``bad`` or ``undecided``; ``measured`` for a metric without a bound."""
        return self.cause.value if self.cause is Cause.MEASURED else WORDS[self.bad]


def evaluate(criterion: Criterion, results: Sequence[ScenarioResult], bound: float | None = None) -> Evaluation:
    """Evaluate one candidate by its results; ``bound`` is the largest good value of the metric.

    ======================================================= ===========
    there is no result                                      undecided
    attempts of one scenario disagree                       undecided
    a result is missing, skip or error, or unavailable      undecided
    ``--metric``: the value exceeds the bound               bad
    ``--metric``: nothing was measured                      undecided
    a failure with the signature, or any failure            bad
    a failure with another signature                        undecided
    … unless it is the signature that counts as good        good
    else                                                    good
    ======================================================= ===========
    """
    ended = [one for one in results if one.status is not Status.MISS]
    if not ended:
        return Evaluation(None, "no result", Cause.NO_RESULT)
    if criterion.metric is not None:
        return _by_metric(criterion, criterion.metric, ended, bound)

    found = [_by_failure(criterion, one) for one in results]
    flaky = [one for one in found if one.cause is Cause.FLAKY]
    bad, undecided, good = ([one for one in found if one.bad is answer] for answer in (True, None, False))
    return [*flaky, *bad, *undecided, *good][0]  # one bad parameter makes the candidate bad, whatever the others give


def bound_of(criterion: Criterion, good: Sequence[ScenarioResult]) -> float | None:
    """Return the largest good value of the metric, given the results at the good end; None if there is none."""
    if criterion.factor is None or criterion.metric is None:
        return criterion.limit
    value = metric_value(criterion.metric, good)
    return None if value is None else criterion.factor * value


def failed_otherwise(criterion: Criterion, evaluation: Evaluation, results: Sequence[ScenarioResult]) -> bool:
    """Return whether an undecided candidate did fail, only with another signature than the one asked for.

    A timeout, or attempts that disagree, may be the failure that was asked for.
    """
    failed = any(
        one.attempt and one.outcome.status is Status.FAIL and one.outcome.reason is not Reason.TIMEOUT
        for result in results
        for one in result.counted
    )
    undecided = evaluation.bad is None and evaluation.cause is not Cause.FLAKY
    return criterion.signature is not None and undecided and failed


def metric_value(name: str, results: Sequence[ScenarioResult]) -> float | None:
    """Return the metric of a candidate: the largest of its scenarios, each the median of its attempts."""
    return max((median(found) for found in metric_values(name, results).values()), default=None)


def metric_values(name: str, results: Sequence[ScenarioResult]) -> dict[str, list[float]]:
    """Return scenario → the metric of each of its attempts that ran."""
    found: dict[str, list[float]] = {}
    for result in results:
        ran = (column_value(name, one.figures) for one in result.counted if one.outcome.status in RAN)
        values = [value for value in ran if value is not None]
        if values:
            found[result.key.scenario] = values
    return found


def column_value(name: str, figures: Mapping[str, float]) -> float | None:
    """Return a figure by its column, or the largest of all phases if none is named (``cuda.reserved``)."""
    if name in figures:
        return figures[name]
    head = name.replace(".", "_")
    return max((value for column, value in figures.items() if column.partition(".")[0] == head), default=None)


def whole_file(scenario: str, infos: Sequence[ScenarioInfo], criterion: Criterion) -> tuple[str, ...]:
    """Return a note on how several tests of a file are evaluated as one; nothing for a single test.

    Args:
        scenario: ``FILE`` or ``FILE::TEST``, as typed.
        infos: The tests that ``scenario`` names.
        criterion: What counts as bad.
    """
    if "::" in scenario or len(infos) < 2:  # noqa: PLR2004 - several
        return ()
    names = [info.id.partition("::")[2] for info in infos]
    some = f"{', '.join(names[:TESTS_NAMED])}{' …' if len(names) > TESTS_NAMED else ''}"
    if criterion.metric is not None:
        how = f"by the largest {criterion.metric} of them"
    else:
        what = f"fails with {criterion.signature}" if criterion.signature else "fails"
        how = f"bad if any {what}, good if all are decided and none does"

    return (
        f"{scenario} holds {len(names)} tests, evaluated as one: {how}; to test one: {scenario}::{names[0]} ({some})",
    )


def read_factor(text: str) -> float | None:
    """Read a factor (``1.5x``); None for any other text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x", text)
    return float(match[1]) if match else None


def _by_failure(criterion: Criterion, result: ScenarioResult) -> Evaluation:
    name = result.key.scenario
    if result.status is Status.MISS:
        return Evaluation(None, f"{name}: no result ({result.reason})", Cause.NO_RESULT)
    answers = {_by_outcome(criterion, one) for one in result.counted}
    if len(answers) > 1:
        outcomes = ", ".join(str(one.outcome) for one in result.counted)
        return Evaluation(None, f"flaky: {name} gave {outcomes}", Cause.FLAKY)

    first, bad = result.counted[0], answers.pop()
    return Evaluation(bad, _describe(first), _cause(first) if bad is None else None)


def _by_metric(criterion: Criterion, name: str, results: Sequence[ScenarioResult], bound: float | None) -> Evaluation:
    value = metric_value(name, results)
    if value is None:
        first = results[0].counted[0]
        known = sorted({figure for one in results for each in one.counted for figure in each.figures})
        if known:
            return Evaluation(None, f"no figure {name}; there are {', '.join(known)}", Cause.NOT_MEASURED)
        return Evaluation(None, f"no figure {name} ({_describe(first)})", _cause(first))

    if bound is None and criterion.factor is None:
        return Evaluation(None, f"{name} = {value:g}", Cause.MEASURED)
    if bound is None:
        return Evaluation(None, f"{name} = {value:g}, and the good end has none to compare with", Cause.NO_BOUND)

    for scenario, found in metric_values(name, results).items():
        if min(found) <= bound < max(found):
            span = f"from {min(found):g} to {max(found):g}, bound {bound:g}"
            return Evaluation(None, f"flaky: {scenario} measured {name} {span}", Cause.FLAKY)

    return Evaluation(value > bound, f"{name} = {value:g}, bound {bound:g}")


def _by_outcome(criterion: Criterion, one: AttemptSummary) -> bool | None:
    if one.outcome.status not in RAN or not one.attempt:  # attempt 0: nothing could be installed or collected
        return None
    if one.outcome.status is Status.PASS or criterion.good_signature in _signatures(one):
        return False
    return True if criterion.signature is None or criterion.signature in _signatures(one) else None


def _signatures(one: AttemptSummary) -> tuple[str, ...]:
    rule = recognise(one.failure) if one.failure else None
    return (*((one.signature,) if one.signature else ()), *((rule.name,) if rule else ()))


def _cause(one: AttemptSummary) -> Cause:
    """Return why an attempt that decides nothing decides nothing."""
    match one.outcome:
        case Outcome(status=Status.UNAVAILABLE):
            return Cause.UNAVAILABLE
        case Outcome(reason=Reason.TIMEOUT):
            return Cause.TIMEOUT
        case Outcome(reason=Reason.GPU_BUSY):
            return Cause.GPU_BUSY
        case Outcome(status=Status.FAIL) if one.attempt:
            return Cause.OTHER_FAILURE

    return Cause.OTHER


def _describe(one: AttemptSummary) -> str:
    detail = one.detail or one.signature or ""
    return f"{one.scenario} {one.outcome}{': ' if detail else ''}{' '.join(detail.split())[:160]}"
