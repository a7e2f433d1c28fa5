"""Which attempts are still to be made in a cell: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.runner.isolation import Isolation
from harness.session.context import Options
from harness.store.outcome import Reason, Status
from harness.store.records import AttemptRecord, ScenarioInfo


@dataclass(frozen=True)
class Todo:
    """One attempt to make; attempts are numbered from 1."""

    scenario: ScenarioInfo
    number: int


def plan_attempts(
    cell: str,
    collected: Iterable[ScenarioInfo],
    options: Options,
    done: Sequence[AttemptRecord],
    isolation: Isolation,
) -> list[Todo]:
    """Return the attempts to make, in the order of collection.

    Each scenario needs ``options.repeat`` attempts in each isolation that is run. What is done counts, unless it was
    interrupted; with ``retry_failed`` a scenario whose last attempt was red gets ``retries`` more.
    """
    planned = []
    for info in collected:
        mine = [row for row in done if (row.cell, row.scenario) == (cell, info.id) and row.attempt > 0]
        finished = [row for row in mine if row.outcome.reason is not Reason.INTERRUPTED]
        counted = [row for row in finished if not options.check_isolation or row.isolation == isolation]
        wanted = options.repeat - len(counted)
        if (
            options.retry_failed
            and finished
            and finished[-1].outcome.status in {Status.FAIL, Status.ERROR, Status.MISS}
        ):
            wanted = options.retries
        first = max([row.attempt for row in mine], default=0) + 1
        planned += [Todo(info, first + extra) for extra in range(wanted)]
    return planned
