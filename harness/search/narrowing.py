"""A bisect over releases as it runs: one run folder, whose cells are the releases that were probed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.matrix.cell import Cell
from harness.reporter import Reporter
from harness.search import result as results
from harness.search.bisection import Search
from harness.search.criterion import failed_otherwise, whole_file
from harness.search.ends import stopped
from harness.search.prober import Prober
from harness.search.question import Question
from harness.search.result import Ending, Result
from harness.search.scan import conclusion
from harness.search.seen import Seen
from harness.store.journal import Listener
from harness.store.run_folder import RunFolder


class Interrupted(Exception):
    """The user stopped the run that probes."""


@dataclass(frozen=True)
class Bisect:
    """One bisect with its run folder; what the folder holds already is not probed again.

    Nothing is kept but the folder: each step asks it what is known, and what that leaves to probe.
    """

    question: Question
    base: Cell  # the pins that are held
    prober: Prober
    tried: set[str] = field(default_factory=set)  # releases that were run to their end here, whatever became of it

    @property
    def folder(self) -> RunFolder:
        """Where it is kept."""
        return self.prober.folder

    @property
    def seen(self) -> Seen:
        """What the folder says by now."""
        return Seen(self.question, self.base, self.prober, frozenset(self.tried))

    def run(self, listener: Listener, echo: Reporter) -> Result:
        """Check the ends, look for one that was left out, then narrow; or scan. ``say`` hears one line at a time."""
        for note in whole_file(self.question.scenario, self.prober.plan.scenarios, self.question):
            echo(f"note: {note}")
        try:
            if self.question.scan:
                return self._scan(listener, echo)
            return self._ends(listener, echo) or self._look_back(listener, echo) or self._narrow(listener, echo)
        except (Interrupted, KeyboardInterrupt):  # the second while locking, where no cell runs
            low, search = self.seen.search()
            before, suspects = self._named(low, search)
            return self.result(Ending.INTERRUPTED, before, suspects)

    def _ends(self, listener: Listener, echo: Reporter) -> Result | None:
        """Probe the ends; return how it ends where one is not what it was said to be."""
        asked = self.question
        if asked.assume_ends:
            return None
        ends = asked.releases[-1:] if asked.open_end else (asked.releases[0], asked.releases[-1])
        self._probe(ends, listener, echo)
        found = {end: judged for end, judged in self.seen.judged().items() if end in ends}
        bad, good = found.get(asked.bad), found.get(asked.good)
        otherwise = bad is not None and failed_otherwise(asked, bad, self.seen.attempts()[asked.bad])
        stop = stopped(asked, bad, good, otherwise=otherwise)
        return self.result(stop.ending, asked.releases[0], asked.releases[1:], stop.end.reason) if stop else None

    def _look_back(self, listener: Listener, echo: Reporter) -> Result | None:
        """Find the older end where nobody named it; return how it ends where there is none."""
        asked = self.question
        if not asked.open_end:
            return None
        wanted = "bad" if asked.find_fix else "good"
        while stops := self.seen.strides().next(asked.jobs):
            self._probe([asked.releases[item] for item in stops], listener, echo)
        strides = self.seen.strides()
        if strides.found is not None:
            return None
        reached = asked.releases[strides.reached]
        reason = f"no {wanted} release was found; {reached} is the oldest that could be told, and it is not {wanted}"
        return self.result(Ending.INCONCLUSIVE, "", asked.releases[: strides.reached + 1], reason)

    def _narrow(self, listener: Listener, echo: Reporter) -> Result:
        releases = self.question.releases
        low, search = self.seen.search()
        echo(self._so_far(low, search))
        while wanted := [releases[low + item] for item in search.next(self.question.jobs)]:
            self._probe(wanted, listener, echo)
            low, search = self.seen.search()
            echo(self._so_far(low, search))
        before, suspects = self._named(low, search)
        if len(suspects) > 1:
            return self.result(Ending.INCONCLUSIVE, before, suspects)
        return self._confirmed(before, suspects, listener, echo)

    def _confirmed(self, before: str, suspects: Sequence[str], listener: Listener, echo: Reporter) -> Result:
        """Attempt the two releases at the border until each has as many attempts as asked for."""
        asked, after = self.question, suspects[0]
        if asked.confirm > 1:
            echo(f"confirming {before} and {after} by {asked.confirm} attempts each")
            self._probe((before, after), listener, echo, repeat=asked.confirm)
            found = self.seen.judged()
            for release, bad in ((before, asked.find_fix), (after, not asked.find_fix)):
                if found[release].bad is not bad:
                    return self.result(Ending.INCONCLUSIVE, before, suspects, f"{release}: {found[release].reason}")
        return self.result(Ending.FOUND, before, suspects)

    def _scan(self, listener: Listener, echo: Reporter) -> Result:
        """Probe every release, and return the first change that was asked for."""
        self._probe(self.question.releases, listener, echo)
        found = conclusion(self.seen.scan())
        return self.result(found.ending, found.before, found.suspects, found.reason)

    def _named(self, low: int, search: Search) -> tuple[str, tuple[str, ...]]:
        releases = self.question.releases
        return releases[low + search.bracket[0]], tuple(releases[low + item] for item in search.suspects)

    def _probe(self, releases: Sequence[str], listener: Listener, echo: Reporter, repeat: int = 1) -> None:
        """Run the cells of some releases and say what they answered.

        Raises:
            Interrupted: the user stopped it.
        """
        package, seen = self.question.package, self.seen
        place = {seen.cell(release).id: number for number, release in enumerate(self.question.releases)}
        cells = [seen.cell(release) for release in releases]
        if not self.prober.probe(cells, listener, repeat=repeat, order=lambda cell: place.get(cell, len(place))):
            raise Interrupted
        self.tried.update(releases)
        found = seen.judged()
        for release in releases:
            origin = f", known from {found_in}" if (found_in := seen.origin(release)) else ""
            word = found[release].word if self.question.told else "measured"
            echo(f"{package} {release}: {word} ({found[release].reason}){origin}")

    def _so_far(self, low: int, search: Search) -> str:
        releases, (first, last) = self.question.releases, search.bracket
        steps = search.rounds_left(self.question.jobs)
        left = f"about {steps} step{'' if steps == 1 else 's'} left" if steps else "nothing left to probe"
        span = f"{releases[low]} … {releases[-1]}"
        if (first, last) == (0, search.size - 1):
            return f"searching {span}, {left}"
        return f"narrowed from {span} to {releases[low + first]} … {releases[low + last]}, {left}"

    def result(self, ending: Ending, before: str, suspects: Sequence[str], reason: str = "") -> Result:
        """Return how it ended, and keep it in the run folder."""
        asked = self.question
        result = Result(
            ending=ending,
            package=asked.package,
            before=before,
            suspects=tuple(suspects),
            releases=self.seen.judged(),
            find_fix=asked.find_fix,
            reason=reason,
        )
        results.write(result, self.folder)
        return result
