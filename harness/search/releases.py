"""Releases as candidates: those between two ends as the index lists them, and their search."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.index import Listing, Release, list_releases
from harness.matrix.versions import without_local_builds
from harness.reporter import Reporter
from harness.search.bisection import Answer, ExponentialSearch
from harness.search.driver import Axis, Knowledge, Narrowed, Step, in_order, narrow, reopen
from harness.search.pins import cell_at
from harness.search.prober import Prober
from harness.search.records import Ending, FailedEnd, ReleaseQuestion, ReleaseResult, SearchResult, read_question
from harness.search.scan import ScanEnd, conclude_scan, scan_releases
from harness.store.records import RunRecord
from harness.store.run_folder import RunFolder

ByVersion = Mapping[Version, Release]


DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True)
class Between:
    """Releases from end to end, ascending, and notes for the user.

    ``open_end``: the older end was not named, so that the first release is the oldest one.
    """

    releases: tuple[str, ...]
    notes: tuple[str, ...] = ()
    open_end: bool = False


def between(
    package: str, listed: Sequence[Release], good: str | None, bad: str | None, *, find_fix: bool = False
) -> Between:
    """Return both ends and every final release between them that is not yanked.

    The default of the newer end is the newest release; without an older end all older releases are included. A day
    stands for the highest final version that was uploaded by the end of it (UTC). This need not be the latest upload:
    an older line may get a patch after a newer one has begun.

    Raises:
        ConfigError: An end is no release, the index provides no upload dates, or the ends are in the wrong order.
    """
    known = {one.version: one for one in without_local_builds(listed)}
    final = [one for one in known.values() if one.is_final]
    if not final:
        raise ConfigError(f"the index lists no final release of {package}")

    first, last = (bad, good) if find_fix else (good, bad)
    notes: list[str] = []
    newer = max(one.version for one in final) if last is None else _end(package, last, known, notes)
    if last is None:
        notes.append(f"the {'good' if find_fix else 'bad'} end is {package} {newer}, the newest release")
    older = None if first is None else _end(package, first, known, notes)
    if older is not None and older >= newer:
        raise ConfigError(_wrong_order(older, newer, find_fix=find_fix))

    inside = [one for version, one in sorted(known.items()) if version < newer and (older is None or version > older)]
    yanked = [str(one.version) for one in inside if one.yanked is not None]
    left = [one.version for one in inside if one.is_final]
    if yanked and older is not None:
        notes.append(f"yanked, left out: {package} {', '.join(yanked)}")

    releases = (*(() if older is None else (older,)), *left, newer)
    if len(releases) == 1:
        raise ConfigError(f"{package} {newer} is the oldest release: there is none before it")
    return Between(tuple(map(str, releases)), tuple(notes), open_end=older is None)


def _end(package: str, text: str, known: ByVersion, notes: list[str]) -> Version:
    if not DAY.fullmatch(text):
        return _release(package, text, known)
    found = on_day(package, text, known.values())
    notes.append(f"{text} is {package} {found.version}, of {_day_of(found)}")
    return found.version


def on_day(package: str, text: str, releases: Iterable[Release]) -> Release:
    """Return the highest final version that was uploaded by the end of a day (UTC) and is not yanked.

    Raises:
        ConfigError: There is no such day, no such release, or the index provides no upload dates.
    """
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text} is not a day") from None

    dated = [one for one in releases if one.uploaded is not None]
    if not dated:
        raise ConfigError(f"the index provides no upload dates of {package}: name a version instead of {text}")
    offered = [one for one in dated if one.is_final]
    uploaded = [one for one in offered if _day_of(one) <= day]
    if not uploaded:
        first = min(offered, key=_day_of, default=None)
        hint = f"; the first is {first.version} of {_day_of(first)}" if first else ""
        raise ConfigError(f"{package} had no release on {text}{hint}")

    return max(uploaded, key=lambda one: one.version)


def _day_of(release: Release) -> dt.date:
    """Return the day of an upload (UTC); a release without a date is never old enough."""
    return release.uploaded.astimezone(dt.UTC).date() if release.uploaded else dt.date.max


def _wrong_order(older: Version, newer: Version, *, find_fix: bool) -> str:
    if find_fix:
        return f"--find-fix looks for the fix after the bad release, and {newer} is not newer than {older}"
    hint = "" if older == newer else "; add --find-fix to search for the release that fixed it"
    return f"the bad release {newer} is not newer than the good one {older}{hint}"


def _release(package: str, text: str, known: ByVersion) -> Version:
    try:
        version = Version(text)
    except InvalidVersion:
        raise ConfigError(f'"{text}" is not a version of {package}, nor a day (2026-01-10)') from None

    if version not in known:
        near = [*sorted(one for one in known if one < version)[-1:], *sorted(one for one in known if one > version)[:1]]
        hint = f"; the nearest are {', '.join(map(str, near))}" if near else ""
        raise ConfigError(f"the index lists no {package} {text}{hint}")

    return version


def list_known_releases(package: str, cache_dir: CacheDir, known: Sequence[str] = ()) -> Listing:
    """Return the releases of one package, ascending; those of a bundle have no dates.

    Raises:
        ConfigError: No index has the package; the nearest of the ``known`` ones is named. Or no cell of the bundle
            varies it.
        InfrastructureError: The index does not answer.
    """
    bundle = opened_bundle()
    if bundle is None:
        return list_releases([package], cache_dir.releases, known)
    varied = sorted({axis for cell in bundle.cells() for axis in cell.axes})
    labels = {cell.label(package) for cell in bundle.cells() if package in cell.axes}
    if not labels:
        raise ConfigError(f"the bundle holds one version of {package} at most; it varies {', '.join(varied)}")
    return Listing({package: tuple(Release(version) for version in sorted(map(Version, labels)))})


@dataclass(frozen=True)
class Releases(Axis[str, ReleaseResult]):
    """The releases of one package; every other package is as in ``base``."""

    question: ReleaseQuestion
    base: Cell

    @property
    def checks_ends(self) -> bool:
        """Whether the ends are probed first; a scan runs every release anyway."""
        return not self.question.assume_ends and not self.question.scan

    @property
    def ends(self) -> tuple[str | None, str]:
        """The oldest and the newest release."""
        releases = self.question.releases
        return None if self.question.open_end else releases[0], releases[-1]

    def cell(self, candidate: str) -> Cell:
        """Return the cell of a release."""
        return cell_at(self.base, self.question.package, candidate)

    def name(self, candidate: str) -> str:
        """Return ``PACKAGE RELEASE``."""
        return f"{self.question.package} {candidate}"

    def candidates(self) -> tuple[str, ...]:
        """Return every release."""
        return self.question.releases

    def arrange(self, record: RunRecord) -> RunRecord:
        """Return the run with its cells in the order of the releases."""
        return in_order(record, [self.cell(release).id for release in self.question.releases])

    def step(self, known: Knowledge[str]) -> Step[str]:
        """Look for the older end if nobody named it, then narrow; or scan."""
        releases, jobs = self.question.releases, self.question.jobs
        if self.question.scan:
            return Step(tuple(one for one in releases if one not in known.evaluations))
        back = self._look_back(known)
        if wanted := back.next(jobs):
            return Step(tuple(releases[item] for item in wanted))
        if back.found is None:
            return Step(reason=self._no_end(back))
        return self._narrow(back.found, known).step

    def result(self, known: Knowledge[str], stop: SearchResult) -> ReleaseResult:
        """Return the releases at the border, or those that are left."""
        if not self.question.scan:
            return self._result(known, stop, *self._left(known, stop))
        scan = scan_releases(self.question, known.results, known.evaluations, known.bound)
        if stop.ending is Ending.INTERRUPTED:
            result = self._result(known, stop, *self._left(known, stop))
        else:
            result = self._scanned(known, conclude_scan(scan))
        return result.model_copy(update={"changes": scan.changes})

    def _scanned(self, known: Knowledge[str], found: ScanEnd) -> ReleaseResult:
        good = known.evaluations[self.question.good]
        failed = found.reason and found.ending is Ending.INCONCLUSIVE and good.bad is not False
        end = FailedEnd(side="good", evaluation=good) if failed else None
        stop = SearchResult(ending=found.ending, reason=found.reason, failed_end=end)
        return self._result(known, stop, found.before, found.suspects)

    def _left(self, known: Knowledge[str], stop: SearchResult) -> tuple[str, tuple[str, ...]]:
        """Return the last release before the change, and those of which one is the first after it."""
        releases = self.question.releases
        if stop.failed_end is not None:
            return releases[0], releases[1:]
        back = self._look_back(known)
        if back.found is None and stop.ending is not Ending.INTERRUPTED:
            return "", releases[: back.reached + 1]
        found = self._narrow(back.found or 0, known)
        return found.before, found.suspects

    def _result(self, known: Knowledge[str], stop: SearchResult, before: str, suspects: Sequence[str]) -> ReleaseResult:
        probed = {one: known.evaluations[one] for one in self.question.releases if one in known.evaluations}
        return ReleaseResult(
            **dict(stop),
            package=self.question.package,
            before=before,
            suspects=tuple(suspects),
            evaluations=probed,
            find_fix=self.find_fix,
        )

    def _look_back(self, known: Knowledge[str]) -> ExponentialSearch:
        """Return the search for the older end; releases that were probed later do not move the end it found."""
        search = ExponentialSearch(len(self.question.releases))
        if not self.question.open_end:
            return search.with_answers({0: Answer.NO})
        answers = {self.question.releases.index(release): answer for release, answer in known.answers.items()}
        while found := {item: answers[item] for item in search.next(self.question.jobs) if item in answers}:
            search = search.with_answers(found)
        return search

    def _narrow(self, low: int, known: Knowledge[str]) -> Narrowed[str]:
        releases = self.question.releases[low:]
        return narrow(releases, releases, known, self.question.jobs)

    def _no_end(self, back: ExponentialSearch) -> str:
        wanted = self.question.before
        oldest = self.question.releases[back.reached]
        return f"no {wanted} release was found; {oldest}, the oldest one that was decided, is not {wanted}"


def resume_releases(folder: RunFolder, cache_dir: CacheDir, report: Reporter) -> tuple[Releases, Prober]:
    """Return the releases of an interrupted bisect, and what probes them.

    Raises:
        ConfigError: The run is no bisect of releases, or its scenario is not what it was.
    """
    question = read_question(folder, ReleaseQuestion)
    prober = reopen(folder, question, cache_dir, report)
    return Releases(question, prober.plan.cells[0].cell), prober
