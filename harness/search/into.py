"""Drive a search among the commits between two releases, in the run folder of the bisect that found these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import ConfigError
from harness.matrix.git import CommitRange, Repository
from harness.search.bisection import Answer, Search
from harness.search.commits import nearest_tags, prefixes, tag_of
from harness.search.criterion import failed_otherwise
from harness.search.descent import CommitResult, write_result
from harness.search.ends import stopped
from harness.search.result import Ending
from harness.search.row import Interrupted, Row


@dataclass(frozen=True)
class Descent:
    """One search among commits; with ``all_parents`` it goes on into what a merge brought, where a merge is found."""

    row: Row
    all_parents: bool = False

    def run(self) -> CommitResult:
        """Check both tags, then narrow until nothing is left to probe.

        Raises:
            ConfigError: no commit lies between the tags.
        """
        row = self.row
        line = row.repository.commits_between(row.around.older, row.around.newer)
        row.commits[:] = line.commits
        row.echo(f"{len(line.commits) - 1} commits from {row.around.older} to {row.around.newer}")
        before, suspects = line.shas[0], line.shas[1:]
        try:
            wrong = None if row.question.assume_ends else self._ends(line)
            if wrong is not None:
                return self._result(wrong[0], before, suspects, wrong[1])
            search = self._narrow(line)
            if search is None:
                return self._result(Ending.INCONCLUSIVE, before, (), self._left(line))
            before, suspects = self._into_merges(*_border(line, search))
            if len(suspects) > 1:
                return self._result(Ending.INCONCLUSIVE, before, suspects)
            return self._confirmed(before, suspects)
        except (Interrupted, KeyboardInterrupt):  # the second while locking, where no cell runs
            return self._result(Ending.INTERRUPTED, before, suspects)

    def _ends(self, line: CommitRange) -> tuple[Ending, str] | None:
        """Probe both tags; return how it ends, and why, where one is not as its release is, the bad one first."""
        row, asked = self.row, self.row.question
        row.probe((line.shas[0], line.shas[-1]))
        found = row.judged()
        older, newer = (line.shas[0], row.around.older), (line.shas[-1], row.around.newer)
        bad, good = (older, newer) if asked.find_fix else (newer, older)
        otherwise = failed_otherwise(asked, found[bad[0]], row.prober.attempts(row.cell(bad[0])))
        stop = stopped(asked, found[bad[0]], found[good[0]], otherwise=otherwise)
        if stop is None:
            return None
        tag = bad[1] if stop.at_bad else good[1]
        return stop.ending, f"{tag} built from source: {stop.end.word} ({stop.end.reason})"

    def _narrow(self, line: CommitRange) -> Search | None:
        """Narrow one line as far as it goes; None where the fork is as the last commit is: the change is not on it."""
        inner = line.shas[1:-1]
        known = self.row.probed(inner)
        if line.fork and inner[0] not in known:
            self.row.echo(f"{self.row.named(inner[0]).summary()} is where the branches part: it is probed first")
            self.row.probe(inner[:1])
            known = [inner[0], *known]
        search = Search(len(line.commits)).told(self.row.answers(line, known))
        if line.fork and search.answers[1] is Answer.YES:
            return None
        self.row.so_far(line, search)
        while wanted := [line.shas[item] for item in search.next(self.row.question.jobs)]:
            self.row.probe(wanted)
            search = search.told(self.row.answers(line, wanted))
            self.row.so_far(line, search)
        return search

    def _left(self, line: CommitRange) -> str:
        """Say that a line was left before the change: what holds for its first commit does not hold at the fork."""
        first, fork = (self.row.named(sha) for sha in line.shas[:2])
        after = "good" if self.row.question.find_fix else "bad"
        return f"the merge base {fork.summary()} is {after} already: {first.short} differs by what its own branch has"

    def _into_merges(self, before: str, suspects: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """Go on into what a merge brought, as long as the answer is one."""
        while len(suspects) == 1 and (inside := self._inside(suspects[0])) is not None:
            search = self._narrow(inside)
            if search is None:
                self.row.echo(f"{self._left(inside)}; the merge is what brings it here")
                break
            before, suspects = _border(inside, search)
            if inside.shas[-1] in suspects:
                break
        return before, suspects

    def _inside(self, sha: str) -> CommitRange | None:
        """Return the line from the commit before a merge over what it brought to itself; None where it is none."""
        merge = self.row.named(sha)
        if not self.all_parents or len(merge.parents) < 2:  # noqa: PLR2004 - a merge has two parents
            return None
        side = self.row.repository.commits_between(merge.parents[0], merge.parents[1])
        at = self.row.commits.index(merge)
        self.row.commits[at:at] = [one for one in side.commits if one not in self.row.commits]
        self.row.echo(f"{merge.summary()} is a merge: going into what it brought")
        return CommitRange((*side.commits, merge), side.fork)

    def _confirmed(self, before: str, suspects: tuple[str, ...]) -> CommitResult:
        """Attempt the two commits at the border until each has as many attempts as asked for."""
        question = self.row.question
        if question.confirm > 1:
            self.row.probe((before, *suspects), repeat=question.confirm)
            found = self.row.judged()
            for sha, bad in ((before, question.find_fix), (suspects[0], not question.find_fix)):
                if found[sha].bad is not bad:
                    reason = f"{self.row.named(sha).short}: {found[sha].reason}"
                    return self._result(Ending.INCONCLUSIVE, before, suspects, reason)
        return self._result(Ending.FOUND, before, suspects)

    def _result(self, ending: Ending, before: str, suspects: Sequence[str], reason: str = "") -> CommitResult:
        """Return how it ended, and keep it in the run folder."""
        row, judged = self.row, self.row.judged()
        named = {before, *suspects, *judged}
        result = CommitResult(
            ending=ending,
            package=row.question.package,
            address=row.repository.origin(),
            older=row.around.older,
            newer=row.around.newer,
            before=before,
            suspects=tuple(suspects),
            commits={one.sha: one for one in row.commits if one.sha in named},
            judged=judged,
            find_fix=row.question.find_fix,
            reason=reason,
        )
        write_result(result, row.prober.folder)
        return result


def find_tag(repository: Repository, package: str, release: str, pattern: str | None = None) -> str:
    """Return the tag of a release; a copy of a remote repository that lacks it is brought up to date once.

    Raises:
        ConfigError: the repository has none.
    """
    found = tag_of(package, release, repository.tags(), pattern)
    if found is None and repository.remote:
        repository.fetch()
        found = tag_of(package, release, repository.tags(), pattern)
    if found is not None:
        return found
    tried = ", ".join(f"{before}{release}{after}" for before, after in prefixes(package, pattern))
    near = nearest_tags(package, release, repository.tags(), pattern)
    hint = f"; the nearest are {', '.join(near)}" if near else "; it has no tags at all"
    raise ConfigError(
        f"{repository.address} has no tag for {package} {release} (looked for {tried}){hint}; "
        "say how its tags are written with --tags 'PREFIX{}'"
    )


def _border(line: CommitRange, search: Search) -> tuple[str, tuple[str, ...]]:
    """Return the last commit before the change, and those of which one is the first after it."""
    return line.shas[search.bracket[0]], tuple(line.shas[item] for item in search.suspects)
