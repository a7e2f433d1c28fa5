"""The commits that a search has seen, as cells of its run: probed, judged, and told to the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.matrix.cell import Cell
from harness.matrix.git import Commit, CommitRange, Repository
from harness.reporter import Reporter
from harness.search.bisection import Answer, Search
from harness.search.commits import commit_pin
from harness.search.criterion import Evaluation, evaluate
from harness.search.prober import Prober, cell_with
from harness.search.question import Question
from harness.store.journal import Listener


class Interrupted(Exception):
    """The user stopped a probe."""


@dataclass(frozen=True)
class Around:
    """Where the commits stand in the run: the two tags, and the cells (ids) of the releases before and after them."""

    older: str
    newer: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass
class Row:
    """Commits in the order in which the report shows them; it grows where a merge is gone into.

    Attributes:
        question: What the bisect over releases asked; scenario, criterion and jobs are the same here.
        bound: What the metric must not exceed, as measured at the good release.
    """

    question: Question
    base: Cell
    prober: Prober
    repository: Repository
    around: Around
    bound: float | None
    listener: Listener
    echo: Reporter
    commits: list[Commit] = field(default_factory=list)

    def named(self, sha: str) -> Commit:
        """Return a commit by its name."""
        return next(one for one in self.commits if one.sha == sha)

    def cell(self, sha: str) -> Cell:
        """Return the cell of a commit: everything else as the base has it."""
        source = self.repository
        return cell_with(self.base, commit_pin(self.question.package, source.address, sha, source.subfolder))

    def probe(self, shas: Sequence[str], repeat: int = 1) -> None:
        """Run the cells of some commits and say what each answered.

        Raises:
            Interrupted: the user stopped it.
        """
        ids = [*self.around.before, *(self.cell(one.sha).id for one in self.commits), *self.around.after]
        places = {cell: number for number, cell in enumerate(ids)}
        cells = [self.cell(sha) for sha in shas]
        whole = self.prober.probe(cells, self.listener, repeat=repeat, order=lambda cell: places.get(cell, len(places)))
        if not whole:
            raise Interrupted
        found = self.judged()
        for sha in shas:
            self.echo(f"{self.named(sha).summary()}: {found[sha].word} ({found[sha].reason})")

    def probed(self, shas: Sequence[str]) -> list[str]:
        """Return those of the commits that have all their results."""
        cells = {sha: self.cell(sha) for sha in shas}
        whole = self.prober.probed(list(cells.values()))
        return [sha for sha, cell in cells.items() if cell in whole]

    def judged(self) -> dict[str, Evaluation]:
        """Return what the run folder says about every commit that has a row in it, oldest first."""
        there = {one.id for one in self.prober.folder.read_record().cells}
        cells = {one.sha: self.cell(one.sha) for one in self.commits}
        return {
            sha: evaluate(self.question, self.prober.attempts(cell), self.bound)
            for sha, cell in cells.items()
            if cell.id in there
        }

    def answers(self, line: CommitRange, shas: Sequence[str]) -> dict[int, Answer]:
        """Return what the search is told: whether a commit is as the last one of the line is."""
        found = self.judged()
        same = {sha: None if (bad := found[sha].bad) is None else bad is not self.question.find_fix for sha in shas}
        words = {True: Answer.YES, False: Answer.NO, None: Answer.UNKNOWN}
        return {line.shas.index(sha): words[same[sha]] for sha in shas}

    def so_far(self, line: CommitRange, search: Search) -> None:
        """Say how far a search along a line has come."""
        low, high = (line.commits[item].short for item in search.bracket)
        steps = search.rounds_left(self.question.jobs)
        left = f"about {steps} step{'' if steps == 1 else 's'} left" if steps else "nothing left to probe"
        span = f"{line.commits[0].short} … {line.commits[-1].short}"
        narrowed = search.bracket != (0, len(line.commits) - 1)
        self.echo(f"narrowed from {span} to {low} … {high}, {left}" if narrowed else f"searching {span}, {left}")
