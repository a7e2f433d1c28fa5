"""What to search for a new regression: one package's releases or commits, or which of several changes it was. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.envs.cache_dir import CacheDir
from harness.envs.requirements import is_implicit
from harness.errors import HarnessError
from harness.matrix.cell import Cell, display_version
from harness.matrix.git import Repository, open_repository
from harness.matrix.paths import short_path
from harness.nightly.claim import Claim, Kind
from harness.nightly.look import Place
from harness.nightly.record import Searched
from harness.nightly.stages import Interrupted
from harness.report.issue.draft import draft
from harness.report.write import write_views
from harness.reporter import Reporter
from harness.search import among, blame_start, drive
from harness.search.among import Among
from harness.search.blame import Blame
from harness.search.blame_words import sentence
from harness.search.blamed import BlameQuestion
from harness.search.commits import Built, built_from
from harness.search.descent import CommitResult, Into
from harness.search.ends import bad_end_untold, commit_ends_failed, good_end_failed
from harness.search.environments import Asked
from harness.search.narrowing import Bisect
from harness.search.question import Question
from harness.search.releases import between, list_known_releases
from harness.search.result import Ending, Result
from harness.session.context import Options
from harness.session.plan import Plan
from harness.store.journal import Listener
from harness.store.records import function_of
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run


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
    def commits(self) -> tuple[Built, Built] | None:
        """The two commits to search between; None where these are releases."""
        older, newer = map(built_from, self.versions)
        return (older, newer) if older and newer else None

    @property
    def claim(self) -> Claim:
        """The claim that is searched; the others have the same signature and the same change behind them."""
        return self.claims[0]

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that the answer is for."""
        return tuple((claim.line, claim.scenario) for claim in self.claims)

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
    older, newer = map(built_from, pair)
    if older is None or newer is None:
        before, after = map(display_version, pair)
        return f"{name} moved from {before} to {after}, neither two releases nor two commits"
    if (older.address, older.subfolder) != (newer.address, newer.subfolder):
        return f"{name} moved from one repository to another: {older.address} → {newer.address}"
    return ""


def _pair(versions: tuple[str, str]) -> str:
    return " → ".join(display_version(version) or "none" for version in versions)


Begun = Callable[[str, str], None]  # a suspect's key, the name of its search's run folder: kept, to go on with


@dataclass(frozen=True)
class SearchContext:
    """What the searches of one night stand on; ``earlier`` has those that an interrupted night began, by suspect."""

    plan: Plan
    cache_dir: CacheDir
    reports: Path
    night: str
    options: Options
    echo: Reporter
    begun: Begun = lambda _key, _run: None
    earlier: Mapping[str, str] = field(default_factory=dict)

    def bisect(self, suspect: Suspect) -> Bisect:
        """Return the search over the releases of one package, everything else as in tonight's cell.

        Raises:
            HarnessError: what stands in the way of it.
        """
        earlier = self.earlier.get(suspect.key)
        if earlier is not None:
            return drive.take_up(find_run(earlier, self.reports), self.cache_dir)
        listing = list_known_releases(suspect.package, self.cache_dir)
        found = between(suspect.package, listing.releases[suspect.package], *suspect.versions)
        for note in (*listing.warnings, *found.notes):
            self.echo(f"note: {note}")
        asked = self._question(suspect, found.releases)
        search = drive.start(asked, self.plan.matrix, self.cache_dir, self.reports, base=self._cell(suspect))
        self.begun(suspect.key, search.folder.path.name)
        return search

    def among(self, suspect: Suspect, commits: tuple[Built, Built]) -> Among:
        """Return the search over the commits of one package, everything else as in tonight's cell.

        Raises:
            HarnessError: what stands in the way of it.
        """
        into, repository = self._repository(commits[1])
        earlier = self.earlier.get(suspect.key)
        if earlier is not None:
            return among.take_up(find_run(earlier, self.reports), repository, self.cache_dir)
        older, newer = among.ends(repository, *(one.commit for one in commits))
        asked = self._question(suspect, (older.sha, newer.sha))
        base = self._cell(suspect)
        search = among.start(asked, into, repository, self.plan.matrix, self.cache_dir, self.reports, base=base)
        self.begun(suspect.key, search.folder.path.name)
        return search

    def blame(self, suspect: Suspect, echo: Reporter) -> Blame:
        """Return the search for which of several changes it was, from the cell that was green to tonight's.

        Raises:
            HarnessError: what stands in the way of it.
        """
        key = f"{suspect.key} blame"
        earlier = self.earlier.get(key)
        if earlier is not None:
            return blame_start.take_up(find_run(earlier, self.reports), self.cache_dir, echo)
        asked, claim = Asked(self.plan.matrix, self.cache_dir, self.reports), suspect.claim
        ends = (f"{claim.was}:{claim.was_cell}", f"{self.night}:{claim.cell}")
        compared = blame_start.compare(asked, *ends)
        question = BlameQuestion(
            good=ends[0],
            bad=ends[1],
            scenario=self._scenario(suspect),
            matrix=short_path(self.plan.matrix.path),
            shared=compared.shared,
            changes=compared.changes,
            timeout=self.options.timeout,
            busy_bytes=self.options.busy_bytes,
            **_criterion(suspect),
        )
        search = blame_start.start(question, asked, echo)
        self.begun(key, search.prober.folder.path.name)
        return search

    def _question(self, suspect: Suspect, releases: tuple[str, ...]) -> Question:
        return Question(
            package=suspect.package,
            releases=releases,
            scenario=self._scenario(suspect),
            matrix=short_path(self.plan.matrix.path),
            timeout=self.options.timeout,
            busy_bytes=self.options.busy_bytes,
            **_criterion(suspect),
        )

    def _repository(self, built: Built) -> tuple[Into, Repository]:
        inside = f"#subdirectory={built.subfolder}" if built.subfolder else ""
        text = f"git:{built.address}{inside}"
        return Into(repository=text, commits=True), open_repository(text, self.cache_dir.repositories)

    def _cell(self, suspect: Suspect) -> Cell:
        return next(one.cell for one in self.plan.cells if one.cell.id == suspect.claim.cell)

    def _scenario(self, suspect: Suspect) -> str:
        """Return ``FILE::TEST[PARAMETER]``: what other parameters answer is no part of the question."""
        stem, _, test = suspect.claim.scenario.partition("::")
        path = next(file.path for file in self.plan.files if file.path.stem == stem)
        return f"{short_path(path)}::{test}" if test else short_path(path)


def _criterion(suspect: Suspect) -> dict[str, str | int | None]:
    """Say what is bad: tonight's failure, or more memory than halfway (in factors) from before to now."""
    claim = suspect.claim
    if claim.bounds is not None:
        return {"metric": claim.figure, "limit": int((claim.bounds[0] * claim.bounds[1]) ** 0.5)}
    return {"signature": claim.signature or None}


class OutOfTime(KeyboardInterrupt):
    """The time for searches is over: it stops a search as the user does, which every search knows how to end."""


@dataclass
class Budget:
    """``seconds`` from now on; a probe that has begun is ended, the next one is not begun."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.begun = self.clock()

    @property
    def left(self) -> float:
        """Return the seconds that are left, never less than none."""
        return max(0.0, self.seconds - (self.clock() - self.begun))

    def check(self) -> None:
        """Raise where nothing is left.

        Raises:
            OutOfTime: the time is over.
        """
        if not self.left:
            raise OutOfTime


Border = tuple[str, str] | None  # the last good and the first bad version


@dataclass(frozen=True)
class Searcher:
    """Searches on the ground of one night."""

    ground: SearchContext
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
        self.ground.echo(f"searching {suspect.claim.scenario}: {suspect.words}")
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
        self.ground.echo(f"{found.answer}; asking which of {len(suspect.claim.changed)} changes it was")
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

    def _timed(self, budget: Budget) -> Reporter:
        """Say a line, and end the search there when the time is over: what was probed is kept."""

        def echo(text: str) -> None:
            self.ground.echo(f"  {text}")
            budget.check()

        return echo

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
    named = [result.commits[sha].summary() for sha in result.suspects if sha in result.commits]
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


def write_drafts(
    folder: RunFolder, claims: Iterable[Claim], searches: Iterable[Searched], cache_dir: CacheDir, reports: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write one draft a signature into the night's folder; return their names, and why others could not be made."""
    made, said = list[str](), list[str]()
    answers = {place: one for one in searches for place in one.places}
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
