"""The stages of a night that run something: the control cell first and last, the cells, and single places again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.envs.cache_dir import CacheDir
from harness.errors import HarnessError, Interrupted
from harness.matrix.paths import ScenarioFile
from harness.nightly.results import night_results
from harness.session.context import Options
from harness.session.plan import Plan, PlannedCell
from harness.session.run import run_plan
from harness.store.journal import Listener
from harness.store.records import Reason, function_of
from harness.store.run_folder import RunFolder
from harness.verdict.result import ResultKey, ScenarioResult


@dataclass
class Stages:
    """Runs parts of one plan in one folder; what the folder holds is not run again. ``trouble`` is what went wrong."""

    plan: Plan
    folder: RunFolder
    cache_dir: CacheDir
    options: Options
    listener: Listener
    trouble: str = ""

    def cells(self, ids: Sequence[str], *, repeat: int = 1, alone: bool = False) -> None:
        """Run cells until every scenario they listed has so many attempts; ``alone``: one at a time.

        Raises:
            Interrupted: the user stopped it.
        """
        lacking = [cell for cell in self.plan.cells if cell.cell.id in ids and self._lacks(cell.cell.id, repeat)]
        if lacking:
            self._run(replace(self.plan, cells=tuple(lacking)), repeat=repeat, alone=alone)

    def again(self, wanted: Mapping[ResultKey, int]) -> Mapping[ResultKey, ScenarioResult]:
        """Make so many more attempts of each place, alone, and return them as they then are."""
        results, made = night_results(self.folder).results, self._made()
        groups: dict[tuple[str, int], list[str]] = {}
        for key, more in wanted.items():
            result = results[key]
            groups.setdefault((result.cell, made[result.cell, key[1]] + more), []).append(key[1])
        for (cell, goal), scenarios in groups.items():
            files = tuple(file for name in scenarios if (file := self._file(name)) is not None)
            chosen = tuple(one for one in self.plan.cells if one.cell.id == cell)
            self._run(replace(self.plan, cells=chosen, files=files), repeat=goal, alone=True)
        found = night_results(self.folder).results
        return {key: found[key] for key in wanted if key in found}

    def control_again(self, control: PlannedCell, before: Mapping[str, int]) -> None:
        """Run the control cell once more than it was run before: each scenario has so many attempts."""
        made = self._made()
        groups: dict[int, list[str]] = {}
        for scenario, count in before.items():
            if made[control.cell.id, scenario] <= count:
                groups.setdefault(count, []).append(scenario)
        for count, scenarios in groups.items():
            files = tuple(file for name in scenarios if (file := self._file(name)) is not None)
            files = self.plan.files if len(scenarios) == len(before) else files
            self._run(replace(self.plan, cells=(control,), files=files), repeat=count + 1, alone=True)

    def _run(self, plan: Plan, *, repeat: int, alone: bool) -> None:
        """Run; what stands in the way of a whole stage is kept, and shows as missing results."""
        options = replace(self.options, repeat=repeat, jobs=1 if alone else self.options.jobs)
        try:
            whole = run_plan(plan, self.folder, self.cache_dir, options, self.listener)
        except (HarnessError, OSError) as error:  # checkpoints that cannot be built, a disk that is full
            self.trouble = str(error)
            return
        if not whole:
            raise Interrupted

    def _lacks(self, cell: str, repeat: int) -> bool:
        listed, made = self.folder.journal().listed.get(cell), self._made()
        return not listed or any(made[cell, scenario] < repeat for scenario in listed)

    def _made(self) -> Counter[tuple[str, str]]:
        return Counter(
            (one.cell, one.scenario)
            for one in self.folder.attempts()
            if one.attempt and one.outcome.reason is not Reason.INTERRUPTED
        )

    def _file(self, scenario: str) -> ScenarioFile | None:
        """Return the file and test of a scenario, with its parameter."""
        stem, _, test = scenario.partition("::")
        paths = [file.path for file in self.plan.files if file.path.stem == stem]
        return ScenarioFile(paths[0], test) if paths and function_of(test) else None
