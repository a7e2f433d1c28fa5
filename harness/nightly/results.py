"""The results of a nightly run, one for each cell or file that could not be set up or collected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.store.records import AttemptRecord, CellRecord, Status, series_names
from harness.store.run_folder import RunFolder
from harness.verdict.result import ANSWERS, ResultKey, ScenarioResult
from harness.verdict.results import results_of


@dataclass(frozen=True)
class NightResults:
    """The results of a run by key, and the cell of each series."""

    results: Mapping[ResultKey, ScenarioResult]
    cells: Mapping[str, CellRecord]


def night_results(folder: RunFolder) -> NightResults:
    """Read a run; what is recorded for a whole cell or file is one result under that name.

    Raises:
        ConfigError: the folder is not a run.
    """
    run, journal = folder.read(AttemptRecord)
    found: dict[ResultKey, ScenarioResult] = {}
    for key, one in results_of(run, journal).items():
        own = ResultKey(key.series, one.recorded_as)
        found[own] = one if own == key else replace(one, key=own, source="")
    series = series_names(run.cells, run.name)
    return NightResults(found, {series[cell.id]: cell for cell in run.cells})


def has_answer(one: ScenarioResult) -> bool:
    """Tell whether a result answers the question: a skip for want of a GPU does not."""
    return one.status in {*ANSWERS, Status.SKIP} and not one.lacks_gpu


def same_inputs(one: ScenarioResult, other: ScenarioResult) -> bool:
    """Tell whether lock and source of two results are known and equal, so that nothing changed between them."""
    return has_inputs(one) and (one.lock, one.source) == (other.lock, other.source)


def has_inputs(one: ScenarioResult) -> bool:
    """Tell whether lock and source are both known."""
    return bool(one.lock and one.source)


def first_and_last(one: ScenarioResult, before_last: int | None) -> tuple[ScenarioResult, ScenarioResult]:
    """Split a result of the control cell into its first attempt and those after the first ``before_last``."""
    cut = len(one.outcomes) - 1 if before_last is None else before_last
    return _part(one, slice(0, 1)), _part(one, slice(max(cut, 0), None))


def _part(one: ScenarioResult, part: slice) -> ScenarioResult:
    values = {name: each[part] for name, each in one.values.items() if len(each) == len(one.outcomes)}
    return replace(one, outcomes=one.outcomes[part], values=values, attempts=())
