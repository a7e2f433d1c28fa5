"""The stages of a nightly run that run something, and the results that its folder then has.

The stages are the control cell, the other cells, reruns of single results, and the control cell once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.envs.cache_dir import CacheDir
from harness.errors import HarnessError, Interrupted
from harness.matrix.paths import ScenarioFile
from harness.session.context import Options
from harness.session.plan import Plan, PlannedCell
from harness.session.run import run_plan
from harness.store.journal import Listener
from harness.store.records import AttemptRecord, CellRecord, function_of, series_names
from harness.store.run_folder import RunFolder
from harness.verdict.result import ResultKey, ScenarioResult
from harness.verdict.results import results_of


@dataclass(frozen=True)
class RunResults:
    """The results of a run by key, and the cell of each series."""

    results: Mapping[ResultKey, ScenarioResult]
    cells: Mapping[str, CellRecord]


def read_run_results(folder: RunFolder) -> RunResults:
    """Read the results of a run.

    What is recorded for a whole cell or a file is one result under that name, not one for each of its scenarios: one
    failure makes one claim.

    Raises:
        ConfigError: The folder is not a run.
    """
    run, journal = folder.read(AttemptRecord)
    found: dict[ResultKey, ScenarioResult] = {}
    for key, one in results_of(run, journal).items():
        recorded = ResultKey(key.series, one.recorded_as)
        found[recorded] = one if recorded == key else replace(one, key=recorded, source="")
    series = series_names(run.cells, run.name)
    return RunResults(found, {series[cell.id]: cell for cell in run.cells})


@dataclass
class Stages:
    """Runs parts of a plan in its run folder; attempts that the folder has are not repeated.

    ``problem`` is why the last stage that failed as a whole could not run.
    """

    plan: Plan
    folder: RunFolder
    cache_dir: CacheDir
    options: Options
    listener: Listener
    problem: str = ""

    def run_cells(self, ids: Sequence[str], *, serially: bool = False) -> None:
        """Run those of the cells that lack an attempt of a listed scenario.

        Raises:
            Interrupted: The user stopped it.
        """
        lacking = self.folder.lacking(ids)
        if missing := tuple(one for one in self.plan.cells if one.cell.id in lacking):
            self._run(replace(self.plan, cells=missing), repeat=1, serially=serially)

    def rerun(self, needed: Mapping[ResultKey, int]) -> Mapping[ResultKey, ScenarioResult]:
        """Rerun each result so many times, serially, and return the results over all attempts.

        Raises:
            Interrupted: The user stopped it.
        """
        results, attempts = read_run_results(self.folder).results, self.folder.count_attempts()
        groups: dict[tuple[str, int], list[str]] = {}
        for key, more in needed.items():
            cell = results[key].cell
            groups.setdefault((cell, attempts[cell, key.scenario] + more), []).append(key.scenario)
        for (cell, repeat), scenarios in groups.items():
            cells = tuple(one for one in self.plan.cells if one.cell.id == cell)
            self._run(replace(self.plan, cells=cells, files=self._files(scenarios)), repeat=repeat, serially=True)
        found = read_run_results(self.folder).results
        return {key: found[key] for key in needed if key in found}

    def rerun_control(self, control: PlannedCell, attempts_before: Mapping[str, int]) -> None:
        """Run the control cell once more; ``attempts_before`` maps its scenarios to their attempts before that.

        Raises:
            Interrupted: The user stopped it.
        """
        attempts = self.folder.count_attempts()
        groups: dict[int, list[str]] = {}
        for scenario, count in attempts_before.items():
            if attempts[control.cell.id, scenario] <= count:
                groups.setdefault(count, []).append(scenario)
        for count, scenarios in groups.items():
            files = self.plan.files if len(scenarios) == len(attempts_before) else self._files(scenarios)
            self._run(replace(self.plan, cells=(control,), files=files), repeat=count + 1, serially=True)

    def _run(self, plan: Plan, *, repeat: int, serially: bool) -> None:
        """Run a plan; if it cannot run as a whole, its results are missing and ``problem`` says why."""
        options = replace(self.options, repeat=repeat, jobs=1 if serially else self.options.jobs)
        try:
            finished = run_plan(plan, self.folder, self.cache_dir, options, self.listener)
        except (HarnessError, OSError) as error:  # checkpoints that cannot be built, a full disk
            self.problem = str(error)
            return
        if not finished:
            raise Interrupted

    def _files(self, scenarios: Iterable[str]) -> tuple[ScenarioFile, ...]:
        """Return the file and test of each scenario, with its parameter."""
        paths = {file.path.stem: file.path for file in reversed(self.plan.files)}
        parts = ((scenario.partition("::")) for scenario in scenarios)
        return tuple(ScenarioFile(paths[stem], test) for stem, _, test in parts if stem in paths and function_of(test))
