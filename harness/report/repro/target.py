"""Which attempt a script is made from, and which one shows the failure it looks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError
from harness.matrix.paths import nearest
from harness.session.plan import matches
from harness.store.records import AttemptRecord, CellRecord, HostRecord, RunRecord, ScenarioInfo, Stage, Status

RED = (Status.FAIL, Status.ERROR)
SHOWN = 5  # ids in a sentence


@dataclass(frozen=True)
class Target:
    """What was asked for: a cell, a scenario with its parameters, its attempt there, and the failure to look for.

    ``red`` is an attempt with that failure, of this cell or of another; None where the run has none.
    """

    cell: CellRecord
    info: ScenarioInfo
    scenario: str
    attempt: AttemptRecord
    red: AttemptRecord | None
    host: HostRecord

    @property
    def is_red(self) -> bool:
        """Tell whether the cell itself shows the failure."""
        return self.attempt.outcome.status in RED

    @property
    def test(self) -> str:
        """Return the test's name in its file, ``Class::name`` for a method."""
        return self.info.id.partition("::")[2]

    @property
    def parameters(self) -> str | None:
        """Return what stands in the id's brackets."""
        _, bracket, rest = self.scenario.partition("[")
        return rest.removesuffix("]") if bracket else None

    @property
    def device(self) -> str | None:
        """Return ``cpu`` where there was no GPU, ``cuda:0`` where one was used or needed, None where nobody knows."""
        if not self.host.gpus:
            return "cpu"
        needed = any(need.partition(":")[0] == "cuda" for need in self.info.needs)
        return "cuda:0" if needed or self.attempt.ran_on == "cuda" else None


def choose(run: RunRecord, attempts: Sequence[AttemptRecord], cell: str, scenario: str) -> Target:
    """Find cell, scenario and attempts.

    Args:
        run: the plan of the run.
        attempts: all attempts of its journal.
        cell: an id or a pattern of one.
        scenario: an id; without its parameters the first red set of them is taken, else the first.

    Raises:
        ConfigError: there is no such cell or scenario, the pattern fits several, or nothing ran there.
    """
    found = _cell(run, cell)
    info = _scenario(run, scenario)
    ours = [each for each in attempts if each.scenario.partition("[")[0] == info.id]
    if "[" in scenario:
        ours = [each for each in ours if each.scenario == scenario] or _no_parameters(scenario, ours)
    here = [each for each in ours if each.cell == found.id]
    if not here:
        raise ConfigError(f"{found.id} has no attempt of {scenario}{_there_is(each.cell for each in ours)}")
    ran = [each for each in here if each.outcome.stage not in {Stage.RESOLVE, Stage.INSTALL}]
    if not ran:
        raise ConfigError(f"{found.id} was never installed ({here[-1].detail}): there is nothing a script could run")
    red = [each for each in ran if each.outcome.status in RED]
    green = [each for each in ran if each.outcome.status is Status.PASS]
    if not red and not green:
        last = ran[-1]
        raise ConfigError(
            f"{last.scenario} says {last.outcome} in {found.id} ({last.detail}): there is nothing to show"
        )
    attempt = (red or green)[0]
    host = next((part.host for part in run.parts if found.id in part.cells), run.host)
    elsewhere = [each for each in ours if each.scenario == attempt.scenario and each.outcome.status is Status.FAIL]
    alike = [each for each in elsewhere if each.ran_on == attempt.ran_on]
    shown = attempt if red else next(iter(alike or elsewhere), None)
    return Target(found, info, attempt.scenario, attempt, shown, host)


def _cell(run: RunRecord, wanted: str) -> CellRecord:
    ids = [each.id for each in run.cells]
    found = [each for each in run.cells if matches(each.id, wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{wanted} fits {len(found)} cells: {_some(each.id for each in found)}")
    near = nearest(wanted, ids)
    raise ConfigError(
        f"no cell is called {wanted}; " + (f"the nearest is {near}" if near else f"there are {_some(ids)}")
    )


def _scenario(run: RunRecord, wanted: str) -> ScenarioInfo:
    function = wanted.partition("[")[0]
    ids = [each.id for each in run.scenarios]
    found = [each for each in run.scenarios if each.id == function]
    if found:
        return found[0]
    near = nearest(function, ids)
    hint = f"the nearest is {near}" if near else f"there are {_some(ids)}"
    raise ConfigError(f"the run has no scenario {function}; {hint}")


def _no_parameters(scenario: str, ours: Iterable[AttemptRecord]) -> list[AttemptRecord]:
    known = list(dict.fromkeys(each.scenario for each in ours))
    raise ConfigError(f"the run has no attempt of {scenario}; there are {_some(known)}")


def _there_is(cells: Iterable[str]) -> str:
    known = list(dict.fromkeys(cells))
    return f"; there are some in {_some(known)}" if known else ""


def _some(ids: Iterable[str]) -> str:
    known = list(ids)
    return ", ".join(known[:SHOWN]) + (" …" if known[SHOWN:] else "") if known else "none"
