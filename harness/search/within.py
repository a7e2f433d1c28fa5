"""Go on inside what a blame found: bisect each of its packages, the others as the bad end has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from packaging.version import Version

from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.search.blame import Blame
from harness.search.blame_words import heads
from harness.search.blamed import BlameResult
from harness.search.changes import Change
from harness.search.criterion import Criterion
from harness.search.drive import start
from harness.search.narrowing import Bisect
from harness.search.question import Question
from harness.search.releases import between, list_known_releases


def searches(blame: Blame, result: BlameResult) -> Iterator[tuple[Change, Bisect | str]]:
    """Yield each package that an answer is named after with its bisect, or with why there is none.

    Everything else is as at the bad end, so that only this package makes the difference. What cannot be taken apart
    from it is left to the resolver: its versions have to follow.
    """
    found = {change.package: change for change in blame.question.changes}
    for name in heads(result):
        try:
            yield found[name], _bisect(blame, found[name], frozenset(result.apart) - {name})
        except ConfigError as reason:
            yield found[name], str(reason)


def _bisect(blame: Blame, change: Change, follow: frozenset[str]) -> Bisect:
    if change.old is None or change.new is None:
        raise ConfigError(f"{change.words()}: there are no releases between")
    if any("://" in pin.requirement for pin in (change.old, change.new)):
        raise ConfigError(f"{change.words()}: a commit, and not a release, is at one end")
    asked, prober = blame.question, blame.prober
    older = Version(change.old.label) < Version(change.new.label)
    listed = list_known_releases(change.package, prober.cache_dir).releases[change.package]
    releases = between(change.package, listed, change.old.label, change.new.label, find_fix=not older).releases
    question = Question(
        **{name: getattr(asked, name) for name in Criterion.model_fields},
        package=change.package,
        releases=releases,
        scenario=asked.scenario,
        matrix=asked.matrix,
        find_fix=not older,
        confirm=asked.confirm,
        jobs=asked.jobs,
        timeout=asked.timeout,
        busy_bytes=asked.busy_bytes,
        reuse=asked.reuse,
    )
    base = _without(blame.cell(blame.mixed.all), follow)
    return start(question, prober.plan.matrix, prober.cache_dir, prober.folder.path.parent, base=base)


def _without(cell: Cell, packages: frozenset[str]) -> Cell:
    return replace(cell, pins=tuple(pin for pin in cell.pins if pin.package not in packages))
