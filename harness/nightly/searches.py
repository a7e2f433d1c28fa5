"""Search for the cause of new regressions: bisect releases or commits of one package, or blame several changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from harness.envs.cache_dir import CacheDir
from harness.envs.requirements import is_implicit
from harness.errors import HarnessError, Interrupted
from harness.matrix.cell import Cell, display_version
from harness.matrix.git import open_repository
from harness.matrix.paths import short_path
from harness.nightly.claim import Claim, Kind
from harness.nightly.record import SearchSummary
from harness.report.issue.draft import draft
from harness.report.write import write_views
from harness.reporter import Reporter
from harness.search.blame import Changes, learn_dependencies, resume_blame
from harness.search.commits import Commits, commits_of_question, find_commits, resume_commits
from harness.search.conclusions import sentence
from harness.search.driver import Axis, Deadline, Driver, begin_search
from harness.search.environments import EnvironmentQuery
from harness.search.pins import CommitAddress, parse_commit_address
from harness.search.prober import Prober
from harness.search.records import (
    BisectResult,
    BlameQuestion,
    BlameResult,
    CommitQuestion,
    CommitSource,
    Ending,
    OrderedResult,
    ReleaseQuestion,
)
from harness.search.releases import Releases, between, list_known_releases, resume_releases
from harness.session.context import Options
from harness.session.plan import Plan
from harness.store.files import write_text
from harness.store.journal import Listener
from harness.store.records import function_of
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run
from harness.verdict.result import ResultKey


@dataclass(frozen=True)
class PlannedSearch:
    """One search for the cause of regressions that have the same signature and the same change.

    Attributes:
        claims: The regressions; the first one is searched.
        package: The package to bisect; empty if several changed.
        versions: The two releases, or the addresses of the two commits, between which it is bisected.
        why_not: Why nothing can be searched.
    """

    claims: tuple[Claim, ...]
    package: str = ""
    versions: tuple[str, str] = ("", "")
    why_not: str = ""

    @property
    def commits(self) -> tuple[CommitAddress, CommitAddress] | None:
        """The two commits to bisect between; None for releases."""
        older, newer = map(parse_commit_address, self.versions)
        return (older, newer) if older and newer else None

    @property
    def claim(self) -> Claim:
        """The regression that is searched."""
        return self.claims[0]

    @property
    def keys(self) -> tuple[ResultKey, ...]:
        """The results that the conclusion explains."""
        return tuple(claim.key for claim in self.claims)

    @property
    def name(self) -> str:
        """The name of the search in ``night.json``."""
        return f"{self.claim.series} {self.claim.scenario} {self.claim.figure}".strip()

    @property
    def change(self) -> str:
        """What changed, in words."""
        if self.package:
            return f"{self.package} {_pair(self.versions)}"
        named = [f"{name} {_pair(pair)}" for name, pair in self.claim.changed.items()]
        more = " …" if len(named) > MAX_NAMED else ""
        return f"{len(named)} packages: {', '.join(named[:MAX_NAMED])}{more}"


def plan_searches(claims: Iterable[Claim], tested: Sequence[str]) -> list[PlannedSearch]:
    """Return the searches for regressions, one for all that have the same signature and the same change.

    If exactly one package under test changed, it is bisected, also if other packages changed, too: a good end that is
    not good is reported. If several under test changed, or none and several others, the changes are blamed.

    Args:
        claims: The regressions.
        tested: The packages that the matrix names.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        package, versions, why_not = _single_package(claim, tested)
        what = claim.figure or claim.signature or function_of(claim.scenario)
        rest = (why_not,) if why_not else (package, *versions) if package else (claim.series,)
        groups.setdefault((what, *rest), []).append(claim)
    return [PlannedSearch(tuple(mine), *_single_package(mine[0], tested)) for mine in groups.values()]


def _single_package(claim: Claim, tested: Sequence[str]) -> tuple[str, tuple[str, str], str]:
    """Return the package to bisect and its two versions, or why nothing can be searched; neither for a blame."""
    changed = {name: pair for name, pair in claim.changed.items() if not is_implicit(name) and name != "python"}
    pinned = {name: pair for name, pair in changed.items() if name in tested}
    if not changed:
        return "", ("", ""), "no package changed since it passed"
    chosen = pinned or changed
    if len(chosen) > 1:
        return "", ("", ""), ""
    name, pair = next(iter(chosen.items()))
    if not all(pair):
        return "", ("", ""), f"{name} was {'added' if pair[1] else 'removed'}: there is no range to bisect"
    if any("://" in version for version in pair):
        why_not = _why_no_commits(name, pair)
        return ("", ("", ""), why_not) if why_not else (name, pair, "")
    return name, (pair[0].partition("+")[0], pair[1].partition("+")[0]), ""  # 2.13.0+cpu is one build of 2.13.0


def _why_no_commits(name: str, pair: tuple[str, str]) -> str:
    """Return why there are no commits between two versions, of which at least one is no release; empty if there are."""
    older, newer = map(parse_commit_address, pair)
    if older is None or newer is None:
        before, after = map(display_version, pair)
        return f"{name} changed from {before} to {after}, which are neither two releases nor two commits"
    if (older.address, older.subfolder) != (newer.address, newer.subfolder):
        return f"{name} changed its repository: {older.address} → {newer.address}"
    return ""


def _pair(versions: tuple[str, str]) -> str:
    return " → ".join(display_version(version) or "none" for version in versions)


AnyAxis = TypeVar("AnyAxis", bound=Axis[Any, Any])
OnStart = Callable[[str, str], None]  # called with the name of a search and that of its run folder
MAX_NAMED = 4  # changed packages named in a sentence


@dataclass
class Budget:
    """The seconds for all searches, counted from its creation; a probe that has begun is finished."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    deadline: Deadline = field(init=False)

    def __post_init__(self) -> None:
        """Set the deadline."""
        self.deadline = Deadline(self.clock() + self.seconds, self.clock)


@dataclass(frozen=True)
class SearchContext:
    """What all searches of a nightly run share.

    Attributes:
        plan: The plan of the nightly run.
        run: The name of its run folder.
        options: How attempts are run.
        on_start: Called for each search that begins, so that an interrupted nightly run can resume it.
        earlier: Name of a search → run folder, of the searches that an interrupted nightly run began.
    """

    plan: Plan
    cache_dir: CacheDir
    reports: Path
    run: str
    options: Options
    report: Reporter
    on_start: OnStart = lambda _name, _run: None
    earlier: Mapping[str, str] = field(default_factory=dict)

    def releases(self, search: PlannedSearch, report: Reporter) -> tuple[Releases, Prober]:
        """Begin or resume a search over the releases of one package; all others are as in the cell that regressed.

        Raises:
            HarnessError: The search cannot begin.
        """
        if search.name in self.earlier:
            return resume_releases(self._earlier(search.name), self.cache_dir, report)
        listing = list_known_releases(search.package, self.cache_dir)
        found = between(search.package, listing.releases[search.package], *search.versions)
        for note in (*listing.warnings, *found.notes):
            report(f"note: {note}")
        question = ReleaseQuestion(
            package=search.package,
            releases=found.releases,
            **self._question(search),
        )
        return self._begin(Releases(question, self._cell(search)), search.name, report)

    def commits(
        self, search: PlannedSearch, older: CommitAddress, newer: CommitAddress, report: Reporter
    ) -> tuple[Commits, Prober]:
        """Begin or resume a search over the commits of one package; all others are as in the cell that regressed.

        Raises:
            HarnessError: The search cannot begin.
        """
        inside = f"#subdirectory={newer.subfolder}" if newer.subfolder else ""
        source = CommitSource(repository=f"git:{newer.address}{inside}")
        repository = open_repository(source.repository, self.cache_dir.repositories)
        if search.name in self.earlier:
            return resume_commits(self._earlier(search.name), repository, self.cache_dir, report)
        first, last = find_commits(repository, older.commit, newer.commit)
        ends = {"older": first.sha, "newer": last.sha, "source": source}
        question = CommitQuestion(package=search.package, **ends, **self._question(search))
        return self._begin(commits_of_question(question, self._cell(search), repository), search.name, report)

    def changes(self, search: PlannedSearch, report: Reporter) -> tuple[Changes, Prober]:
        """Begin or resume a blame from the cell that passed to the one that regressed.

        Raises:
            HarnessError: The search cannot begin.
        """
        name = f"{search.name} blame"
        if name in self.earlier:
            return resume_blame(self._earlier(name), self.cache_dir, report)
        claim = search.claim
        good, bad = f"{claim.was}:{claim.was_cell}", f"{self.run}:{claim.cell}"
        found = EnvironmentQuery(self.plan.matrix, self.cache_dir, self.reports).compare(good, bad)
        difference = {"shared": found.shared, "changes": found.changes}
        question = BlameQuestion(good=good, bad=bad, **difference, **self._question(search))
        return self._begin(learn_dependencies(question, self.cache_dir, report), name, report)

    def _begin(self, axis: AnyAxis, name: str, report: Reporter) -> tuple[AnyAxis, Prober]:
        prober = begin_search(axis, self.plan.matrix, self.cache_dir, self.reports, report)
        self.on_start(name, prober.folder.path.name)
        return axis, prober

    def _earlier(self, name: str) -> RunFolder:
        return find_run(self.earlier[name], self.reports)

    def _question(self, search: PlannedSearch) -> dict[str, Any]:
        """Return the fields of a question that all searches share.

        Bad is the failure of the regression, or more memory than the geometric mean of before and now.
        """
        claim = search.claim
        stem, _, test = claim.scenario.partition("::")
        path = short_path(next(file.path for file in self.plan.files if file.path.stem == stem))
        criterion: dict[str, str | int | None] = {"signature": claim.signature or None}
        if claim.bounds is not None:
            criterion = {"metric": claim.figure, "limit": int((claim.bounds[0] * claim.bounds[1]) ** 0.5)}
        return {
            "scenario": f"{path}::{test}" if test else path,  # with its parameter
            "matrix": short_path(self.plan.matrix.path),
            "timeout": self.options.timeout,
            "busy_bytes": self.options.busy_bytes,
            **criterion,
        }

    def _cell(self, search: PlannedSearch) -> Cell:
        return next(one.cell for one in self.plan.cells if one.cell.id == search.claim.cell)


@dataclass(frozen=True)
class Searcher:
    """Run the searches of a nightly run."""

    context: SearchContext
    listener: Listener

    def run_all(self, searches: Iterable[PlannedSearch], budget: Budget) -> tuple[SearchSummary, ...]:
        """Run one search after the other until the budget is spent.

        Raises:
            Interrupted: The user stopped a search.
        """
        return tuple(self.run(search, budget) for search in searches)

    def run(self, search: PlannedSearch, budget: Budget) -> SearchSummary:
        """Run one search; an error becomes its answer.

        Raises:
            Interrupted: The user stopped it.
        """
        if search.why_not or budget.deadline.passed:
            return not_searched(search, f"the budget of {budget.seconds / 60:g} minutes is spent")
        self.context.report(f"searching the cause of {search.claim.scenario}: {search.change}")
        try:
            return self._bisect(search, budget) if search.package else self._blame(search, budget)
        except HarnessError as error:
            return not_searched(search, str(error))

    def _bisect(self, search: PlannedSearch, budget: Budget) -> SearchSummary:
        """Bisect the package under test; without a conclusion, and if others changed, too, blame all changes."""
        if search.commits is not None:
            found = self._drive(search, *self.context.commits(search, *search.commits, self._report), budget)
        else:
            found = self._drive(search, *self.context.releases(search, self._report), budget)

        if found.ending == Ending.FOUND or len(search.claim.changed) == 1 or budget.deadline.passed:
            return found
        self.context.report(f"{found.answer}; blaming {len(search.claim.changed)} changes")
        blamed = self._blame(search, budget)
        return blamed.model_copy(update={"answer": f"{found.answer}; {blamed.answer}"})

    def _blame(self, search: PlannedSearch, budget: Budget) -> SearchSummary:
        return self._drive(search, *self.context.changes(search, self._report), budget)

    def _drive(
        self, search: PlannedSearch, axis: Releases | Commits | Changes, prober: Prober, budget: Budget
    ) -> SearchSummary:
        """Run a search, render its views, and return its conclusion.

        Raises:
            Interrupted: The user stopped it.
        """
        driver: Driver[Any, Any] = Driver(axis, prober)
        result: BisectResult | BlameResult = driver.run(self.listener, self._report, budget.deadline)
        if result.ending is Ending.INTERRUPTED and not result.deadline_passed:
            raise Interrupted
        write_views(prober.folder)
        versions = None
        if isinstance(result, OrderedResult) and result.ending is Ending.FOUND:
            versions = (result.before, result.suspects[0])
        return SearchSummary(
            keys=search.keys,
            change=search.change,
            answer=sentence(axis.question, result),
            ending=result.ending.value,
            run=prober.folder.path.name,
            package=search.package,
            versions=versions,
        )

    def _report(self, line: str) -> None:
        self.context.report(f"  {line}")


def not_searched(search: PlannedSearch, why_not: str) -> SearchSummary:
    """Return that nothing was searched and why; that nothing can be searched takes precedence over ``why_not``."""
    return SearchSummary(keys=search.keys, change=search.change, answer=f"not searched: {search.why_not or why_not}")


def write_drafts(
    folder: RunFolder, claims: Iterable[Claim], searches: Iterable[SearchSummary], cache_dir: CacheDir, reports: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write one draft a signature into the run folder; return their names, and why others could not be made."""
    names, problems = list[str](), list[str]()
    conclusions = {key: one for one in searches for key in one.keys}
    for claim in {one.signature: one for one in claims if one.kind is Kind.NEW_REGRESSION and one.signature}.values():
        found = conclusions.get(claim.key)
        try:
            finished = found is not None and found.ending not in {"", Ending.INTERRUPTED}  # else it can be resumed
            search = find_run(found.run, reports) if found and found.run and finished else None
            written = draft(folder, claim.signature, cache_dir, search=search)
            write_text(folder.path / written.name, written.text)
        except (HarnessError, OSError) as error:
            problems.append(f"no draft for {claim.scenario}: {error}")
            continue
        names.append(written.name)

    return tuple(names), tuple(problems)
