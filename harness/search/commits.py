"""Commits as candidates: the tags of releases, and the search along the history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from packaging.version import InvalidVersion, Version

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.git import Commit, CommitRange, Repository
from harness.reporter import Reporter
from harness.search.bisection import Answer
from harness.search.driver import Axis, Knowledge, Narrowed, Step, in_order, narrow, reopen
from harness.search.pins import cell_with, commit_pin
from harness.search.prober import Prober
from harness.search.records import (
    BisectQuestion,
    CommitQuestion,
    CommitResult,
    CommitSource,
    Ending,
    ReleaseResult,
    SearchRecord,
    SearchResult,
    read_question,
)
from harness.search.releases import Releases
from harness.store.records import RunRecord
from harness.store.run_folder import RunFolder
from harness.verdict.result import ScenarioResult

PATTERNS = ("v{}", "{}", "release-{}", "{package}-{}", "{package}-v{}", "rel/{}")


def prefixes(package: str, pattern: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return what may stand before and after the version in a tag, the likeliest first."""
    names = dict.fromkeys((package, package.replace("-", "_")))
    texts = [one.replace("{package}", name) for one in PATTERNS for name in names] if pattern is None else [pattern]
    cut = (text.partition("{}") for text in dict.fromkeys(texts))
    return tuple((before, after) for before, _, after in cut)


def tag_of(package: str, release: str, tags: Iterable[str], pattern: str | None = None) -> str | None:
    """Return the tag of a release; ``v1.2`` and ``v1.2.0-rc1`` stand for what ``1.2.0`` and ``1.2.0rc1`` mean.

    Args:
        package: The normalized name, which some tags carry (``<package>-1.2.0``).
        release: The version as the index has it.
        tags: All tags of the repository.
        pattern: How tags are written here (``rel_{}``), instead of the usual ways.
    """
    known = list(tags)
    for before, after in prefixes(package, pattern):
        same = [tag for tag in known if version_in(tag, before, after) == Version(release)]
        if same:
            exact = f"{before}{release}{after}"
            return exact if exact in same else same[0]
    return None


def nearest_tags(package: str, release: str, tags: Iterable[str], pattern: str | None = None) -> tuple[str, ...]:
    """Return the tags of the releases before and after one that has none; the last of all where none is a version."""
    known, wanted = list(tags), Version(release)
    dated: dict[Version, str] = {}
    for before, after in prefixes(package, pattern):
        for tag in known:
            version = version_in(tag, before, after)
            if version is not None:
                dated.setdefault(version, tag)

    near = [*sorted(one for one in dated if one < wanted)[-1:], *sorted(one for one in dated if one > wanted)[:1]]
    return tuple(dated[one] for one in near) or tuple(known[-3:])


def version_in(tag: str, before: str, after: str) -> Version | None:
    """Read the version between what stands before and after it; None where it is none."""
    if not (tag.startswith(before) and tag.endswith(after)):
        return None
    try:
        return Version(tag[len(before) : len(tag) - len(after)])
    except InvalidVersion:
        return None


@dataclass
class Commits(Axis[str, CommitResult]):
    """The commits of one package between two states of its repository, along first parents.

    Attributes:
        question: Of the bisect; one of releases if these led here.
        base: The cell with all other packages.
        older: The tag or commit at the older end.
        newer: The tag or commit at the newer end.
        metric_bound: The largest good value of the metric, as measured at the good release.
        neighbours: The cells (ids) of the releases before and after the commits, in the order of the report.
        commits: All commits that were met, in the order of the report. It grows when a merge is entered.
    """

    question: BisectQuestion
    source: CommitSource
    base: Cell
    repository: Repository
    older: str
    newer: str
    metric_bound: float | None = None
    neighbours: tuple[Sequence[str], Sequence[str]] = ((), ())
    line: CommitRange = field(init=False)
    commits: list[Commit] = field(init=False)
    _merged: dict[str, CommitRange] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Read the commits between the ends.

        Raises:
            ConfigError: There are none, or the ends have no common history.
        """
        self.line = self.repository.commits_between(self.older, self.newer)
        self.commits = list(self.line.commits)

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last commit."""
        return self.line.shas[0], self.line.shas[-1]

    def cell(self, candidate: str) -> Cell:
        """Return the cell of a commit."""
        source = self.repository
        return cell_with(self.base, commit_pin(self.question.package, source.address, candidate, source.subfolder))

    def name(self, candidate: str) -> str:
        """Return the commit with its date and subject."""
        return self._commit(candidate).summary()

    def candidates(self) -> tuple[str, ...]:
        """Return the commits along first parents."""
        return self.line.shas

    def bound(self, good: Sequence[ScenarioResult]) -> float | None:
        """Return the bound of the metric; among commits it is fixed."""
        del good
        return self.metric_bound

    def arrange(self, record: RunRecord) -> RunRecord:
        """Return the run with its cells in the order of releases and commits."""
        cells = (self.cell(one.sha).id for one in self.commits)
        before, after = self.neighbours
        return in_order(record, [*before, *cells, *after])

    def step(self, known: Knowledge[str]) -> Step[str]:
        """Narrow the line, then with ``--all-parents`` what the merge that was found brought."""
        return self._walk(known).step

    def result(self, known: Knowledge[str], stop: SearchResult) -> CommitResult:
        """Return the commits at the border, or those that are left."""
        walk = self._walk(known)
        before, suspects = walk.before, walk.suspects
        if stop.failed_end is not None:
            before, suspects = self.line.shas[0], self.line.shas[1:]
        probed = {one.sha: known.evaluations[one.sha] for one in self.commits if one.sha in known.evaluations}
        named = {before, *suspects, *probed}
        return CommitResult(
            **dict(stop),
            package=self.question.package,
            address=self.repository.origin(),
            older=self.older,
            newer=self.newer,
            before=before,
            suspects=suspects,
            commits={one.sha: one for one in self.commits if one.sha in named},
            evaluations=probed,
            find_fix=self.find_fix,
        )

    def keep(self, record: SearchRecord, result: CommitResult) -> SearchRecord:
        """Return the record of the search, in which commits that releases led to are a second result."""
        where = "result" if isinstance(record.question, CommitQuestion) else "commits"
        return record.model_copy(update={where: result})

    def _walk(self, known: Knowledge[str]) -> Narrowed[str]:
        """Follow what is known along the line and into merges, as far as it goes."""
        walk = self._along(self.line, known)
        lines = [f"{len(self.line.commits) - 1} commits from {self.older} to {self.newer}", *walk.step.lines]
        while walk.step.ending is Ending.FOUND and (inside := self._inside(walk.suspects[0], lines)) is not None:
            deeper = self._along(inside, known)
            lines += deeper.step.lines
            if not deeper.suspects:
                lines.append(f"{deeper.step.reason}; the merge is what brings it here")
                break
            walk = deeper
            if inside.shas[-1] in walk.suspects:
                break

        return replace(walk, step=replace(walk.step, lines=tuple(lines)))

    def _along(self, line: CommitRange, known: Knowledge[str]) -> Narrowed[str]:
        """Narrow one line as far as the answers go; without suspects the change is not on it."""
        if line.fork:
            fork = line.shas[1]
            if fork not in known.evaluations:
                note = f"{self.name(fork)} is where the branches part: it is probed first"
                return Narrowed(Step((fork,), (note,)), line.shas[0], line.shas[1:])
            if known.answers[fork] is Answer.YES:
                return Narrowed(Step(reason=self._left(line)), line.shas[0], ())
        return narrow(line.shas, [one.short for one in line.commits], known, self.question.jobs)

    def _inside(self, sha: str, lines: list[str]) -> CommitRange | None:
        """Return the line from the commit before a merge over what it brought to itself; None for other commits."""
        merge = self._commit(sha)
        if not self.source.all_parents or len(merge.parents) < 2:  # noqa: PLR2004 - a merge has two parents
            return None
        lines.append(f"{merge.summary()} is a merge: searching what it brought")
        if sha not in self._merged:
            side = self.repository.commits_between(merge.parents[0], merge.parents[1])
            self._merged[sha] = CommitRange((*side.commits, merge), side.fork)
            at = self.commits.index(merge)
            self.commits[at:at] = [one for one in side.commits if one not in self.commits]

        return self._merged[sha]

    def _left(self, line: CommitRange) -> str:
        """Say that the change lies on the older branch: the merge base is like the newest commit already."""
        first, fork = (self._commit(sha) for sha in line.shas[:2])
        after = self.question.after
        return f"the merge base {fork.summary()} is {after} already: {first.short} differs by its own branch"

    def _commit(self, sha: str) -> Commit:
        return next(one for one in self.commits if one.sha == sha)


def resume_commits(
    folder: RunFolder, repository: Repository, cache_dir: CacheDir, report: Reporter
) -> tuple[Commits, Prober]:
    """Return the commits of an interrupted bisect, and what probes them.

    Raises:
        ConfigError: The run is no bisect of commits, or its scenario is not what it was.
    """
    question = read_question(folder, CommitQuestion)
    prober = reopen(folder, question, cache_dir, report)
    return commits_of_question(question, prober.plan.cells[0].cell, repository), prober


def commits_of_question(question: CommitQuestion, base: Cell, repository: Repository) -> Commits:
    """Return the commits of a question that names both ends itself.

    Raises:
        ConfigError: No commit lies between them, or the bound is a factor, for which a release would be measured.
    """
    if question.factor is not None:
        raise ConfigError(f"--commits needs an absolute bound: give --above 6GiB instead of {question.factor:g}x")
    return Commits(
        question, question.source, base, repository, question.older, question.newer, metric_bound=question.limit
    )


def commits_of_releases(
    releases: Releases, result: ReleaseResult, bound: float | None, repository: Repository
) -> Commits | None:
    """Return the commits between the two releases of a result; None if it does not name two.

    Args:
        releases: What was searched.
        result: How that ended.
        bound: The largest good value of the metric, as measured at the good release.
        repository: Where the commits are.

    Raises:
        ConfigError: A release has no tag, or no commit lies between the two.
    """
    question, source = releases.question, releases.question.source
    if source is None or not _is_border(result):
        return None
    older, newer = result.before, result.suspects[-1]
    at = question.releases.index(newer)
    cells = [releases.cell(release).id for release in question.releases]
    return Commits(
        question,
        source,
        releases.base,
        repository,
        find_tag(repository, question.package, older, source.tags),
        find_tag(repository, question.package, newer, source.tags),
        metric_bound=bound,
        neighbours=(cells[:at], cells[at:]),
    )


def _is_border(result: ReleaseResult) -> bool:
    """Return whether the change lies between two releases; an end that was assumed has no answer of its own."""
    if result.ending not in {Ending.FOUND, Ending.INCONCLUSIVE} or not result.before:
        return False
    expected = {result.before: result.find_fix, result.suspects[-1]: not result.find_fix}
    known = result.evaluations
    return all(one not in known or known[one].bad is bad for one, bad in expected.items())


def find_commits(repository: Repository, *refs: str) -> tuple[Commit, ...]:
    """Return the commits that names mean; a copy of a remote repository that lacks one is fetched once.

    Raises:
        ConfigError: The repository has no such commit.
        InfrastructureError: It does not answer.
    """
    try:
        return tuple(repository.commit(ref) for ref in refs)
    except ConfigError:
        if not repository.remote:
            raise
        repository.fetch()
        return tuple(repository.commit(ref) for ref in refs)


def find_tag(repository: Repository, package: str, release: str, pattern: str | None = None) -> str:
    """Return the tag of a release; a copy of a remote repository that lacks it is fetched once.

    Raises:
        ConfigError: The repository has none.
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
