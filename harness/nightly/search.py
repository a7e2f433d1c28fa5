"""Search the new regressions of a night within its budget: a bisect of one package, or a blame of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.envs.places import Places
from harness.errors import HarnessError
from harness.matrix.cell import Cell
from harness.matrix.places import short
from harness.nightly.budget import Budget
from harness.nightly.cause import Suspect
from harness.nightly.record import Searched
from harness.nightly.stages import Interrupted
from harness.report.write import write_views
from harness.search import blame_start, drive
from harness.search.blame_words import sentence
from harness.search.blamed import BlameQuestion
from harness.search.listing import released
from harness.search.narrowing import Bisect, Say
from harness.search.question import Question
from harness.search.releases import between
from harness.search.result import Ending, Result
from harness.search.sides import Asked
from harness.session.context import Options
from harness.session.plan import Plan
from harness.store.folder import RunFolder, find
from harness.store.journal import Listener

Begun = Callable[[str, str], None]  # a suspect's key, the name of its search's run folder: kept, to go on with


@dataclass(frozen=True)
class Searcher:
    """Searches in the plan of one night; ``earlier`` maps suspects to searches that an interrupted night began."""

    plan: Plan
    places: Places
    reports: Path
    night: str
    options: Options
    listener: Listener
    say: Say
    begun: Begun
    earlier: dict[str, str]

    def all(self, suspects: Iterable[Suspect], budget: Budget) -> tuple[Searched, ...]:
        """Search one after the other until the time is over, and say of the others that it was.

        Raises:
            Interrupted: the user stopped a search.
        """
        return tuple(self.one(suspect, budget) for suspect in suspects)

    def one(self, suspect: Suspect, budget: Budget) -> Searched:
        """Search one suspect; what stands in the way is an answer too."""
        if suspect.why_not:
            return Searched(places=suspect.places, what=suspect.words, answer=f"not searched: {suspect.why_not}")
        if not budget.left:
            answer = f"not searched: the budget of {budget.seconds / 60:g} minutes was spent"
            return Searched(places=suspect.places, what=suspect.words, answer=answer)
        self.say(f"searching {suspect.claim.scenario}: {suspect.words}")
        try:
            return self._bisect_or_blame(suspect, budget) if suspect.package else self._blame(suspect, budget)
        except HarnessError as error:
            return Searched(places=suspect.places, what=suspect.words, answer=f"not searched: {error}")

    def _bisect_or_blame(self, suspect: Suspect, budget: Budget) -> Searched:
        """Search the package under test; where that tells nothing and others changed too, ask which of all it was."""
        found = self._bisect(suspect, budget)
        if found.ending == Ending.FOUND or len(suspect.claim.changed) == 1 or not budget.left:
            return found
        self.say(f"{found.answer}; asking which of {len(suspect.claim.changed)} changes it was")
        blamed = self._blame(suspect, budget)
        return blamed.model_copy(update={"answer": f"{found.answer}; {blamed.answer}"})

    def _bisect(self, suspect: Suspect, budget: Budget) -> Searched:
        """Search the releases of one package, everything else as in tonight's cell."""
        search = self._search(suspect)
        result = search.run(self.listener, self._timed(budget))
        write_views(search.folder)
        self._interrupted(result.ending, budget)
        border = (result.before, result.suspects[0]) if result.ending is Ending.FOUND else None
        return self._searched(suspect, result.ending, _answer(result), search.folder, border)

    def _search(self, suspect: Suspect) -> Bisect:
        earlier = self.earlier.get(suspect.key)
        if earlier is not None:
            return drive.take_up(find(earlier, self.reports), self.places)
        listing = released(suspect.package, self.places)
        found = between(suspect.package, listing.releases[suspect.package], *suspect.versions)
        for note in (*listing.warnings, *found.notes):
            self.say(f"note: {note}")
        asked = Question(
            package=suspect.package,
            releases=found.releases,
            scenario=self._scenario(suspect),
            matrix=short(self.plan.matrix.path),
            timeout=self.options.timeout,
            busy_bytes=self.options.busy_bytes,
            **_criterion(suspect),
        )
        search = drive.start(asked, self.plan.matrix, self.places, self.reports, base=self._cell(suspect))
        self.begun(suspect.key, search.folder.path.name)
        return search

    def _blame(self, suspect: Suspect, budget: Budget) -> Searched:
        """Ask which of several changes it was, between the cell that was green and tonight's."""
        key = f"{suspect.key} blame"
        earlier, say = self.earlier.get(key), self._timed(budget)
        if earlier is not None:
            search = blame_start.take_up(find(earlier, self.reports), self.places, say)
        else:
            asked = Asked(self.plan.matrix, self.places, self.reports)
            claim = suspect.claim
            ends = (f"{claim.was}:{claim.was_cell}", f"{self.night}:{claim.cell}")
            compared = blame_start.compare(asked, *ends)
            question = BlameQuestion(
                good=ends[0],
                bad=ends[1],
                scenario=self._scenario(suspect),
                matrix=short(self.plan.matrix.path),
                shared=compared.shared,
                changes=compared.changes,
                timeout=self.options.timeout,
                busy_bytes=self.options.busy_bytes,
                **_criterion(suspect),
            )
            search = blame_start.start(question, asked, say)
            self.begun(key, search.prober.folder.path.name)
        result = search.run(self.listener)
        write_views(search.prober.folder)
        self._interrupted(result.ending, budget)
        return self._searched(suspect, result.ending, sentence(result), search.prober.folder, None)

    def _searched(
        self, suspect: Suspect, ending: Ending, answer: str, folder: RunFolder, border: tuple[str, str] | None
    ) -> Searched:
        late = "the budget was spent; " if ending is Ending.INTERRUPTED else ""
        return Searched(
            places=suspect.places,
            what=suspect.words,
            answer=f"{late}{answer}",
            ending=ending.value,
            run=folder.path.name,
            package=suspect.package,
            versions=border,
        )

    def _timed(self, budget: Budget) -> Say:
        """Say a line, and end the search there when the time is over: what was probed is kept."""

        def say(text: str) -> None:
            self.say(f"  {text}")
            budget.check()

        return say

    def _interrupted(self, ending: Ending, budget: Budget) -> None:
        if ending is Ending.INTERRUPTED and budget.left:
            raise Interrupted

    def _cell(self, suspect: Suspect) -> Cell:
        return next(one.cell for one in self.plan.cells if one.cell.id == suspect.claim.cell)

    def _scenario(self, suspect: Suspect) -> str:
        """Return ``FILE::TEST[PARAMETER]``: what other parameters answer is no part of the question."""
        stem, _, test = suspect.claim.scenario.partition("::")
        path = next(file.path for file in self.plan.files if file.path.stem == stem)
        return f"{short(path)}::{test}" if test else short(path)


def _criterion(suspect: Suspect) -> dict[str, str | int | None]:
    """Say what is bad: tonight's failure, or more memory than halfway (in factors) from before to now."""
    claim = suspect.claim
    if claim.bounds is not None:
        return {"metric": claim.figure, "limit": int((claim.bounds[0] * claim.bounds[1]) ** 0.5)}
    return {"signature": claim.signature or None}


def _answer(result: Result) -> str:
    names = ", ".join(result.suspects)
    match result.ending:
        case Ending.FOUND:
            return f"{result.package} {names} is the first bad release, {result.before} the last good one"
        case Ending.NOT_REPRODUCED:
            return f"not reproduced by a search: {result.reason}"
        case _:
            return f"the first bad {result.package} is one of {names}{': ' if result.reason else ''}{result.reason}"
