"""Select the cells that a nightly run runs; the results of the others are reused. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from harness.nightly.ledger import LastResult, Ledger, passes_needed
from harness.store.records import WHOLE_CELL, Record, Status, function_of
from harness.verdict.result import ResultKey

NO_RESULT_SO_FAR = "no result so far"
REUSABLE = {Status.PASS, Status.SKIP}  # of an unchanged scenario


class PlannedSeries(Record):
    """One planned cell: its series, the hash of its lock (empty: unsolvable), and test function → source digest."""

    cell: str
    series: str = Field(alias="line")
    lock: str
    sources: Mapping[str, str]
    control: bool = False


@dataclass(frozen=True)
class Selection:
    """What is run and what is reused.

    Attributes:
        run: Cell → the test functions to run in it.
        reasons: Cell → why it is run.
        reused: The results that are reused.
    """

    run: Mapping[str, tuple[str, ...]]
    reasons: Mapping[str, str]
    reused: Mapping[ResultKey, LastResult] = field(default_factory=dict)


def select_cells(planned: Sequence[PlannedSeries], ledger: Ledger | None, *, run_all: bool = False) -> Selection:
    """Select cells; a cell is run with all its scenarios, or not at all.

    ========================================================================= ======
    the control cell; ``run_all``                                             run
    the series is new, its lock changed, or it has no lock                    run
    the machine drifted in the last run, or since one of its results          run
    one of its scenarios is new, or its source changed or is not known        run
    it or one of its scenarios was run before and never had a result          run
    one of its results failed or was flaky, or was missing since              run
    a flaky one passed fewer than 14 times in a row since                     run
    else                                                                      reused
    ========================================================================= ======
    """
    results = ledger.last_results() if ledger else {}
    run, reasons, reused = dict[str, tuple[str, ...]](), dict[str, str](), dict[ResultKey, LastResult]()
    for one in planned:
        mine = {key: each for key, each in results.items() if key.series == one.series}
        reason = _cell_reason(one, mine, ledger, run_all=run_all)
        found = {reason or _scenario_reason(name, one, mine, ledger): None for name in one.sources}
        found.pop("", None)
        chosen = tuple(one.sources) if found else ()
        if chosen:
            run[one.cell] = chosen
            reasons[one.cell] = "; ".join(found)
        reused |= {
            key: each
            for key, each in mine.items()
            if key.scenario != WHOLE_CELL
            and function_of(key.scenario) in one.sources
            and function_of(key.scenario) not in chosen
        }

    return Selection(run, reasons, reused)


def _cell_reason(
    one: PlannedSeries, mine: Mapping[ResultKey, LastResult], ledger: Ledger | None, *, run_all: bool
) -> str:
    """Return why a cell is run with all its scenarios; empty if that depends on the scenarios."""
    if run_all or one.control:
        return "control cell" if one.control else "--all"
    if ledger is None or not mine:
        tried = ledger is not None and any(series == one.series for series, _ in ledger.without_result)
        return NO_RESULT_SO_FAR if tried else "new series"
    if not ledger.machine_was_trusted:
        return "machine drift in the last run"
    if not one.lock:
        return "no lock"
    if any(one.lock not in {each.lock, each.tried_lock if each.unconfirmed else each.lock} for each in mine.values()):
        return "lock changed"
    return ""


def _scenario_reason(  # noqa: PLR0911  # one return a reason
    name: str, one: PlannedSeries, mine: Mapping[ResultKey, LastResult], ledger: Ledger | None
) -> str:
    """Return why a cell is run because of one test function; empty if its results can be reused."""
    results = [each for key, each in mine.items() if function_of(key.scenario) == name]
    if not results:
        tried = {(series, function_of(scenario)) for series, scenario in (ledger.without_result if ledger else ())}
        file = name.partition("::")[0]
        return NO_RESULT_SO_FAR if tried & {(one.series, name), (one.series, file)} else "new scenario"

    if not one.sources[name] or any(each.source != one.sources[name] for each in results):
        return "source changed"
    statuses = sorted({str(each.status) for each in results if each.status not in REUSABLE})
    if statuses:
        return f"{' or '.join(statuses)} in the last run"
    if more := max(passes_needed(each.history) if each.status is Status.PASS else 0 for each in results):
        return f"flaky: {more} more passes in a row needed"
    if any(each.unconfirmed for each in results):
        return "no confirmed result in the last run"
    if ledger is not None and any(each.machine_era != ledger.machine_era for each in results):
        return "machine drift since"
    return ""
