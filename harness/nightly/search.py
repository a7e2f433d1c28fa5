"""Search the new regressions of a night within its budget: a bisect of one package, or a blame of several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.nightly.asking import Ground
from harness.nightly.budget import Budget
from harness.nightly.cause import Suspect
from harness.nightly.record import Searched
from harness.nightly.stages import Interrupted
from harness.report.write import write_views
from harness.search.blame_words import sentence
from harness.search.commits import Built
from harness.search.descent import CommitResult
from harness.search.ends import bad_end_untold, commit_ends_failed, good_end_failed
from harness.search.narrowing import Say
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.store.folder import RunFolder
from harness.store.journal import Listener

Border = tuple[str, str] | None  # the last good and the first bad version


@dataclass(frozen=True)
class Searcher:
    """Searches on the ground of one night."""

    ground: Ground
    listener: Listener

    def all(self, suspects: Iterable[Suspect], budget: Budget) -> tuple[Searched, ...]:
        """Search one after the other until the time is over, and say of the others that it was.

        Raises:
            Interrupted: the user stopped a search.
        """
        return tuple(self.one(suspect, budget) for suspect in suspects)

    def one(self, suspect: Suspect, budget: Budget) -> Searched:
        """Search one suspect; what stands in the way is an answer too."""
        if suspect.why_not or not budget.left:
            return not_searched(suspect, f"the budget of {budget.seconds / 60:g} minutes was spent")
        self.ground.say(f"searching {suspect.claim.scenario}: {suspect.words}")
        try:
            return self._one_package(suspect, budget) if suspect.package else self._blame(suspect, budget)
        except HarnessError as error:
            return not_searched(suspect, str(error))

    def _one_package(self, suspect: Suspect, budget: Budget) -> Searched:
        """Search the package under test; where that tells nothing and others changed too, ask which of all it was."""
        commits = suspect.commits
        found = self._among(suspect, commits, budget) if commits else self._bisect(suspect, budget)
        if found.ending == Ending.FOUND or len(suspect.claim.changed) == 1 or not budget.left:
            return found
        self.ground.say(f"{found.answer}; asking which of {len(suspect.claim.changed)} changes it was")
        blamed = self._blame(suspect, budget)
        return blamed.model_copy(update={"answer": f"{found.answer}; {blamed.answer}"})

    def _bisect(self, suspect: Suspect, budget: Budget) -> Searched:
        search = self.ground.bisect(suspect)
        result = search.run(self.listener, self._timed(budget))
        self._interrupted(result.ending, budget)
        border = (result.before, result.suspects[0]) if result.ending is Ending.FOUND else None
        return _searched(suspect, result.ending, _answer(search.question, result), search.folder, border)

    def _among(self, suspect: Suspect, commits: tuple[Built, Built], budget: Budget) -> Searched:
        search = self.ground.among(suspect, commits)
        result = search.run(self.listener, self._timed(budget))
        self._interrupted(result.ending, budget)
        border = (result.before, result.suspects[0]) if result.ending is Ending.FOUND else None
        return _searched(suspect, result.ending, commit_answer(result), search.folder, border)

    def _blame(self, suspect: Suspect, budget: Budget) -> Searched:
        search = self.ground.blame(suspect, self._timed(budget))
        result = search.run(self.listener)
        self._interrupted(result.ending, budget)
        return _searched(suspect, result.ending, sentence(result), search.prober.folder, None)

    def _timed(self, budget: Budget) -> Say:
        """Say a line, and end the search there when the time is over: what was probed is kept."""

        def say(text: str) -> None:
            self.ground.say(f"  {text}")
            budget.check()

        return say

    def _interrupted(self, ending: Ending, budget: Budget) -> None:
        if ending is Ending.INTERRUPTED and budget.left:
            raise Interrupted


def not_searched(suspect: Suspect, why_not: str) -> Searched:
    """Say why nothing was searched; that there is nothing to search comes before what stood in the way."""
    return Searched(places=suspect.places, what=suspect.words, answer=f"not searched: {suspect.why_not or why_not}")


def _searched(suspect: Suspect, ending: Ending, answer: str, folder: RunFolder, border: Border) -> Searched:
    """Render the search's own views, and say what came of it."""
    write_views(folder)
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


def _answer(asked: Question, result: Result) -> str:
    names = ", ".join(result.suspects)
    if bad_end_untold(asked, result):
        return f"a search cannot judge {result.package} {asked.bad}: {result.reason}"
    if good_end_failed(asked, result):
        return f"a search did not find {result.package} {asked.good} good, as it was: {result.reason}"
    match result.ending:
        case Ending.FOUND:
            return f"{result.package} {names} is the first bad release, {result.before} the last good one"
        case Ending.NOT_REPRODUCED:
            return f"not reproduced by a search: {result.reason}"
        case _:
            return f"the first bad {result.package} is one of {names}{': ' if result.reason else ''}{result.reason}"


def commit_answer(result: CommitResult) -> str:
    """Say in one line what a search among commits found."""
    named = [result.commits[sha].words() for sha in result.suspects if sha in result.commits]
    why = f": {result.reason}" if result.reason else ""
    match result.ending:
        case Ending.FOUND:
            last = result.commits[result.before].short
            return f"{named[0]} is the first bad commit of {result.package}, {last} the last good one"
        case Ending.NOT_REPRODUCED:
            return f"not reproduced by a search{why}"
        case Ending.INCONCLUSIVE if commit_ends_failed(result):
            return f"the commits of {result.package} gave no answer{why}"
        case _:
            return f"the first bad commit of {result.package} is one of {len(result.suspects)}, up to {named[-1]}{why}"
