"""Sets of package changes as candidates: the environments between two ends, and the search of the smallest set."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.version import Version

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, Unsolvable
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import Cell
from harness.reporter import Reporter, listed
from harness.search.delta_debugging import DependencyGroups, MinimalSet, MinimalSubset, Stage, Subset
from harness.search.driver import Axis, Knowledge, Step, begin_search, reopen
from harness.search.prober import Prober, lock_cells
from harness.search.records import (
    BlameQuestion,
    BlameResult,
    Ending,
    PackageChange,
    ProbedSet,
    ReleaseQuestion,
    SearchQuestion,
    SearchResult,
    read_question,
)
from harness.search.releases import Releases, between, list_known_releases
from harness.store.records import RunRecord
from harness.store.run_folder import RunFolder

AXIS = "changes"
NAMED = 3  # changes that are named in the id of a cell and in the head of a column
ROUNDS = 8  # a pinned follower may bring another one; longer chains do not occur


@dataclass
class Changes(Axis[Subset, BlameResult]):
    """Sets of changes, applied to the good end.

    Every package is pinned, transitive ones, too, at its version of the good or of the bad end: nothing moves but what
    the set says. The resolver only chooses the harness's own pytest and what torch's build brings. A follower
    (:class:`BlameQuestion`) is present where a package requires it, at the version that its end has.
    """

    question: BlameQuestion
    cache_dir: CacheDir
    cells: dict[Subset, Cell] = field(default_factory=dict)
    refused: dict[Subset, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Resolve both ends.

        Raises:
            ConfigError: One of them has no resolution.
        """
        for end, reason in self.refuse(self.ends).items():
            name = self.question.bad if end else self.question.good
            raise ConfigError(f"{name} has no resolution with every package pinned: {reason}")

    @property
    def ends(self) -> tuple[Subset, Subset]:
        """No change, and all changes."""
        return frozenset(), frozenset(range(len(self.question.changes)))

    def cell(self, candidate: Subset) -> Cell:
        """Return the cell in which some changes are applied; it was resolved before."""
        return self.cells[candidate]

    def name(self, candidate: Subset) -> str:
        """Return which changes are applied."""
        ends = dict(zip(self.ends, ("the good end", "the bad end"), strict=True))
        return ends.get(candidate) or f"with {set_label(self.question.changes, candidate)}"

    def refuse(self, candidates: Sequence[Subset]) -> dict[Subset, str]:
        """Resolve some sets at once, without an installation; return those without a resolution, with the reason.

        Raises:
            InfrastructureError: The index does not answer.
        """
        shared, changes = self.question.shared, self.question.changes
        drafts = {one: cell_between(shared, changes, one) for one in candidates if one not in self.cells}
        for _ in range(ROUNDS):
            drafts = self._resolve({one: cell for one, cell in drafts.items() if one not in self.refused})
        gave_up = "gave up: its dependencies kept pulling in packages of the other environment"
        self.refused |= dict.fromkeys(drafts, gave_up)
        return {one: self.refused[one] for one in candidates if one in self.refused}

    def arrange(self, record: RunRecord) -> RunRecord:
        """Return the run with a label for each set, the smallest sets first."""
        applied = {cell.id: one for one, cell in self.cells.items()}

        def size(cell: str) -> tuple[int, list[int]]:
            one = applied.get(cell, frozenset())
            return len(one), sorted(one)

        cells = (
            cell.model_copy(update={"labels": {AXIS: set_label(self.question.changes, applied[cell.id])}})
            if cell.id in applied
            else cell
            for cell in sorted(record.cells, key=lambda cell: size(cell.id))
        )
        return record.model_copy(update={"cells": tuple(cells), "axes": (AXIS,)})

    def step(self, known: Knowledge[Subset]) -> Step[Subset]:
        """Halve the changes until the smallest set is found, then remove each member once more."""
        stage = self._stage(known, self.question.jobs)
        if stage.found is None:
            return Step(stage.wanted, (self._progress(stage),))
        found = stage.found
        if self._undecided(found, known)[1]:
            return Step()
        expected = {found.members: True} | {found.members - group: False for group in found.proven}
        return Step(ending=Ending.FOUND, expected=expected)

    def result(self, known: Knowledge[Subset], stop: SearchResult) -> BlameResult:
        """Return the set that was found, or the changes that are left."""
        stage = self._stage(known, 1)
        answered = stage.found is not None and stop.ending is not Ending.INTERRUPTED and not stop.reason
        left = self.ends[1] if stop.failed_end is not None else stage.red
        result = BlameResult(
            **dict(stop),
            changes={change.package: change.words() for change in self.question.changes},
            members=self._names(left),
            probes=tuple(self._probed(known)),
        )
        if stage.found is None or not answered:
            return result
        apart, unsure = self._undecided(stage.found, known)
        return result.model_copy(
            update={
                "proven": tuple(self._names(group) for group in stage.found.proven),
                "apart": apart,
                "unsure": unsure,
                "followers": self._followers_of(stage.found.members),
            }
        )

    def _stage(self, known: Knowledge[Subset], slots: int) -> Stage:
        needs = {one: frozenset(others) for one, others in self.question.needs.items()}
        return MinimalSet(len(self.question.changes), needs, known.answers).stage(slots)

    def _progress(self, stage: Stage) -> str:
        count = len(self.question.changes)
        if not stage.suspects:
            return f"{len(stage.needed)} of {count} changes are enough; removing each of them once more"
        needed = f"; {set_label(self.question.changes, stage.needed)} is needed" if stage.needed else ""
        return f"{count} changes, {len(stage.suspects)} left{needed}"

    def _undecided(self, found: MinimalSubset, known: Knowledge[Subset]) -> tuple[dict[str, str], dict[str, str]]:
        """Return members that cannot be removed alone, and members without which the answer is undecided, with why.

        The first are part of an answer, for no environment could say more; the second leave it open. In a bundle an
        environment may be missing that an index has, so that all are of the second kind.
        """
        apart: dict[str, str] = {}
        unsure: dict[str, str] = {}
        for item in sorted(found.undecided):
            without = found.members - {item}
            kind = apart if without in self.refused and opened_bundle() is None else unsure
            kind[self.question.changes[item].package] = known.evaluations[without].reason
        return apart, unsure

    def _probed(self, known: Knowledge[Subset]) -> Iterator[ProbedSet]:
        for one, found in known.evaluations.items():
            yield ProbedSet(
                applied=self._names(one),
                cell=None if one in self.refused else self.cell(one).id,
                bad=found.bad,
                reason=found.reason,
                cause=found.cause,
            )

    def _names(self, applied: Subset) -> tuple[str, ...]:
        return tuple(self.question.changes[item].package for item in sorted(applied))

    def _followers_of(self, one: Subset) -> tuple[str, ...]:
        """Return the followers that come and go when some changes are applied to the good end."""
        before, after = ({pin.package for pin in self.cells[each].pins} for each in (self.ends[0], one))
        came = [change.new for change in self.question.followers if change.new and change.package in after - before]
        gone = [change.package for change in self.question.followers if change.package in before - after]
        return (*(f"{pin.package} {pin.label}" for pin in came), *(f"{name} gone" for name in gone))

    def _resolve(self, drafts: Mapping[Subset, Cell]) -> dict[Subset, Cell]:
        """Resolve drafts; return those that need another pin for a follower, to be resolved again."""
        again: dict[Subset, Cell] = {}
        planned = lock_cells(tuple(drafts.values()), self.cache_dir) if drafts else ()
        for one, lock in zip(drafts, (each.lock for each in planned), strict=True):
            if isinstance(lock, Unsolvable):
                if lock.network:
                    raise InfrastructureError(f"the index does not answer: {lock.sentence}")
                self.refused[one] = _requirement(lock.sentence)
            elif extra := _unwanted(self.question.changes, one, lock.packages):
                self.refused[one] = f"{', '.join(extra)} comes along, because another package requires it"
            elif (cell := self._with_followers(drafts[one], lock)) != drafts[one]:
                again[one] = cell
            else:
                self.cells[one] = cell

        return again

    def _with_followers(self, cell: Cell, lock: Lock) -> Cell:
        pinned = {pin.package for pin in cell.pins}
        pins = (change.old or change.new for change in self.question.followers)
        come = tuple(pin for pin in pins if pin and pin.package in lock.packages and pin.package not in pinned)
        return replace(cell, pins=(*cell.pins, *come))


def learn_dependencies(question: BlameQuestion, cache_dir: CacheDir, report: Reporter) -> Changes:
    """Return the changes of a question, with what cannot be applied alone; learnt from resolutions alone.

    Raises:
        ConfigError: An end has no resolution with every package pinned.
        InfrastructureError: The index does not answer.
    """
    followers = _find_followers(question, cache_dir)
    if followers and len(followers) < len(question.changes):
        names = [question.changes[at] for at in sorted(followers)]
        kept = [change for at, change in enumerate(question.changes) if at not in followers]
        question = question.model_copy(update={"changes": tuple(kept), "followers": tuple(names)})
        report(f"note: come and go with what requires them: {', '.join(change.package for change in names)}")

    axis = Changes(question, cache_dir)
    search = DependencyGroups(len(question.changes))
    while wanted := search.next():
        refused = axis.refuse(wanted)
        search = search.with_answers({one: one not in refused for one in wanted})
    needs = {at: tuple(sorted(others)) for at, others in search.needs.items()}
    for at, others in needs.items():
        required = ", ".join(question.changes[one].package for one in others)
        report(f"note: {question.changes[at].package} cannot be applied without {required}")
    return replace(axis, question=question.model_copy(update={"needs": needs}))


def resume_blame(folder: RunFolder, cache_dir: CacheDir, report: Reporter) -> tuple[Changes, Prober]:
    """Return the changes of an interrupted blame, and what probes them.

    Raises:
        ConfigError: The run is no blame, or its scenario is not what it was.
    """
    question = read_question(folder, BlameQuestion)
    return Changes(question, cache_dir), reopen(folder, question, cache_dir, report)


def cell_between(shared: Cell, changes: Sequence[PackageChange], applied: Subset) -> Cell:
    """Return the cell in which some changes are applied and the others are not; ``shared`` has what both ends have.

    Its id names few changes, and counts many. Without any change it is the reference.
    """
    chosen = (change.new if at in applied else change.old for at, change in enumerate(changes))
    names = tuple(change.package for at, change in enumerate(changes) if at in applied and change.new)
    count = f"{len(applied)}-of-{len(changes)}"
    ends = {0: ("good",), len(changes): ("bad",)}
    axes = ends.get(len(applied)) or (names if 0 < len(names) == len(applied) <= NAMED else (count,))
    pins = (*shared.pins, *(pin for pin in chosen if pin is not None))
    return replace(shared, pins=tuple(sorted(pins, key=lambda pin: pin.transitive)), axes=axes, reference=not applied)


def set_label(changes: Sequence[PackageChange], applied: Collection[int]) -> str:
    """Return in a few words which changes are applied, for the head of a column."""
    names = [change.package for at, change in enumerate(changes) if at in applied]
    without = [change.package for at, change in enumerate(changes) if at not in applied]
    if not names:
        return "none"
    if not without:
        return f"all {len(changes)}"
    if len(without) <= NAMED < len(names):
        return f"all but {', '.join(without)}"
    return listed(names, NAMED)


def _unwanted(changes: Sequence[PackageChange], applied: Subset, packages: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages of a lock that should be absent, but that another package requires."""
    absent = (change for at, change in enumerate(changes) if (change.new if at in applied else change.old) is None)
    return tuple(change.package for change in absent if change.package in packages)


def _find_followers(question: BlameQuestion, cache_dir: CacheDir) -> Subset:
    """Return the changes that are a package of one end alone, and that come there without a pin."""
    both = tuple(change for change in question.changes if change.old and change.new)
    good, bad = (cell_between(question.shared, both, frozenset(range(count))) for count in (0, len(both)))
    locks = {cell.cell.id: cell.lock for cell in lock_cells((good, bad), cache_dir)}
    packages = {cell: lock.packages if isinstance(lock, Lock) else {} for cell, lock in locks.items()}
    return frozenset(
        at
        for at, change in enumerate(question.changes)
        if change not in both and change.package in packages[bad.id if change.new else good.id]
    )


def _requirement(sentence: str) -> str:
    """Return the requirement that a resolver could not meet, without its conclusions."""
    return re.split(r",? we can conclude", sentence, maxsplit=1)[0].removeprefix("Because ")


def inner_bisects(
    axis: Changes, prober: Prober, result: BlameResult, report: Reporter
) -> Iterator[tuple[PackageChange, tuple[Releases, Prober] | str]]:
    """Yield each package that an answer is named after with a bisect of its releases, or why there is none.

    All other packages are as at the bad end. Packages that cannot be separated from the bisected one are left to the
    resolver, because their versions have to follow.
    """
    found = {change.package: change for change in axis.question.changes}
    for name in result.heads:
        try:
            releases = _releases_of(axis, found[name], frozenset(result.apart) - {name})
            reports = prober.folder.path.parent
            yield found[name], (releases, begin_search(releases, prober.plan.matrix, prober.cache_dir, reports, report))
        except ConfigError as reason:
            yield found[name], str(reason)


def _releases_of(axis: Changes, change: PackageChange, follow: frozenset[str]) -> Releases:
    if change.old is None or change.new is None:
        raise ConfigError(f"{change.words()}: there are no releases between")
    if any("://" in pin.requirement for pin in (change.old, change.new)):
        raise ConfigError(f"{change.words()}: one end is a commit, not a release")
    find_fix = Version(change.old.label) > Version(change.new.label)
    listed = list_known_releases(change.package, axis.cache_dir).releases[change.package]
    found = between(change.package, listed, change.old.label, change.new.label, find_fix=find_fix)
    asked = {name: getattr(axis.question, name) for name in SearchQuestion.model_fields if name != "assume_ends"}
    question = ReleaseQuestion(
        **asked,
        package=change.package,
        releases=found.releases,
        find_fix=find_fix,
    )
    bad = axis.cell(axis.ends[1])
    return Releases(question, replace(bad, pins=tuple(pin for pin in bad.pins if pin.package not in follow)))
