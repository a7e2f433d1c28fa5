"""Results made of attempts alone, for tests that have no run."""

from collections.abc import Iterable

from harness.store.records import AttemptRecord
from harness.verdict.result import ResultKey, ScenarioResult


def results_of_attempts(attempts: Iterable[AttemptRecord]) -> list[ScenarioResult]:
    """Return one result a scenario, in the order in which they first occur."""
    by_scenario: dict[str, list[AttemptRecord]] = {}
    for one in attempts:
        by_scenario.setdefault(one.scenario, []).append(one)
    return [
        ScenarioResult(
            key=ResultKey("series", scenario),
            cell=found[0].cell,
            outcomes=tuple(one.outcome for one in found if one.outcome.reason != "interrupted"),
            attempts=tuple(found),
        )
        for scenario, found in by_scenario.items()
    ]
