"""Drive a blame: one run folder, whose cells are environments between a good and a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.envs.bundle.manifest import opened_bundle
from harness.matrix.cell import Cell
from harness.reporter import Reporter
from harness.search.bisection import Answer
from harness.search.blamed import BlameQuestion, BlameResult, Probed, outcome, unfinished, write_result
from harness.search.changes import Subset, label
from harness.search.criterion import Evaluation, evaluate, failed_otherwise, metric_value, whole_file
from harness.search.delta_debugging import MinimalSet, MinimalSubset, Stage
from harness.search.ends import stopped
from harness.search.mixed import Mixed
from harness.search.prober import Prober, locked
from harness.search.result import Ending
from harness.session.begin import extend
from harness.store.journal import Listener

ANSWERS = {True: Answer.YES, False: Answer.NO, None: Answer.UNKNOWN}
AXIS = "changes"


class Stopped(Exception):
    """The blame is over before it has an answer; the message says why."""

    def __init__(self, ending: Ending, reason: str = "") -> None:
        """Keep how it ended and why."""
        super().__init__(reason)
        self.ending = ending


@dataclass
class Blame:
    """One blame with its run folder; what the folder holds already is not probed again."""

    mixed: Mixed
    prober: Prober
    echo: Reporter
    probed: dict[Subset, Evaluation] = field(default_factory=dict)  # as asked for, also what there cannot be
    said: str = field(default="", init=False)  # of how far it has come
    listener: Listener = field(default=lambda event, fields: None, init=False)

    def run(self, listener: Listener) -> BlameResult:
        """Check the ends, then search; the result is kept in the run folder whatever it is."""
        self.listener = listener
        for note in whole_file(self.question.scenario, self.prober.plan.scenarios, self.question):
            self.echo(f"note: {note}")
        needs = {one: frozenset(others) for one, others in self.question.needs.items()}
        search = MinimalSet(len(self.question.changes), needs)
        try:
            self._check_ends()
            while (found := search.found) is None:
                self._so_far(search.stage(self.question.jobs))
                search = search.told(self._answers(search.next(self.question.jobs)))
            self._confirm(found)
        except (Stopped, KeyboardInterrupt) as stop:  # an interrupt while locking, where no cell runs
            left = search.stage().red
            ending = stop.ending if isinstance(stop, Stopped) else Ending.INTERRUPTED
            return self._keep(unfinished(self.question.changes, ending, left, str(stop)))
        untold = {one: judged.reason for one, judged in self.probed.items() if judged.bad is None}
        refused = self.mixed.refused
        if opened_bundle() is not None:  # there may well be such an environment, only not in this bundle
            refused, untold = {}, untold | refused
        result = outcome(self.question.changes, found, refused, untold)
        return self._keep(result.model_copy(update={"followers": self.mixed.followers_of(found.members)}))

    @property
    def question(self) -> BlameQuestion:
        """What is asked."""
        return self.mixed.question

    def cell(self, applied: Subset) -> Cell:
        """Return the cell in which some changes are applied; it was resolved before."""
        return self.mixed.cells[applied]

    def name(self, applied: Subset) -> str:
        """Say which changes are applied."""
        return f"with {label(self.question.changes, applied)}"

    def _keep(self, result: BlameResult) -> BlameResult:
        """Write the result down, with everything that was probed."""
        changes, refused = self.question.changes, self.mixed.refused
        probes = (
            Probed(
                applied=tuple(changes[at].package for at in sorted(one)),
                cell=None if one in refused else self.cell(one).id,
                bad=judged.bad,
                reason=judged.reason,
            )
            for one, judged in self.probed.items()
        )
        whole = result.model_copy(update={"probes": tuple(probes)})
        write_result(whole, self.prober.folder)
        return whole

    def _so_far(self, stage: Stage) -> None:
        """Say how far the search has come, where that is not what was said last."""
        count = len(self.question.changes)
        text = f"{len(stage.needed)} of {count} changes are enough; taking each away once more"
        if stage.suspects:
            needed = f"; {label(self.question.changes, stage.needed)} is needed" if stage.needed else ""
            text = f"{count} changes, {len(stage.suspects)} left{needed}"
        if text != self.said:
            self.echo(text)
        self.said = text

    def _check_ends(self) -> None:
        ends = (frozenset[int](), self.mixed.all)
        if self.question.assume_ends and self.question.factor is None:
            return
        self._probe(ends)
        for end, name in zip(ends, ("good", "bad"), strict=True):
            self.echo(f"the {name} end: {self.probed[end].word} ({self.probed[end].reason})")
        good, bad = (self.probed[end] for end in ends)
        if bad.bad is False and good.bad is True:
            raise Stopped(Ending.NOT_REPRODUCED, "the ends look swapped: the good one is bad here, the bad one good")
        otherwise = failed_otherwise(self.question, bad, self.prober.attempts(self.cell(self.mixed.all)))
        stop = stopped(self.question, bad, good, otherwise=otherwise)
        if stop is None:
            return
        if stop.ending is Ending.NOT_REPRODUCED:
            other = f"is red here for another reason than {self.question.signature}"
            what = other if otherwise else "is not bad here"
        else:
            what = "is not good here" if stop.end.bad else "cannot be judged here"
        raise Stopped(stop.ending, f"the {'bad' if stop.at_bad else 'good'} end {what} ({stop.end.reason})")

    def _answers(self, wanted: Sequence[Subset]) -> dict[Subset, Answer]:
        """Probe subsets, but first say which of them cannot be resolved: those are answered without being run."""
        refused = self.mixed.resolve(wanted)
        self.probed |= {one: Evaluation(None, reason) for one, reason in refused.items()}
        for one, reason in refused.items():
            self.echo(f"{self.name(one)}: undecided (no such environment: {reason})")
        if refused:
            return dict.fromkeys(refused, Answer.UNKNOWN)
        self._probe(wanted)
        for one in wanted:
            self.echo(f"{self.name(one)}: {self.probed[one].word} ({self.probed[one].reason})")
        return {one: ANSWERS[self.probed[one].bad] for one in wanted}

    def _probe(self, subsets: Sequence[Subset], repeat: int = 1) -> None:
        """Run the cells of some subsets and judge them.

        Raises:
            Stopped: the user interrupted.
        """
        self.mixed.resolve(subsets)
        cells = [self.cell(one) for one in subsets]
        for one in subsets:
            self.probed.setdefault(one, Evaluation(None, "no result"))
        extend(replace(self.prober.plan, cells=locked(cells, self.prober.cache_dir)), self.prober.folder)
        self._name_columns()
        whole = self.prober.probe(cells, self.listener, repeat=repeat)
        bound = self._bound()
        self.probed |= {one: evaluate(self.question, self.prober.attempts(self.cell(one)), bound) for one in subsets}
        if not whole:
            raise Stopped(Ending.INTERRUPTED)

    def _bound(self) -> float | None:
        asked = self.question
        if asked.factor is None or asked.metric is None:
            return asked.limit
        value = metric_value(asked.metric, self.prober.attempts(self.cell(frozenset())))
        return None if value is None else asked.factor * value

    def _confirm(self, found: MinimalSubset) -> None:
        """Attempt the answer, and what is green without one of its parts, as often as was asked for."""
        if self.question.confirm == 1:
            return
        expected = {found.members: True} | {found.members - group: False for group in found.proven}
        self._probe(list(expected), repeat=self.question.confirm)
        for one, bad in expected.items():
            if self.probed[one].bad is not bad:
                raise Stopped(Ending.INCONCLUSIVE, f"{self.name(one)}: {self.probed[one].reason}")

    def _name_columns(self) -> None:
        """Let the report's columns say which changes are applied, the fewest first."""
        folder, asked = self.prober.folder, self.question
        record = folder.read_record()
        known = {self.cell(one).id: one for one in self.probed if one not in self.mixed.refused}
        cells = sorted(record.cells, key=lambda cell: (len(known.get(cell.id, ())), sorted(known.get(cell.id, ()))))
        named = (
            cell.model_copy(update={"labels": {AXIS: label(asked.changes, known[cell.id])}})
            if cell.id in known
            else cell
            for cell in cells
        )
        folder.write_record(record.model_copy(update={"cells": tuple(named), "axes": (AXIS,)}))
