"""Drive a bisect: one run folder, whose cells are the releases that were probed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.envs.bundle.stored import opened
from harness.envs.places import Places
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.model import Matrix
from harness.matrix.plan import plan_cells
from harness.search import question as questions
from harness.search import result as results
from harness.search.answer import Judged, figure, judge
from harness.search.first_bad import Answer, Search
from harness.search.prober import Prober, cell_at, locked
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.session.begin import begin
from harness.session.context import Options
from harness.session.plan import Plan, read_scenarios
from harness.session.resume import plan_again
from harness.store.folder import RunFolder
from harness.store.journal import Listener


@dataclass(frozen=True)
class Bisect:
    """One bisect with its run folder; what the folder holds already is not probed again."""

    question: Question
    base: Cell  # the pins that are held
    prober: Prober

    @property
    def folder(self) -> RunFolder:
        """Where it is kept."""
        return self.prober.folder

    def run(self, listener: Listener, say: Callable[[str], None]) -> Result:
        """Check the ends, then narrow until nothing is left to probe; ``say`` hears one line at a time."""
        asked = self.question
        ends = (asked.releases[0], asked.releases[-1])
        if not asked.assume_ends:
            if not self._probe(ends, listener):
                return self.result(Ending.INTERRUPTED, ends[0], ends[1:])
            found = self.judged()
            for end in ends:
                say(f"{asked.package} {end}: {_word(found[end])} ({found[end].reason})")
            if found[asked.bad].bad is not True:
                return self.result(Ending.NOT_REPRODUCED, ends[0], asked.releases[1:], found[asked.bad].reason)
            if found[asked.good].bad is not False:
                return self.result(Ending.INCONCLUSIVE, ends[0], asked.releases[1:], found[asked.good].reason)
        return self._narrow(listener, say)

    def _narrow(self, listener: Listener, say: Callable[[str], None]) -> Result:
        releases = self.question.releases
        search = Search(len(releases)).told(self._answers(self._probed(releases[1:-1])))
        say(self._so_far(search))
        while wanted := [releases[item] for item in search.next(self.question.jobs)]:
            if not self._probe(wanted, listener):
                low, _ = search.bracket
                return self.result(Ending.INTERRUPTED, releases[low], [releases[item] for item in search.suspects])
            search = search.told(self._answers(wanted))
            found = self.judged()
            for release in wanted:
                say(f"{self.question.package} {release}: {_word(found[release])} ({found[release].reason})")
            say(self._so_far(search))
        before, suspects = releases[search.bracket[0]], [releases[item] for item in search.suspects]
        if len(suspects) > 1:
            return self.result(Ending.INCONCLUSIVE, before, suspects)
        if self.question.confirm > 1:
            return self._confirm(before, suspects[0], listener)
        return self.result(Ending.FOUND, before, suspects)

    def _confirm(self, before: str, after: str, listener: Listener) -> Result:
        """Attempt the two releases at the border until each has as many attempts as asked for."""
        if not self._probe((before, after), listener, repeat=self.question.confirm):
            return self.result(Ending.INTERRUPTED, before, [after])
        found = self.judged()
        expected = {before: self.question.find_fix, after: not self.question.find_fix}
        for release, bad in expected.items():
            if found[release].bad is not bad:
                return self.result(Ending.INCONCLUSIVE, before, [after], f"{release}: {found[release].reason}")
        return self.result(Ending.FOUND, before, [after])

    def judged(self) -> dict[str, Judged]:
        """Return what the run folder says about every release that has a row in it, in ascending order."""
        asked, bound = self.question, self._bound()
        there = {one.id for one in self.folder.read_record().cells}
        return {
            release: judge(asked, self.prober.attempts(cell), bound)
            for release in asked.releases
            if (cell := self._cell(release)).id in there
        }

    def _bound(self) -> float | None:
        asked = self.question
        if asked.factor is None or asked.metric is None:
            return asked.limit
        value = figure(asked.metric, self.prober.attempts(self._cell(asked.good)))
        return None if value is None else asked.factor * value

    def _cell(self, release: str) -> Cell:
        return cell_at(self.base, self.question.package, release)

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
        whole = self.prober.probed([self._cell(release) for release in releases])
        return [release for release in releases if self._cell(release) in whole]

    def _probe(self, releases: Sequence[str], listener: Listener, repeat: int = 1) -> bool:
        """Run the cells of some releases; return False when the user interrupted."""
        order = [self._cell(release).id for release in self.question.releases]
        cells = [self._cell(release) for release in releases]
        return self.prober.probe(cells, listener, repeat=repeat, order=order.index)

    def _so_far(self, search: Search) -> str:
        releases, (low, high) = self.question.releases, search.bracket
        steps = search.rounds_left(self.question.jobs)
        left = f"about {steps} step{'' if steps == 1 else 's'} left" if steps else "nothing left to probe"
        span = f"{releases[0]} … {releases[-1]}"
        if (low, high) == (0, len(releases) - 1):
            return f"searching {span}, {left}"
        return f"narrowed from {span} to {releases[low]} … {releases[high]}, {left}"

    def result(self, ending: Ending, before: str, suspects: Sequence[str], reason: str = "") -> Result:
        """Return how it ended, and keep it in the run folder."""
        asked = self.question
        result = Result(
            ending=ending,
            package=asked.package,
            before=before,
            suspects=tuple(suspects),
            releases=self.judged(),
            find_fix=asked.find_fix,
            reason=reason,
        )
        results.write(result, self.folder)
        return result


def start(
    question: Question, matrix: Matrix, places: Places, reports: Path, options: Options, base: Cell | None = None
) -> Bisect:
    """Begin a bisect; where no ``base`` is given its pins are those of the matrix's reference cell, else of its first.

    Raises:
        ConfigError: the matrix or the scenario is wrong, or there is nothing to probe.
    """
    first = question.releases[1:2] if question.assume_ends else (question.releases[0], question.releases[-1])
    if question.assume_ends and len(question.releases) <= 2:  # noqa: PLR2004 - the two ends
        raise ConfigError("no release lies between the two ends, and --assume-ends leaves the ends out")
    files, infos = read_scenarios(matrix, (question.scenario,))
    ground = base or held_cell(matrix, places)
    if question.assume_ends:
        middle = Search(len(question.releases)).next(question.jobs)
        first = tuple(question.releases[item] for item in middle)
    plan = Plan(matrix, locked([cell_at(ground, question.package, one) for one in first], places), files, infos)
    folder = begin(plan, reports, selection=(question.scenario,))
    command = question.command(question.good, question.bad)
    folder.write_record(folder.read_record().model_copy(update={"command": command}))
    questions.write(question, folder)
    return Bisect(question, ground, Prober(plan, folder, places, options))


def held_cell(matrix: Matrix, places: Places) -> Cell:
    """Return the cell whose pins are held: the matrix's reference cell, else its first."""
    bundle = opened()
    cells = plan_cells(matrix, cache=places.releases).cells if bundle is None else bundle.cells()
    return next((cell for cell in cells if cell.reference), cells[0])


def take_up(folder: RunFolder, places: Places, options: Options) -> Bisect:
    """Return the bisect of a run folder, to go on with.

    Raises:
        ConfigError: the run is no bisect.
    """
    question = questions.read(folder)
    plan = plan_again(folder, places)
    return Bisect(question, plan.cells[0].cell, Prober(plan, folder, places, replace(options, jobs=question.jobs)))


def _word(judged: Judged) -> str:
    return {True: "bad", False: "good", None: "cannot tell"}[judged.bad]
