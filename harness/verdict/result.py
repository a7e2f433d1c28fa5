"""The result of one scenario in one cell: one status over all its attempts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from harness.store.records import AttemptSummary, Outcome, Reason, Status
from harness.verdict.statistics import Spread, spread

NOT_PASSED = frozenset({Status.FAIL, Status.ERROR, Status.UNAVAILABLE})
ANSWERS = frozenset({Status.PASS, Status.FAIL, Status.FLAKY})  # evidence about the software
INFRASTRUCTURE = frozenset({(Status.ERROR, Reason.NETWORK), (Status.ERROR, Reason.GPU_BUSY)})
# What proves nothing, from least to most: such an attempt counts only where no other one is of a higher rank.
PROVES_NOTHING = (
    frozenset({(Status.MISS, Reason.INTERRUPTED)}),
    frozenset({(Status.SKIP, Reason.NO_GPU)}),
    INFRASTRUCTURE,
)


class ResultKey(NamedTuple):
    """What a result is followed by over runs: the series of its cell, and the scenario."""

    series: str  # ``transformers=latest accelerate=1.13.0``
    scenario: str  # ``load_4bit::test_counts[plain]``; ``*`` for a cell of which no scenario is known


def counting(outcomes: Sequence[Outcome]) -> tuple[int, ...]:
    """Return the indexes of the attempts that count.

    =========================================================== ====================================
    an attempt                                                  counts where there is nothing but
    =========================================================== ====================================
    interrupted                                                 such
    skipped for want of a GPU                                   such, and interrupted ones
    spoilt by the network or a busy GPU                         such, and the two above
    any other                                                   always
    =========================================================== ====================================
    """
    ranks = [_rank(one) for one in outcomes]
    return tuple(index for index, rank in enumerate(ranks) if rank == max(ranks))


def _rank(outcome: Outcome) -> int:
    ranks = (rank for rank, kinds in enumerate(PROVES_NOTHING) if (outcome.status, outcome.reason) in kinds)
    return next(ranks, len(PROVES_NOTHING))


def status_of(outcomes: Sequence[Outcome]) -> Status:
    """Reduce the outcomes of attempts to one status; the first row that fits decides.

    ======================================================== ===========
    among the attempts that count (:func:`counting`)         status
    ======================================================== ===========
    none                                                     miss
    a pass, and a fail or an error                           flaky
    a fail                                                   fail
    an error                                                 error
    a cell that could not be set up                          unavailable
    a pass                                                   pass
    a skip                                                   skip
    else                                                     miss
    ======================================================== ===========
    """
    statuses = {outcomes[index].status for index in counting(outcomes)}
    if Status.PASS in statuses and statuses & {Status.FAIL, Status.ERROR}:
        return Status.FLAKY
    order = (Status.FAIL, Status.ERROR, Status.UNAVAILABLE, Status.PASS, Status.SKIP)
    return next((status for status in order if status in statuses), Status.MISS)


def outcome_text(outcomes: Sequence[Outcome]) -> str:
    """Write what attempts gave: ``pass:check``, ``flaky(pass:check, fail:run:oom)``, ``miss`` for none."""
    distinct = tuple(dict.fromkeys(str(outcomes[index]) for index in counting(outcomes)))
    if len(distinct) <= 1:
        return distinct[0] if distinct else Status.MISS.value
    return f"{status_of(outcomes)}({', '.join(distinct)})"


@dataclass(frozen=True)
class ScenarioResult:
    """One scenario in one cell of one run.

    ``recorded_as`` is the id under which its attempts were recorded: its own, or that of its function, its file or its
    whole cell where it has none of its own. ``outcomes`` are those of the attempts that ended, in their order.
    ``signatures`` are the names of its last failure: its own, then its rule's if one knows it. ``values`` maps each
    figure (``cuda_reserved.load``) to what the attempts that count measured, in their order, in its own unit.
    ``versions`` is the whole lock with ``python``, ``built`` the address of each package built from a commit or a
    folder. ``reason`` is one sentence: why there is no result, or the detail of the decisive attempt. ``gpu`` is the
    model, empty on a CPU. ``lock`` and ``source`` are the digests of the cell's lock and of the scenario's source,
    empty where unknown. ``attempts`` are the records themselves, empty in a result that is read back from a ledger.
    """

    key: ResultKey
    cell: str
    recorded_as: str = ""
    outcomes: tuple[Outcome, ...] = ()
    signatures: tuple[str, ...] = ()
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    built: Mapping[str, str] = field(default_factory=dict)
    lock: str = ""
    source: str = ""
    gpu: str = ""
    reason: str = ""
    attempts: tuple[AttemptSummary, ...] = field(default=(), repr=False, compare=False)

    @property
    def status(self) -> Status:
        """Return the one status."""
        return status_of(self.outcomes)

    @property
    def outcome(self) -> Outcome | None:
        """Return the outcome that all attempts which count agree on; None where they differ or there is none."""
        return self.distinct[0] if len(self.distinct) == 1 else None

    @property
    def distinct(self) -> tuple[Outcome, ...]:
        """Return the different outcomes of the attempts that count, in their order."""
        return tuple(dict.fromkeys(self.outcomes[index] for index in counting(self.outcomes)))

    @property
    def text(self) -> str:
        """Write what the attempts gave, as :func:`outcome_text` does."""
        return outcome_text(self.outcomes)

    @property
    def counted(self) -> tuple[AttemptSummary, ...]:
        """Return the attempts that count (:func:`counting`)."""
        return tuple(self.attempts[index] for index in counting([one.outcome for one in self.attempts]))

    @property
    def decisive(self) -> AttemptSummary | None:
        """Return the attempt whose details are shown: of those that count the last red one, else the last."""
        if not self.counted:
            return None
        return [*self.counted, *(one for one in self.counted if one.outcome.status in NOT_PASSED)][-1]

    @property
    def figures(self) -> dict[str, Spread]:
        """Return each figure over the attempts that count."""
        return {name: spread(values) for name, values in self.values.items() if values}

    @property
    def exact_versions(self) -> dict[str, str]:
        """Return the versions, with the address of what was built: two commits may bear one version."""
        return {**self.versions, **self.built} if self.versions else {}

    @property
    def failure_name(self) -> str:
        """Return the name of its failure: the rule's, its own signature, else the reason."""
        return self.signatures[-1] if self.signatures else self.reason

    @property
    def is_spoilt(self) -> bool:
        """Tell whether the network or a busy GPU kept it from a result."""
        return any((one.status, one.reason) in INFRASTRUCTURE for one in self.distinct)

    @property
    def lacks_gpu(self) -> bool:
        """Tell whether it was skipped for want of a GPU."""
        return any(one.reason is Reason.NO_GPU for one in self.distinct)

    def in_series(self, series: str) -> ScenarioResult:
        """Return the result as one of another series."""
        return replace(self, key=ResultKey(series, self.key.scenario))


def letters(outcomes: Iterable[Outcome]) -> str:
    """Write answers in their order: ``G`` for a pass, ``R`` for a fail; others are left out."""
    signs = {Status.PASS: "G", Status.FAIL: "R"}
    return "".join(signs.get(one.status, "") for one in outcomes)


def same_failure(before: ScenarioResult, after: ScenarioResult) -> bool:
    """Tell whether ``after`` fails as ``before`` did: no outcome that ``before`` did not have, and a name in common."""
    named = bool(set(before.signatures) & set(after.signatures)) or not (before.signatures or after.signatures)
    return named and set(after.distinct) <= set(before.distinct)
