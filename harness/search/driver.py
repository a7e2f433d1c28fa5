"""The driver of every search: ends, narrowing, confirmation, resuming, interrupts and deadlines over one axis."""

from __future__ import annotations

import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, Interrupted
from harness.matrix.cell import Cell
from harness.matrix.plan import plan_cells
from harness.matrix.schema import Matrix
from harness.reporter import Reporter, counted
from harness.search.bisection import Answer, Search
from harness.search.criterion import Cause, Criterion, Evaluation, bound_of, evaluate, failed_otherwise, whole_file
from harness.search.prober import Prober, lock_cells, results_by_cell
from harness.search.records import (
    Ending,
    FailedEnd,
    PackageQuestion,
    SearchQuestion,
    SearchRecord,
    SearchResult,
    read_search,
)
from harness.session.begin import begin
from harness.session.plan import Plan, read_scenarios
from harness.session.resume import load_plan
from harness.store.journal import Listener
from harness.store.records import RunRecord
from harness.store.run_folder import RunFolder, claimed
from harness.verdict.result import ScenarioResult

C = TypeVar("C", bound=Hashable)  # a candidate: a release, a commit, a set of changes
R = TypeVar("R", bound=SearchResult)  # the result of a search


@dataclass(frozen=True)
class Deadline:
    """A moment after which no probe begins; one that has begun is finished. ``at`` is a reading of ``clock``."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @property
    def passed(self) -> bool:
        """Whether it lies in the past."""
        return self.clock() >= self.at


@dataclass(frozen=True)
class Knowledge(Generic[C]):
    """What is known of the candidates probed so far.

    Attributes:
        evaluations: In the order of the probes.
        results: Of those that were run.
        bound: The largest good value of the metric, if the criterion has one.
        find_fix: The last candidate is the good end.
    """

    evaluations: Mapping[C, Evaluation] = field(default_factory=dict)
    results: Mapping[C, Sequence[ScenarioResult]] = field(default_factory=dict)
    bound: float | None = None
    find_fix: bool = False

    @property
    def answers(self) -> dict[C, Answer]:
        """Whether each candidate gives what the last one is said to give."""
        return {one: self._answer(found.bad) for one, found in self.evaluations.items()}

    def _answer(self, bad: bool | None) -> Answer:
        return Answer.UNKNOWN if bad is None else Answer.YES if bad is not self.find_fix else Answer.NO


@dataclass(frozen=True)
class Step(Generic[C]):
    """The next step of a search.

    Attributes:
        wanted: The candidates to probe at once; the search is over if there are none.
        lines: Progress, to be reported once.
        ending: How the search ended, once it is over.
        reason: Why.
        expected: Candidate → whether it must be bad again when the answer is confirmed.
    """

    wanted: tuple[C, ...] = ()
    lines: tuple[str, ...] = ()
    ending: Ending = Ending.INCONCLUSIVE
    reason: str = ""
    expected: Mapping[C, bool] = field(default_factory=dict)


class Axis(ABC, Generic[C, R]):
    """The candidates of a search, in what order they are probed, and what they are called.

    A new axis is a subclass, with its question and its result in ``records.py``.
    """

    question: SearchQuestion

    @property
    def find_fix(self) -> bool:
        """Whether the last candidate is the good end."""
        return isinstance(self.question, PackageQuestion) and self.question.find_fix

    @property
    def checks_ends(self) -> bool:
        """Whether the ends are probed before anything else."""
        return not self.question.assume_ends

    @property
    @abstractmethod
    def ends(self) -> tuple[C | None, C]:
        """The first and the last candidate; the first is None if nobody named it."""

    @abstractmethod
    def cell(self, candidate: C) -> Cell:
        """Return the cell of a candidate."""

    @abstractmethod
    def name(self, candidate: C) -> str:
        """Return the name of a candidate in a progress line."""

    @abstractmethod
    def step(self, known: Knowledge[C]) -> Step[C]:
        """Return the next step, given what is known; called again after every probe, and when a search is resumed."""

    @abstractmethod
    def result(self, known: Knowledge[C], stop: SearchResult) -> R:
        """Return the result of a search that ended as ``stop`` says."""

    def candidates(self) -> Iterable[C]:
        """Return the candidates that the run folder of a resumed search may know already."""
        return ()

    def refuse(self, candidates: Sequence[C]) -> Mapping[C, str]:
        """Return the candidates without a cell, with the reason; they are undecided, and never run."""
        del candidates
        return {}

    def bound(self, good: Sequence[ScenarioResult]) -> float | None:
        """Return the largest good value of the metric, given the results at the good end."""
        return bound_of(self.question, good)

    def arrange(self, record: RunRecord) -> RunRecord:
        """Return the run with its cells in the order of the report, which compares neighbours."""
        return record

    def keep(self, record: SearchRecord, result: R) -> SearchRecord:
        """Return the record of the search with its result; an earlier search among commits no longer belongs to it."""
        return record.model_copy(update={"result": result, "commits": None})


@dataclass
class Driver(Generic[C, R]):
    """One search in its run folder. Nothing is kept but the folder: what it holds is not probed again."""

    axis: Axis[C, R]
    prober: Prober
    listener: Listener = field(default=lambda event, fields: None, init=False)
    report: Reporter = field(default=lambda line: None, init=False)
    deadline: Deadline | None = field(default=None, init=False)
    _probed: dict[C, None] = field(default_factory=dict, init=False)
    _refused: dict[C, str] = field(default_factory=dict, init=False)
    _reported: set[str] = field(default_factory=set, init=False)

    @property
    def folder(self) -> RunFolder:
        """The run folder of the search."""
        return self.prober.folder

    def run(self, listener: Listener, report: Reporter, deadline: Deadline | None = None) -> R:
        """Check the ends, narrow, confirm; the result is kept in the run folder, whatever it is.

        Args:
            listener: Hears the journal of the probes.
            report: Takes one line of progress at a time.
            deadline: When to stop.

        Raises:
            ConfigError: Another process runs this search.
        """
        self.listener, self.report, self.deadline = listener, report, deadline
        with claimed(self.folder):
            return self._search()

    def _search(self) -> R:
        seen = {one: self.axis.cell(one) for one in self.axis.candidates()}
        whole = self.prober.probed(list(seen.values()))
        self._probed = {one: None for one, cell in seen.items() if cell in whole}
        try:
            stop = self._check_ends() or self._narrow()
        except (Interrupted, KeyboardInterrupt):  # the second while locking, where no cell runs
            passed = self.deadline is not None and self.deadline.passed
            stop = SearchResult(ending=Ending.INTERRUPTED, deadline_passed=passed)

        result = self.axis.result(self.known(), stop)
        record = read_search(self.folder) or SearchRecord.model_validate({"question": self.axis.question})
        self.axis.keep(record, result).write(self.folder)
        return result

    def known(self) -> Knowledge[C]:
        """Return what the run folder knows by now."""
        by_cell = results_by_cell(self.folder)
        results = {one: by_cell.get(self.axis.cell(one).id, []) for one in self._probed}
        good = self.axis.ends[1 if self.axis.find_fix else 0]
        bound = self.axis.bound(next((found for one, found in results.items() if one == good), ()))
        found = {one: evaluate(self.axis.question, each, bound) for one, each in results.items()}
        found |= {one: Evaluation(None, reason, Cause.NO_ENVIRONMENT) for one, reason in self._refused.items()}
        return Knowledge(found, results, bound, self.axis.find_fix)

    def _check_ends(self) -> SearchResult | None:
        """Probe the ends; return how the search stops if one is not what it was said to be."""
        if not self.axis.checks_ends:
            return None
        self._probe([end for end in self.axis.ends if end is not None])
        known = self.known()
        good, bad = self.axis.ends[:: -1 if self.axis.find_fix else 1]
        found: dict[C | None, Evaluation] = {end: known.evaluations[end] for end in (good, bad) if end is not None}
        results = () if bad is None else known.results[bad]
        return check_ends(self.axis.question, found.get(bad), found.get(good), results)

    def _narrow(self) -> SearchResult:
        step = self._next()
        while step.wanted:
            refused = self.axis.refuse(step.wanted)
            self._refused |= refused
            for one, reason in refused.items():
                self.report(f"{self.axis.name(one)}: undecided (no such environment: {reason})")
            if not refused:
                self._probe(step.wanted)
            step = self._next()

        if step.ending is Ending.FOUND and self.axis.question.confirm > 1:
            return self._confirm(step)
        return SearchResult(ending=step.ending, reason=step.reason)

    def _next(self) -> Step[C]:
        step = self.axis.step(self.known())
        for line in step.lines:
            if line not in self._reported:
                self.report(line)
        self._reported.update(step.lines)
        return step

    def _confirm(self, step: Step[C]) -> SearchResult:
        """Attempt the candidates at the border until each has as many attempts as asked for."""
        count = self.axis.question.confirm
        self.report(f"confirming with {count} attempts each: {', '.join(map(self.axis.name, step.expected))}")
        self._probe(list(step.expected), repeat=count)
        found = self.known().evaluations
        for one, bad in step.expected.items():
            if found[one].bad is not bad:
                reason = f"{self.axis.name(one)}: {found[one].reason}"
                return SearchResult(
                    ending=Ending.INCONCLUSIVE,
                    reason=reason,
                    unconfirmed=found[one],
                )

        return SearchResult(ending=Ending.FOUND)

    def _probe(self, candidates: Sequence[C], repeat: int = 1) -> None:
        """Run the cells of some candidates and report what each gave.

        Raises:
            Interrupted: The user stopped it, or the deadline has passed.
        """
        if self.deadline is not None and self.deadline.passed:
            raise Interrupted
        cells = {one: self.axis.cell(one) for one in candidates}
        whole = self.prober.probe(
            list(cells.values()),
            self.listener,
            repeat=repeat,
            arrange=self.axis.arrange,
        )
        ended: Collection[Cell] = cells.values() if whole else self.prober.probed(list(cells.values()))
        self._probed |= {one: None for one, cell in cells.items() if cell in ended}
        if not whole:
            raise Interrupted
        known = self.known()
        for one in candidates:
            found = known.evaluations[one]
            parts = [each.part for result in known.results[one] for each in result.counted]
            origin = f", known from {parts[0]}" if parts and all(parts) else ""
            self.report(f"{self.axis.name(one)}: {found.word} ({found.reason}){origin}")


def check_ends(
    criterion: Criterion, bad: Evaluation | None, good: Evaluation | None, results: Sequence[ScenarioResult]
) -> SearchResult | None:
    """Return how a search stops at its ends; None if it goes on.

    ==================================================== ==============
    the bad end is good                                  not reproduced
    the bad end fails with another signature             not reproduced
    the bad end is undecided                             inconclusive
    the good end is bad or undecided                     inconclusive
    ==================================================== ==============

    If the bound is a multiple of the metric at the good end, an undecided good end is the reason why the bad one is
    undecided, too; it is then the good end that stops the search.

    Args:
        criterion: What counts as bad.
        bad: The answer of the bad end; None if it was not run.
        good: The answer of the good end; None if it was not run.
        results: Those at the bad end.
    """
    no_bound = criterion.factor is not None and good is not None and good.bad is None
    if bad is not None and bad.bad is not True and not (bad.bad is None and no_bound):
        other = failed_otherwise(criterion, bad, results)
        ending = Ending.NOT_REPRODUCED if bad.bad is False or other else Ending.INCONCLUSIVE
        swapped = bad.bad is False and good is not None and good.bad is True
        end = FailedEnd(side="bad", evaluation=bad, other_failure=other, swapped=swapped)
        return SearchResult(ending=ending, reason=bad.reason, failed_end=end)

    if good is not None and good.bad is not False:
        end = FailedEnd(side="good", evaluation=good)
        return SearchResult(ending=Ending.INCONCLUSIVE, reason=good.reason, failed_end=end)
    return None


def begin_search(axis: Axis[Any, Any], matrix: Matrix, cache_dir: CacheDir, reports: Path, report: Reporter) -> Prober:
    """Make the run folder of a search, with its question and the cells that are probed first.

    Raises:
        ConfigError: The matrix or the scenario is wrong, or there is nothing to probe.
    """
    question = axis.question
    files, infos = read_scenarios(matrix, (question.scenario,))
    first = [end for end in axis.ends if end is not None]
    if question.assume_ends:
        first = list(axis.step(Knowledge(find_fix=axis.find_fix)).wanted)
        if not first:
            raise ConfigError("nothing lies between the two ends, and --assume-ends does not run them")

    refused = axis.refuse(first)
    plan = Plan(matrix, lock_cells([axis.cell(one) for one in first if one not in refused], cache_dir), files, infos)
    folder = begin(plan, reports, kind=question.kind, command=question.command(), selection=(question.scenario,))
    folder.write_record(axis.arrange(folder.read_record()))
    SearchRecord.model_validate({"question": question}).write(folder)
    _report_whole_file(question, plan, report)
    return Prober(plan, folder, cache_dir, question.options(), question.reuse)


def reopen(folder: RunFolder, question: SearchQuestion, cache_dir: CacheDir, report: Reporter) -> Prober:
    """Return the prober of a search that is resumed; what was probed is kept.

    Raises:
        ConfigError: The scenario is not what it was.
    """
    plan = load_plan(folder, cache_dir)
    record = folder.read_record()
    before = {info.id: info.source for info in record.scenarios}
    if any(before.get(info.id, "") not in {"", info.source} for info in plan.scenarios):
        raise ConfigError(
            f"{question.scenario}, its imports, its checkpoints or the probe changed since {folder.path.name} began: "
            f"start a new search with {shlex.join(record.command)}"
        )

    _report_whole_file(question, plan, report)
    return Prober(plan, folder, cache_dir, question.options(), question.reuse)


def _report_whole_file(question: SearchQuestion, plan: Plan, report: Reporter) -> None:
    for note in whole_file(question.scenario, plan.scenarios, question):
        report(f"note: {note}")


def reference_cell(matrix: Matrix, cache_dir: CacheDir) -> Cell:
    """Return the cell whose pins a search keeps: the matrix's reference cell, else its first."""
    bundle = opened_bundle()
    cells = plan_cells(matrix, cache=cache_dir.releases).cells if bundle is None else bundle.cells()
    return next((cell for cell in cells if cell.reference), cells[0])


def in_order(record: RunRecord, ids: Sequence[str]) -> RunRecord:
    """Return a run with its cells in the order of ``ids``, and all others after them."""
    place = {cell: number for number, cell in enumerate(ids)}
    cells = sorted(record.cells, key=lambda cell: place.get(cell.id, len(place)))
    return record.model_copy(update={"cells": tuple(cells)})


@dataclass(frozen=True)
class Narrowed(Generic[C]):
    """A step along ordered candidates, with what is left.

    Attributes:
        before: The last candidate before the change.
        suspects: The candidates of which one is the first after the change.
    """

    step: Step[C]
    before: C
    suspects: tuple[C, ...]


def narrow(candidates: Sequence[C], names: Sequence[str], known: Knowledge[C], jobs: int) -> Narrowed[C]:
    """Bisect ordered candidates, given what is known; ``names`` are those in progress lines."""
    last = len(candidates) - 1
    found = known.answers
    inside = {item: found[one] for item, one in enumerate(candidates) if 0 < item < last and one in found}
    search = Search(len(candidates), inside)
    before, suspects = candidates[search.bracket[0]], tuple(candidates[item] for item in search.suspects)

    step: Step[C] = Step(tuple(candidates[item] for item in search.next(jobs)), (_progress(names, search, jobs),))
    if not step.wanted and len(suspects) == 1:
        expected = {before: known.find_fix, suspects[0]: not known.find_fix}
        step = replace(step, ending=Ending.FOUND, expected=expected)
    return Narrowed(step, before, suspects)


def _progress(names: Sequence[str], search: Search, jobs: int) -> str:
    low, high = search.bracket
    steps = search.rounds_left(jobs)
    left = f"about {counted(steps, 'step')} left" if steps else "nothing left to probe"
    span = f"{names[0]} … {names[-1]}"
    if (low, high) == (0, search.size - 1):
        return f"searching {span}, {left}"
    return f"narrowed from {span} to {names[low]} … {names[high]}, {left}"
