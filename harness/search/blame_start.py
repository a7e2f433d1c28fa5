"""Begin a blame, or take one up again: the ends compared, and what cannot be applied alone learnt from resolutions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.envs.requirements import read_pinned
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.reporter import Reporter
from harness.search.blame import Blame
from harness.search.blamed import BlameQuestion, read_question, write_question
from harness.search.changes import Change, Subset, between, changes
from harness.search.delta_debugging import DependencyGroups
from harness.search.environments import Asked, Side
from harness.search.mixed import Mixed
from harness.search.prober import Prober, locked
from harness.session.begin import begin
from harness.session.plan import Plan, read_scenarios
from harness.session.resume import plan_again
from harness.store.records import RunKind
from harness.store.run_folder import RunFolder


@dataclass(frozen=True)
class Compared:
    """Two ends: a cell with what both have, what differs, and what to tell the user."""

    shared: Cell
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def compare(asked: Asked, good: str, bad: str) -> Compared:
    """Compare two ends; the packages that the matrix or the cells pin are under test, and come first.

    Raises:
        ConfigError: an end names nothing, or only what conda installed, or no package differs.
    """
    for text in (good, bad):
        _insist_on_pip(text)
    old, new = asked.both(good, bad)
    tested = tuple(dict.fromkeys((*asked.matrix.packages, *old.tested, *new.tested)))
    before, after = (_held(side.pins, tested) for side in (old, new))
    found = changes(before, after, tested)
    notes = tuple(dict.fromkeys((*old.notes, *new.notes, *_other_differences(old, new))))
    if not found:
        raise ConfigError(f"no package differs between {good} and {bad}")
    moving = {change.package for change in found}
    ground = new.cell
    installed = tuple(pin for pin in ground.pins if pin.installed)
    pins = (*installed, *(pin for name, pin in after.items() if name not in moving))
    base = ground.base_python if installed else None
    return Compared(Cell(ground.python, pins, ground.variables, base_python=base), found, notes)


def _insist_on_pip(text: str) -> None:
    """Refuse a file in which conda alone names packages: they are other builds than those of the index."""
    try:
        found = read_pinned(Path(text).expanduser().read_text(encoding="utf-8", errors="replace"), text)
    except OSError:  # no file, or one that cannot be read: whoever reads the end says so
        return
    if not found.pins and found.conda:
        raise ConfigError(
            f"{text} names packages of conda alone, which are not those of the package index: give what "
            "`pip list --format=freeze` prints in that environment"
        )


def start(question: BlameQuestion, asked: Asked, echo: Reporter) -> Blame:
    """Begin a blame: learn what moves together, make the run folder, write the question down.

    Raises:
        ConfigError: the scenario is wrong, or an end has no resolution with every package pinned.
        InfrastructureError: the index does not answer.
    """
    files, infos = read_scenarios(asked.matrix, (question.scenario,))
    mixed = _learnt(question, asked.cache_dir, echo)
    cells = [] if question.assume_ends else [mixed.cells[frozenset()], mixed.cells[mixed.all]]
    plan = Plan(asked.matrix, locked(cells, asked.cache_dir), files, infos)
    folder = begin(plan, asked.reports, kind=RunKind.BLAME, selection=(question.scenario,))
    folder.write_record(folder.read_record().model_copy(update={"command": question.command()}))
    write_question(mixed.question, folder)
    return Blame(mixed, Prober(plan, folder, asked.cache_dir, question.options(), question.reuse), echo)


def take_up(folder: RunFolder, cache_dir: CacheDir, echo: Reporter) -> Blame:
    """Return the blame of a run folder, to go on with.

    Raises:
        ConfigError: the run is no blame.
    """
    question = read_question(folder)
    prober = Prober(plan_again(folder, cache_dir), folder, cache_dir, question.options(), question.reuse)
    return Blame(_with_ends(question, cache_dir), prober, echo)


def _learnt(question: BlameQuestion, cache_dir: CacheDir, echo: Reporter) -> Mixed:
    """Learn from resolutions what only follows, and which changes cannot be applied without which others."""
    followers = _followers(question, cache_dir)
    if followers and len(followers) < len(question.changes):
        names = [question.changes[at] for at in sorted(followers)]
        kept = [change for at, change in enumerate(question.changes) if at not in followers]
        question = question.model_copy(update={"changes": tuple(kept), "followers": tuple(names)})
        echo(f"note: come and go with what needs them: {', '.join(change.package for change in names)}")
    mixed = _with_ends(question, cache_dir)
    search = DependencyGroups(len(question.changes))
    while wanted := search.next():
        refused = mixed.resolve(wanted)
        search = search.told({one: one not in refused for one in wanted})
    needs = {at: tuple(sorted(others)) for at, others in search.needs.items()}
    for at, others in needs.items():
        names_of = ", ".join(question.changes[one].package for one in others)
        echo(f"note: {question.changes[at].package} cannot be applied without {names_of}")
    mixed.question = question.model_copy(update={"needs": needs})
    return mixed


def _with_ends(question: BlameQuestion, cache_dir: CacheDir) -> Mixed:
    """Return the environments of a blame, the two ends resolved.

    Raises:
        ConfigError: one of them has no resolution.
    """
    mixed = Mixed(question, cache_dir)
    refused = mixed.resolve((frozenset(), mixed.all))
    for end, reason in refused.items():
        raise ConfigError(f"{question.bad if end else question.good} has no resolution, all packages pinned: {reason}")
    return mixed


def _followers(question: BlameQuestion, cache_dir: CacheDir) -> Subset:
    """Return the changes that are a package of one end alone, and come there without being asked for."""
    both = tuple(change for change in question.changes if change.old and change.new)
    good, bad = (between(question.shared, both, frozenset(range(count))) for count in (0, len(both)))
    there = {cell.cell.id: cell.lock for cell in locked((good, bad), cache_dir)}
    packages = {id_: lock.packages if isinstance(lock, Lock) else {} for id_, lock in there.items()}
    return frozenset(
        at
        for at, change in enumerate(question.changes)
        if change not in both and change.package in packages[bad.id if change.new else good.id]
    )


def _held(pins: Mapping[str, Pin], tested: tuple[str, ...]) -> dict[str, Pin]:
    """Return the pins with those under test first; the others are marked as held."""
    place = {name: at for at, name in enumerate(tested)}
    ordered = sorted(pins, key=lambda name: (place.get(name, len(place)), name))
    return {name: replace(pins[name], transitive=name not in place) for name in ordered}


def _other_differences(good: Side, bad: Side) -> Iterator[str]:
    """Yield what differs beside the packages that can be told apart, and what nobody said."""
    if opened_bundle() is not None:
        yield "a bundle tells apart what its cells pin; packages that these bring along move with them"
    if good.cell.variables != bad.cell.variables:
        names = ", ".join(dict(bad.cell.variables)) or "none"
        yield f"the environment variables differ too; both ends run with those of the bad one ({names})"
    if good.python_assumed and bad.python_assumed:
        yield f"the files do not name a Python: {bad.cell.python} is taken (--python)"
