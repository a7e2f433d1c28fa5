"""From the attempts of one release to good, bad or cannot tell, with the reason: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.search.criterion import Criterion
from harness.store.records import AttemptRecord, Reason, Status
from harness.verdict.signature import recognise

RAN = {Status.PASS, Status.FAIL}


WORDS = {True: "bad", False: "good", None: "cannot tell"}


@dataclass(frozen=True)
class Judged:
    """One release: whether it is bad (None: cannot be told), and why."""

    bad: bool | None
    reason: str

    @property
    def word(self) -> str:
        """Say it: good, bad or cannot tell."""
        return WORDS[self.bad]


def judge(criterion: Criterion, attempts: Sequence[AttemptRecord], bound: float | None = None) -> Judged:
    """Judge one release by its attempts; ``bound`` is what the metric must not exceed.

    ======================================================= ===========
    no result, or every one was interrupted                 cannot tell
    attempts of one scenario disagree                       cannot tell
    one is skip, miss or error, or could not be run at all  cannot tell
    ``--metric``: a figure above the bound                  bad
    ``--metric``: nothing measured                          cannot tell
    a fail with the signature asked for, or any fail        bad
    a fail with another signature                           cannot tell
    … unless it is the one that counts as good              good
    else                                                    good
    ======================================================= ===========
    """
    ended = [one for one in attempts if one.outcome.reason is not Reason.INTERRUPTED]
    if not ended:
        return Judged(None, "no result")
    if criterion.metric is not None:
        return _by_figure(criterion.metric, ended, bound)
    answers: dict[str, set[bool | None]] = {}
    for one in ended:
        answers.setdefault(one.scenario, set()).add(_by_outcome(criterion, one))
    for scenario, found in answers.items():
        if len(found) > 1:
            outcomes = ", ".join(str(one.outcome) for one in ended if one.scenario == scenario)
            return Judged(None, f"flaky: {scenario} gave {outcomes}")
    for wanted in (True, None, False):  # one parameter that is bad makes the release bad, whatever the others do
        for one in ended:
            if answers[one.scenario] == {wanted}:
                return Judged(wanted, _reason(one))
    return Judged(None, "no result")


def figure(name: str, attempts: Sequence[AttemptRecord]) -> float | None:
    """Return the figure of a release: the largest of its scenarios, each the median of its attempts."""
    return max((median(found) for found in measured(name, attempts).values()), default=None)


def _by_figure(name: str, attempts: Sequence[AttemptRecord], bound: float | None) -> Judged:
    value = figure(name, attempts)
    if value is None:
        known = sorted({key for one in attempts for key in one.figures})
        there = f"; there are {', '.join(known)}" if known else f" ({_reason(attempts[0])})"
        return Judged(None, f"no figure {name}{there}")
    if bound is None:
        return Judged(None, f"{name} = {value:g}, and the good end has none to compare with")
    for scenario, found in measured(name, attempts).items():
        if min(found) <= bound < max(found):
            return Judged(
                None, f"flaky: {scenario} measured {name} from {min(found):g} to {max(found):g}, bound {bound:g}"
            )
    return Judged(value > bound, f"{name} = {value:g}, bound {bound:g}")


def measured(name: str, attempts: Sequence[AttemptRecord]) -> dict[str, list[float]]:
    """Return scenario → the figure of each of its attempts that ran."""
    values: dict[str, list[float]] = {}
    for one in attempts:
        value = value_of(name, one.figures) if one.outcome.status in RAN else None
        if value is not None:
            values.setdefault(one.scenario, []).append(value)
    return values


def value_of(name: str, figures: Mapping[str, float]) -> float | None:
    """Return a figure by its column, or the largest of all phases where none is named (``cuda.reserved``)."""
    if name in figures:
        return figures[name]
    head = name.replace(".", "_")
    return max((value for column, value in figures.items() if column.partition(".")[0] == head), default=None)


def _by_outcome(criterion: Criterion, one: AttemptRecord) -> bool | None:
    if one.outcome.status not in RAN or not one.attempt:  # attempt 0: nothing could be installed, or collected
        return None
    if one.outcome.status is Status.PASS or criterion.good_signature in _names(one):
        return False
    return True if criterion.signature is None or criterion.signature in _names(one) else None


def _names(one: AttemptRecord) -> tuple[str, ...]:
    rule = recognise(one.failure) if one.failure else None
    return (*((one.signature,) if one.signature else ()), *((rule.name,) if rule else ()))


def _reason(one: AttemptRecord) -> str:
    said = one.detail or one.signature or ""
    return f"{one.scenario} {one.outcome}{': ' if said else ''}{' '.join(said.split())[:160]}"
