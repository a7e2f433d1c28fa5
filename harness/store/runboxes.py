"""The boxes of a run from what its journal says, without validating any of it: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.store.records import HostRecord, RunRecord, fallback_ids, function_of, series_names

Raw = Mapping[str, Any]  # an attempt as the journal has it
Spoken = dict[tuple[str, str, str], dict[int, Raw]]  # scenario, cell, GPU -> attempt's number -> its last record

RED = ("fail", "error")


@dataclass(frozen=True)
class BoxRow:
    """One scenario in one cell on one model of GPU, as one run left it."""

    line: str
    scenario: str
    gpu: str
    cell: str
    started: datetime
    outcomes: tuple[str, ...]
    signature: str
    failure: Raw | None  # the exception behind the signature
    values: dict[str, list[float]]  # figure -> what each attempt measured, in their order


def boxes(run: RunRecord, attempts: Sequence[Raw]) -> tuple[BoxRow, ...]:
    """Return every box the plan expected and every one that was seen: pure.

    An attempt of ``*`` speaks for its whole cell, one of a file's stem for the scenarios of the file, one of a function
    for its parameters, where these have none of their own.
    """
    lines = series_names(run.cells, run.name)
    gpus = _Gpus(run)
    spoken: Spoken = {}
    for attempt in attempts:
        if attempt["cell"] in lines:
            key = (attempt["scenario"], attempt["cell"], gpus.attempt(attempt))
            spoken.setdefault(key, {})[attempt["attempt"]] = attempt
    seen = gpus.seen(spoken)
    scenarios = _scenarios(run, attempts)
    found = []
    for cell in run.cells:
        for gpu, started in gpus.cell(cell.id, seen.get(cell.id, {})).items():
            for scenario in scenarios:
                voices = _speaking(spoken, scenario, cell.id, gpu)
                found.append(_row(lines[cell.id], scenario, gpu, cell.id, started, voices))
    return tuple(found)


class _Gpus:
    """On which model of GPU an attempt ran, and on which ones a cell was to run."""

    def __init__(self, run: RunRecord) -> None:
        self._run = run
        self._parts = {part.run: _models(part.host) for part in run.parts}
        self._host = _models(run.host)
        self._cards = {gpu.uuid: gpu.name for host in _hosts(run) for gpu in host.gpus}

    def attempt(self, attempt: Raw) -> str:
        """Return the models of its cards; where it names none, of its machine."""
        cards = {self._cards.get(card["uuid"], "") for card in attempt.get("gpus_before") or ()} - {""}
        return ", ".join(sorted(cards)) or self._parts.get(attempt.get("part") or "", self._host)

    def seen(self, spoken: Spoken) -> dict[str, dict[str, datetime]]:
        """Return cell → the models it ran on, each with the moment that run began."""
        moments = {part.run: part.started for part in self._run.parts}
        found: dict[str, dict[str, datetime]] = {}
        for (_, cell, gpu), records in spoken.items():
            part = next(iter(records.values())).get("part") or ""
            found.setdefault(cell, {}).setdefault(gpu, moments.get(part, self._run.started))
        return found

    def cell(self, cell: str, seen: Mapping[str, datetime]) -> dict[str, datetime]:
        """Return the models a cell ran on, and those of the machines that had it and made nothing of it."""
        expected: dict[str, datetime] = {}
        for part in self._run.parts:
            if cell in part.cells:
                expected.setdefault(self._parts[part.run], part.started)
        expected = expected or {self._host: self._run.started}
        lost = {gpu: when for gpu, when in expected.items() if not seen or ", " not in gpu}  # of several, one was seen
        return {**lost, **seen}


def _hosts(run: RunRecord) -> list[HostRecord]:
    return [run.host, *(part.host for part in run.parts)]


def _models(host: HostRecord) -> str:
    return ", ".join(sorted({gpu.name for gpu in host.gpus}))


def _scenarios(run: RunRecord, attempts: Sequence[Raw]) -> list[str]:
    """Return what was expected and what was seen; a function that was seen with parameters is not one itself."""
    seen = dict.fromkeys(each["scenario"] for each in attempts if "::" in each["scenario"])
    split = {function_of(name) for name in seen if "[" in name}
    expected = dict.fromkeys(info.id for info in run.scenarios)
    return [name for name in {**expected, **seen} if name not in split]


def _speaking(spoken: Spoken, scenario: str, cell: str, gpu: str) -> list[Raw]:
    for name in fallback_ids(scenario):
        if (name, cell, gpu) in spoken:
            return [record for _, record in sorted(spoken[name, cell, gpu].items())]
    return []


def _row(line: str, scenario: str, gpu: str, cell: str, started: datetime, attempts: Sequence[Raw]) -> BoxRow:
    red = [each for each in attempts if each["outcome"].startswith(RED)]
    values: dict[str, list[float]] = {}
    for each in attempts:
        if not each["outcome"].startswith("miss"):
            values.setdefault("seconds", []).append(each["seconds"])
            for name, value in (each.get("figures") or {}).items():
                values.setdefault(name, []).append(value)
    return BoxRow(
        line=line,
        scenario=scenario,
        gpu=gpu,
        cell=cell,
        started=started,
        outcomes=tuple(each["outcome"] for each in attempts),
        signature=(red[-1].get("signature") or red[-1]["outcome"]) if red else "",
        failure=_short(red[-1].get("failure")) if red else None,
        values=values,
    )


def _short(failure: Raw | None) -> Raw | None:
    """Leave out the printed traceback, which no rule reads."""
    return {**failure, "text": ""} if failure else None
