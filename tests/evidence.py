"""Results, ledgers and evidence of nightly runs, made up from letters: one for each attempt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from harness.nightly.conclude import NightEvidence
from harness.nightly.ledger import LastResult, Ledger, record_result
from harness.store.records import Outcome
from harness.verdict.result import ResultKey, ScenarioResult

GIB = 1024**3
RESERVED = "cuda_reserved.load"
OUTCOMES = {
    "P": "pass:check",
    "F": "fail:run:exception",
    "A": "fail:check:assertion",
    "E": "error:run:exception",
    "B": "error:run:gpu_busy",
    "N": "skip:run:no_gpu",
    "S": "skip:run:not_applicable",
    "U": "unavailable:resolve:unsolvable",
}


def outcomes(letters: str) -> tuple[Outcome, ...]:
    return tuple(Outcome.parse(OUTCOMES[one]) for one in letters)


def result(
    letters: str = "P", version: int = 1, memory: float = 0.0, *, scenario: str = "s::t", series: str = "a=latest",
    signature: str = "E: x", **fields: object,
) -> ScenarioResult:  # fmt: skip
    """Return a result of package ``a`` at ``version``; ``memory`` is reserved memory in GiB, equal in all attempts."""
    made = ScenarioResult(
        ResultKey(series, scenario),
        cell=series,
        recorded_as=scenario,
        outcomes=outcomes(letters),
        signatures=(signature,) if set(letters) & {"F", "A"} else (),
        values={RESERVED: (memory * GIB,) * len(letters)} if memory else {},
        versions={"a": str(version)},
        lock=f"l{version}",
        source="s1",
    )
    return replace(made, **fields)


def last(one: ScenarioResult) -> LastResult:
    return record_result(one, "n0", "n0", same_result=True, same_level=True)


def ledger(*results: ScenarioResult, control: Iterable[ScenarioResult] = (), **fields: object) -> Ledger:
    """Return the ledger of a first nightly run with these results."""
    made = Ledger(run="n0", machine_era="n0", results=tuple(map(last, results)), control=tuple(map(last, control)))
    return made.model_copy(update=fields)


def reread(one: Ledger | None) -> Ledger:
    """Return a ledger as the next nightly run reads it."""
    assert one is not None
    return Ledger.model_validate_json(one.model_dump_json())


def evidence(before: Ledger | None, *results: ScenarioResult, **fields: object) -> NightEvidence:
    """Return the evidence of the nightly run after a ledger."""
    expected = (*results, *(one.result for one in (before.results if before else ())))
    made = NightEvidence(
        run="n1",
        today=dt.date(2026, 5, 1),
        results={one.key: one for one in results},
        ledger=before,
        series=frozenset(one.key.series for one in expected),
    )
    return replace(made, **fields)
