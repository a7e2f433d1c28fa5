"""Drive a bisect: one run folder, whose cells are the releases that were probed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from harness.envs.lock import resolve_cells
from harness.envs.places import Places
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.model import Matrix
from harness.matrix.plan import plan_cells
from harness.search import question as questions
from harness.search.answer import Judged, figure, judge
from harness.search.first_bad import Answer, Search
from harness.search.question import Question
from harness.session.begin import begin, extend
from harness.session.conclude import conclude, standing
from harness.session.context import Options
from harness.session.plan import LOCK_JOBS, Plan, PlannedCell, read_scenarios
from harness.session.resume import plan_again
from harness.session.run import run_plan
from harness.store.folder import RunFolder
from harness.store.journal import Listener
from harness.store.records import AttemptRecord


class Ending(StrEnum):
    """How a bisect ended."""

    FOUND = "found"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Result:
    """How it ended: the last release before the change, and those of which one is the first after it."""

    ending: Ending
    before: str
    suspects: tuple[str, ...]
    releases: dict[str, Judged]  # every release that was probed
    reason: str = ""


@dataclass(frozen=True)
class Bisect:
    """One bisect with its run folder; what the folder holds already is not probed again."""

    question: Question
    plan: Plan  # what was probed so far, and the scenario
    base: Cell  # the pins that are held
    folder: RunFolder
    places: Places
    options: Options

    def run(self, listener: Listener, say: Callable[[str], None]) -> Result:
        """Check the ends, then narrow until nothing is left to probe; ``say`` hears one line at a time."""
        asked = self.question
        ends = (asked.releases[0], asked.releases[-1])
        if not asked.assume_ends:
            if not self._probe(self._unprobed(ends), listener):
                return self._result(Ending.INTERRUPTED, ends[0], ends[1:])
            found = self.judged()
            for end in ends:
                say(f"{asked.package} {end}: {_word(found[end])} ({found[end].reason})")
            if found[asked.bad].bad is not True:
                return self._result(Ending.NOT_REPRODUCED, ends[0], asked.releases[1:], found[asked.bad].reason)
            if found[asked.good].bad is not False:
                return self._result(Ending.INCONCLUSIVE, ends[0], asked.releases[1:], found[asked.good].reason)
        return self._narrow(listener, say)

    def _narrow(self, listener: Listener, say: Callable[[str], None]) -> Result:
        releases = self.question.releases
        search = Search(len(releases)).told(self._answers(self._probed(releases[1:-1])))
        say(self._so_far(search))
        while wanted := [releases[item] for item in search.next(self.question.jobs)]:
            if not self._probe(wanted, listener):
                low, _ = search.bracket
                return self._result(Ending.INTERRUPTED, releases[low], [releases[item] for item in search.suspects])
            search = search.told(self._answers(wanted))
            found = self.judged()
            for release in wanted:
                say(f"{self.question.package} {release}: {_word(found[release])} ({found[release].reason})")
            say(self._so_far(search))
        before, suspects = releases[search.bracket[0]], [releases[item] for item in search.suspects]
        if len(suspects) > 1:
            return self._result(Ending.INCONCLUSIVE, before, suspects)
        if self.question.confirm > 1:
            return self._confirm(before, suspects[0], listener)
        return self._result(Ending.FOUND, before, suspects)

    def _confirm(self, before: str, after: str, listener: Listener) -> Result:
        """Attempt the two releases at the border until each has as many attempts as asked for."""
        if not self._probe((before, after), listener, repeat=self.question.confirm):
            return self._result(Ending.INTERRUPTED, before, [after])
        found = self.judged()
        expected = {before: self.question.find_fix, after: not self.question.find_fix}
        for release, bad in expected.items():
            if found[release].bad is not bad:
                return self._result(Ending.INCONCLUSIVE, before, [after], f"{release}: {found[release].reason}")
        return self._result(Ending.FOUND, before, [after])

    def judged(self) -> dict[str, Judged]:
        """Return what the run folder says about every release that has a row in it, in ascending order."""
        asked, bound = self.question, self._bound()
        cells = {one.id for one in self.folder.read_record().cells}
        ids = {release: cell_at(self.base, asked.package, release).id for release in asked.releases}
        return {release: judge(asked, self._attempts(release), bound) for release in ids if ids[release] in cells}

    def _bound(self) -> float | None:
        asked = self.question
        if asked.factor is None or asked.metric is None:
            return asked.limit
        value = figure(asked.metric, self._attempts(asked.good))
        return None if value is None else asked.factor * value

    def _attempts(self, release: str) -> list[AttemptRecord]:
        cell = cell_at(self.base, self.question.package, release).id
        return [one for one in standing(self.folder.attempts()) if one.cell == cell]

    def _answers(self, releases: Sequence[str]) -> dict[int, Answer]:
        """Return what the search is told: whether a release is as the last one is."""
        found = self.judged()
        told = {}
        for release in releases:
            bad = found[release].bad
            same = None if bad is None else bad is not self.question.find_fix
            told[self.question.releases.index(release)] = (
                Answer.UNKNOWN if same is None else Answer.YES if same else Answer.NO
            )
        return told

    def _probed(self, releases: Sequence[str]) -> list[str]:
        """Return the releases whose cells have all their results."""
        record = self.folder.read_record()
        left = conclude(record.cells, self.folder.collected(), self.folder.attempts()).missing
        whole = {one.id for one in record.cells} - {cell for cell, _ in left}
        return [one for one in releases if cell_at(self.base, self.question.package, one).id in whole]

    def _unprobed(self, releases: Sequence[str]) -> list[str]:
        probed = self._probed(releases)
        return [release for release in releases if release not in probed]

    def _probe(self, releases: Sequence[str], listener: Listener, repeat: int = 1) -> bool:
        """Run the cells of some releases; return False when the user interrupted."""
        if not releases:
            return True
        cells = [cell_at(self.base, self.question.package, release) for release in releases]
        plan = replace(self.plan, cells=_locked(cells, self.places))
        extend(plan, self.folder)
        self._sort_cells()
        return run_plan(plan, self.folder, self.places, replace(self.options, repeat=repeat), listener)

    def _sort_cells(self) -> None:
        """Let the cells ascend by release: the report compares neighbours, and probes jump to and fro."""
        record = self.folder.read_record()
        order = [cell_at(self.base, self.question.package, release).id for release in self.question.releases]
        cells = tuple(sorted(record.cells, key=lambda cell: order.index(cell.id)))
        self.folder.write_record(record.model_copy(update={"cells": cells}))

    def _so_far(self, search: Search) -> str:
        releases, (low, high) = self.question.releases, search.bracket
        steps = search.rounds_left(self.question.jobs)
        left = f"about {steps} step{'' if steps == 1 else 's'} left" if steps else "nothing left to probe"
        span = f"{releases[0]} … {releases[-1]}"
        if (low, high) == (0, len(releases) - 1):
            return f"searching {span}, {left}"
        return f"narrowed from {span} to {releases[low]} … {releases[high]}, {left}"

    def _result(self, ending: Ending, before: str, suspects: Sequence[str], reason: str = "") -> Result:
        return Result(ending, before, tuple(suspects), self.judged(), reason)


def start(question: Question, matrix: Matrix, places: Places, reports: Path, options: Options) -> Bisect:
    """Begin a bisect: its pins are those of the matrix's reference cell, else of its first.

    Raises:
        ConfigError: the matrix or the scenario is wrong, or there is nothing to probe.
    """
    first = question.releases[1:2] if question.assume_ends else (question.releases[0], question.releases[-1])
    if question.assume_ends and len(question.releases) <= 2:  # noqa: PLR2004 - the two ends
        raise ConfigError("no release lies between the two ends, and --assume-ends leaves the ends out")
    files, infos = read_scenarios(matrix, (question.scenario,))
    cells = plan_cells(matrix, cache=places.releases).cells
    base = next((cell for cell in cells if cell.reference), cells[0])
    if question.assume_ends:
        middle = Search(len(question.releases)).next(question.jobs)
        first = tuple(question.releases[item] for item in middle)
    planned = _locked([cell_at(base, question.package, release) for release in first], places)
    plan = Plan(matrix, planned, files, infos)
    folder = begin(plan, reports, selection=(question.scenario,))
    command = question.command(question.good, question.bad)
    folder.write_record(folder.read_record().model_copy(update={"command": command}))
    questions.write(question, folder)
    return Bisect(question, plan, base, folder, places, options)


def take_up(folder: RunFolder, places: Places, options: Options) -> Bisect:
    """Return the bisect of a run folder, to go on with.

    Raises:
        ConfigError: the run is no bisect.
    """
    question = questions.read(folder)
    plan = plan_again(folder, places)
    options = replace(options, jobs=question.jobs)
    return Bisect(question, plan, plan.cells[0].cell, folder, places, options)


def cell_at(base: Cell, package: str, release: str) -> Cell:
    """Return the cell that has one release of a package and everything else as ``base`` has it."""
    pin = Pin(package, release, f"{package}=={release}")
    held = any(one.package == package for one in base.pins)
    pins = tuple(pin if one.package == package else one for one in base.pins) + (() if held else (pin,))
    ground = base.base_python if any(one.installed for one in pins) else None
    return replace(base, pins=pins, axes=(package,), base_python=ground, reference=False)


def _locked(cells: Sequence[Cell], places: Places) -> tuple[PlannedCell, ...]:
    locks = resolve_cells(cells, cache=places.locks, jobs=LOCK_JOBS)
    return tuple(PlannedCell(cell, locks[cell.id]) for cell in cells)


def _word(judged: Judged) -> str:
    return {True: "bad", False: "good", None: "cannot tell"}[judged.bad]
