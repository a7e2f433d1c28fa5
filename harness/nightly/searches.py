"""What to search for a new regression: one package's releases or commits, or which of several changes it was. Pure."""

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
from harness.nightly.record import Searched
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
from harness.store.journal import Listener
from harness.store.records import function_of
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run
from harness.verdict.result import ResultKey


@dataclass(frozen=True)
class Suspect:
    """One search to make: for which claims, of which package between which versions; none where several changed.

    Where the package moved between two commits, ``versions`` are their addresses and ``commits`` what these say.
    """

    claims: tuple[Claim, ...]
    package: str = ""
    versions: tuple[str, str] = ("", "")
    why_not: str = ""  # why nothing can be searched

    @property
    def commits(self) -> tuple[CommitAddress, CommitAddress] | None:
        """The two commits to search between; None where these are releases."""
        older, newer = map(parse_commit_address, self.versions)
        return (older, newer) if older and newer else None

    @property
    def claim(self) -> Claim:
        """The claim that is searched; the others have the same signature and the same change behind them."""
        return self.claims[0]

    @property
    def places(self) -> tuple[ResultKey, ...]:
        """Every place that the answer is for."""
        return tuple(claim.key for claim in self.claims)

    @property
    def key(self) -> str:
        """Name it within its night."""
        return f"{self.claim.line} {self.claim.scenario} {self.claim.figure}".strip()

    @property
    def words(self) -> str:
        """Say what changed."""
        if self.package:
            return f"{self.package} {_pair(self.versions)}"
        named = [f"{name} {_pair(pair)}" for name, pair in self.claim.changed.items()]
        return f"{len(named)} packages: {', '.join(named[:4])}{' …' if len(named) > 4 else ''}"  # noqa: PLR2004


def suspects(claims: Iterable[Claim], tested: Sequence[str]) -> list[Suspect]:
    """Return the searches for some regressions, one for all that look alike.

    A package under test that alone changed is searched, also where packages that nobody pinned changed beside it: a
    good end that is then not good is said. Where several under test changed, or none and several others, it is asked
    which of them it was.

    Args:
        claims: the regressions.
        tested: the packages that the matrix names.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        package, versions, why_not = _one(claim, tested)
        what = claim.figure or claim.signature or function_of(claim.scenario)
        rest = (why_not,) if why_not else (package, *versions) if package else (claim.line,)
        groups.setdefault((what, *rest), []).append(claim)
    return [Suspect(tuple(alike), *_one(alike[0], tested)) for alike in groups.values()]


def _one(claim: Claim, tested: Sequence[str]) -> tuple[str, tuple[str, str], str]:
    """Return the package to search and its two versions, or why there is nothing to search."""
    changed = {name: pair for name, pair in claim.changed.items() if not is_implicit(name) and name != "python"}
    pinned = {name: pair for name, pair in changed.items() if name in tested}
    if not changed:
        return "", ("", ""), "no package changed since it was green"
    chosen = pinned or changed
    if len(chosen) > 1:
        return "", ("", ""), ""
    name, pair = next(iter(chosen.items()))
    if not all(pair):
        moved = "added" if pair[1] else "removed"
        return "", ("", ""), f"{name} was {moved}: there are no two versions of it to search"
    if any("://" in version for version in pair):
        why_not = _no_history(name, pair)
        return ("", ("", ""), why_not) if why_not else (name, pair, "")
    return name, (pair[0].partition("+")[0], pair[1].partition("+")[0]), ""  # 2.13.0+cpu is one build of 2.13.0


def _no_history(name: str, pair: tuple[str, str]) -> str:
    """Say why there are no commits between two states, of which one at least is no release; empty where there are."""
    older, newer = map(parse_commit_address, pair)
    if older is None or newer is None:
        before, after = map(display_version, pair)
        return f"{name} moved from {before} to {after}, neither two releases nor two commits"
    if (older.address, older.subfolder) != (newer.address, newer.subfolder):
        return f"{name} moved from one repository to another: {older.address} → {newer.address}"
    return ""


def _pair(versions: tuple[str, str]) -> str:
    return " → ".join(display_version(version) or "none" for version in versions)


AnyAxis = TypeVar("AnyAxis", bound=Axis[Any, Any])
Begun = Callable[[str, str], None]  # a suspect's key, the name of the run folder of its search


@dataclass
class Budget:
    """Seconds for all searches, counted from now on; a probe that has begun is finished, no other one begins."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    deadline: Deadline = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.deadline = Deadline(self.clock() + self.seconds, self.clock)

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.deadline.passed


@dataclass(frozen=True)
class SearchContext:
    """What all searches of a nightly run share.

    Attributes:
        plan: Of the nightly run.
        night: The name of its run folder.
        options: How attempts are run.
        begun: Called for each search that begins, so that an interrupted nightly run can resume it.
        earlier: Suspect → run folder, of the searches that an interrupted nightly run began.
    """

    plan: Plan
    cache_dir: CacheDir
    reports: Path
    night: str
    options: Options
    echo: Reporter
    begun: Begun = lambda _key, _run: None
    earlier: Mapping[str, str] = field(default_factory=dict)

    def releases(self, suspect: Suspect, report: Reporter) -> tuple[Releases, Prober]:
        """Begin or resume a search over the releases of one package; all others are as in tonight's cell.

        Raises:
            HarnessError: The search cannot begin.
        """
        if suspect.key in self.earlier:
            return resume_releases(self._earlier(suspect.key), self.cache_dir, report)
        listing = list_known_releases(suspect.package, self.cache_dir)
        found = between(suspect.package, listing.releases[suspect.package], *suspect.versions)
        for note in (*listing.warnings, *found.notes):
            report(f"note: {note}")
        question = ReleaseQuestion(package=suspect.package, releases=found.releases, **self._asked(suspect))
        return self._begin(Releases(question, self._cell(suspect)), suspect.key, report)

    def commits(
        self, suspect: Suspect, older: CommitAddress, newer: CommitAddress, report: Reporter
    ) -> tuple[Commits, Prober]:
        """Begin or resume a search over the commits of one package; all others are as in tonight's cell.

        Raises:
            HarnessError: The search cannot begin.
        """
        inside = f"#subdirectory={newer.subfolder}" if newer.subfolder else ""
        source = CommitSource(repository=f"git:{newer.address}{inside}")
        repository = open_repository(source.repository, self.cache_dir.repositories)
        if suspect.key in self.earlier:
            return resume_commits(self._earlier(suspect.key), repository, self.cache_dir, report)
        first, last = find_commits(repository, older.commit, newer.commit)
        ends = {"older": first.sha, "newer": last.sha, "source": source}
        question = CommitQuestion(package=suspect.package, **ends, **self._asked(suspect))
        return self._begin(commits_of_question(question, self._cell(suspect), repository), suspect.key, report)

    def changes(self, suspect: Suspect, report: Reporter) -> tuple[Changes, Prober]:
        """Begin or resume a blame from the cell that was green to tonight's.

        Raises:
            HarnessError: The search cannot begin.
        """
        key = f"{suspect.key} blame"
        if key in self.earlier:
            return resume_blame(self._earlier(key), self.cache_dir, report)
        claim = suspect.claim
        good, bad = f"{claim.was}:{claim.was_cell}", f"{self.night}:{claim.cell}"
        found = EnvironmentQuery(self.plan.matrix, self.cache_dir, self.reports).compare(good, bad)
        difference = {"shared": found.shared, "changes": found.changes}
        question = BlameQuestion(good=good, bad=bad, **difference, **self._asked(suspect))
        return self._begin(learn_dependencies(question, self.cache_dir, report), key, report)

    def _begin(self, axis: AnyAxis, key: str, report: Reporter) -> tuple[AnyAxis, Prober]:
        prober = begin_search(axis, self.plan.matrix, self.cache_dir, self.reports, report)
        self.begun(key, prober.folder.path.name)
        return axis, prober

    def _earlier(self, key: str) -> RunFolder:
        return find_run(self.earlier[key], self.reports)

    def _asked(self, suspect: Suspect) -> dict[str, Any]:
        """Return the fields of a question that all searches share.

        Bad is tonight's failure, or more memory than the geometric mean of before and now.
        """
        claim = suspect.claim
        stem, _, test = claim.scenario.partition("::")
        path = short_path(next(file.path for file in self.plan.files if file.path.stem == stem))
        criterion: dict[str, str | int | None] = {"signature": claim.signature or None}
        if claim.bounds is not None:
            criterion = {"metric": claim.figure, "limit": int((claim.bounds[0] * claim.bounds[1]) ** 0.5)}
        return {
            "scenario": f"{path}::{test}" if test else path,  # with its parameter: others are not asked about
            "matrix": short_path(self.plan.matrix.path),
            "timeout": self.options.timeout,
            "busy_bytes": self.options.busy_bytes,
            **criterion,
        }

    def _cell(self, suspect: Suspect) -> Cell:
        return next(one.cell for one in self.plan.cells if one.cell.id == suspect.claim.cell)


@dataclass(frozen=True)
class Searcher:
    """Runs the searches of one nightly run."""

    ground: SearchContext
    listener: Listener

    def all(self, suspects: Iterable[Suspect], budget: Budget) -> tuple[Searched, ...]:
        """Search one suspect after the other until the budget is spent.

        Raises:
            Interrupted: The user stopped a search.
        """
        return tuple(self.one(suspect, budget) for suspect in suspects)

    def one(self, suspect: Suspect, budget: Budget) -> Searched:
        """Search one suspect; an error is an answer, too."""
        if suspect.why_not or budget.spent:
            return not_searched(suspect, f"the budget of {budget.seconds / 60:g} minutes was spent")
        self.ground.echo(f"searching {suspect.claim.scenario}: {suspect.words}")
        try:
            return self._one_package(suspect, budget) if suspect.package else self._blame(suspect, budget)
        except HarnessError as error:
            return not_searched(suspect, str(error))

    def _one_package(self, suspect: Suspect, budget: Budget) -> Searched:
        """Search the package under test; without an answer, and if others changed, too, blame all changes."""
        if suspect.commits is not None:
            found = self._run(suspect, *self.ground.commits(suspect, *suspect.commits, self._report), budget)
        else:
            found = self._run(suspect, *self.ground.releases(suspect, self._report), budget)
        if found.ending == Ending.FOUND or len(suspect.claim.changed) == 1 or budget.spent:
            return found
        self.ground.echo(f"{found.answer}; asking which of {len(suspect.claim.changed)} changes it was")
        blamed = self._blame(suspect, budget)
        return blamed.model_copy(update={"answer": f"{found.answer}; {blamed.answer}"})

    def _blame(self, suspect: Suspect, budget: Budget) -> Searched:
        return self._run(suspect, *self.ground.changes(suspect, self._report), budget)

    def _run(self, suspect: Suspect, axis: Releases | Commits | Changes, prober: Prober, budget: Budget) -> Searched:
        """Run a search, render its own views, and return what came of it.

        Raises:
            Interrupted: The user stopped it.
        """
        driver: Driver[Any, Any] = Driver(axis, prober)
        result: BisectResult | BlameResult = driver.run(self.listener, self._report, budget.deadline)
        if result.ending is Ending.INTERRUPTED and not result.deadline_passed:
            raise Interrupted
        write_views(prober.folder)
        border = None
        if isinstance(result, OrderedResult) and result.ending is Ending.FOUND:
            border = (result.before, result.suspects[0])
        return Searched(
            places=suspect.places,
            what=suspect.words,
            answer=sentence(axis.question, result),
            ending=result.ending.value,
            run=prober.folder.path.name,
            package=suspect.package,
            versions=border,
        )

    def _report(self, line: str) -> None:
        self.ground.echo(f"  {line}")


def not_searched(suspect: Suspect, why_not: str) -> Searched:
    """Say why nothing was searched; that there is nothing to search comes before what stood in the way."""
    return Searched(places=suspect.places, what=suspect.words, answer=f"not searched: {suspect.why_not or why_not}")


def write_drafts(
    folder: RunFolder, claims: Iterable[Claim], searches: Iterable[Searched], cache_dir: CacheDir, reports: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write one draft a signature into the night's folder; return their names, and why others could not be made."""
    made, said = list[str](), list[str]()
    answers = {key: one for one in searches for key in one.places}
    for claim in {one.signature: one for one in claims if one.kind is Kind.NEW and one.signature}.values():
        found = answers.get((claim.line, claim.scenario))
        try:
            search = find_run(found.run, reports) if found and _ended(found) else None  # bisect or blame
            written = draft(folder, claim.signature, cache_dir, search=search)
            (folder.path / written.name).write_text(written.text, encoding="utf-8")
        except (HarnessError, OSError) as error:
            said.append(f"no draft about {claim.scenario}: {error}")
            continue
        made.append(written.name)
    return tuple(made), tuple(said)


def _ended(search: Searched) -> bool:
    """Tell whether a search came to an end, with an answer or without; one that was interrupted can be gone on with."""
    return bool(search.run) and search.ending not in {"", Ending.INTERRUPTED}
