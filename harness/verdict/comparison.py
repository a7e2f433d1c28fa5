"""Two sets of results compared, key by key: new failures, fixes, other failures, memory, what is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.matrix.cell import display_version
from harness.reporter import counted
from harness.store.records import WHOLE_CELL, Stage, Status, fallback_ids
from harness.verdict.known_issues import KnownIssue, Standing, standing
from harness.verdict.package_diff import PackageChange, package_diff
from harness.verdict.result import ANSWERS, ResultKey, ScenarioResult, same_failure
from harness.verdict.statistics import ENOUGH, Shift, has_uncertain_shift, memory_shifts, unit_of

Results = Mapping[ResultKey, ScenarioResult]


class Change(StrEnum):
    """What became of a result between two sides, as ``compare --json`` names it."""

    SAME = "same"
    NEW_FAILURE = "new failure"  # passed, fails now
    CHANGED = "changed"  # fails in another way: "gone" is not "works"
    MEMORY_UP = "memory up"
    MEMORY_DOWN = "memory down"
    FIXED = "fixed"
    APPEARED = "appeared"  # was not expected, did not apply or had no result; has an answer now
    DISAPPEARED = "disappeared"  # is not expected any more, or does not apply now
    STILL_FAILING = "still red"  # or the same error
    FLAKY = "flaky"  # attempts of one side disagree: no change is claimed
    MISSING = "missing"  # expected, and there is no result
    UNAVAILABLE = "unavailable"  # the cell could not be set up
    UNKNOWN = "unknown"  # the script, the harness or a missing result on one side: nothing is known

    @property
    def label(self) -> str:
        """The name in texts and Markdown."""
        return "still failing" if self is Change.STILL_FAILING else self.value


WITHOUT_ANSWER = {  # status after -> whatever was before
    None: Change.DISAPPEARED,
    Status.MISS: Change.MISSING,
    Status.UNAVAILABLE: Change.UNAVAILABLE,
    Status.FLAKY: Change.FLAKY,
}


def compare(before: ScenarioResult | None, after: ScenarioResult | None) -> Change:  # noqa: PLR0911  # a row each
    """Compare the results of one scenario on two sides; None is a side that does not expect it.

    ============== ========= =========== =========== =========== =========== ========== =======
    before/after   miss      unavailable skip        pass        fail        error      flaky
    ============== ========= =========== =========== =========== =========== ========== =======
    None           missing   unavailable appeared    appeared    appeared    appeared   flaky
    miss           missing   unavailable same        appeared    unknown     unknown    flaky
    unavailable    missing   unavailable same        appeared    appeared    unknown    flaky
    skip           missing   unavailable same        appeared    appeared    unknown    flaky
    pass           missing   unavailable disappeared same        new failure unknown    flaky
    fail           missing   unavailable disappeared fixed       failing or  unknown    flaky
                                                                 changed
    error          missing   unavailable unknown     unknown     unknown     failing or flaky
                                                                             unknown
    flaky          missing   unavailable disappeared flaky       flaky       unknown    flaky
                                                                 or changed
    ============== ========= =========== =========== =========== =========== ========== =======

    *failing* is still failing. If the side after is None, the result has disappeared. :func:`same_failure` compares two
    failures.
    """
    same = before is not None and after is not None and same_failure(before, after)
    old, new = (None if side is None else side.status for side in (before, after))
    match old, new:
        case _, (None | Status.MISS | Status.UNAVAILABLE | Status.FLAKY):
            return WITHOUT_ANSWER[new]
        case (None, _) | (Status.MISS, Status.PASS) | (Status.UNAVAILABLE | Status.SKIP, Status.PASS | Status.FAIL):
            return Change.APPEARED
        case ((Status.MISS | Status.UNAVAILABLE | Status.SKIP), Status.SKIP) | (Status.PASS, Status.PASS):
            return Change.SAME
        case Status.PASS, Status.FAIL:
            return Change.NEW_FAILURE
        case Status.FAIL, Status.PASS:
            return Change.FIXED
        case Status.FAIL, Status.FAIL:
            return Change.STILL_FAILING if same else Change.CHANGED
        case Status.ERROR, Status.ERROR if same:
            return Change.STILL_FAILING
        case ((Status.PASS | Status.FAIL | Status.FLAKY), Status.SKIP):
            return Change.DISAPPEARED
        case Status.FLAKY, (Status.PASS | Status.FAIL) as now:
            return Change.FLAKY if now is Status.PASS or same else Change.CHANGED
        case _:
            return Change.UNKNOWN


@dataclass(frozen=True)
class Difference:
    """What differs at one key; ``shifts`` are the figures of a memory change, ``accepted`` is a person's reason."""

    change: Change
    key: ResultKey
    before: ScenarioResult | None
    after: ScenarioResult | None
    detail: str
    known: Standing | None = None
    shifts: tuple[Shift, ...] = ()
    accepted: str = ""

    @property
    def incomplete(self) -> bool:
        """Tell whether results are missing here, so that the comparison proves nothing about the key."""
        if self.change in {Change.MISSING, Change.UNAVAILABLE}:
            return True
        if self.after is not None and self.after.is_spoilt:
            return True
        if self.change is Change.DISAPPEARED and self.after is not None and self.after.lacks_gpu:
            return True
        missing = any(side is not None and side.status is Status.MISS for side in (self.before, self.after))
        return self.change is Change.UNKNOWN and (missing or (self.before is not None and self.before.is_spoilt))


def differences(before: Results, after: Results, known: Sequence[KnownIssue] = ()) -> tuple[Difference, ...]:
    """Compare two sides and return what differs; a key without a difference is the same on both.

    A key that one side knows only as its function (``load::test`` for ``load::test[a]``, where the cell never listed
    its parameters) or as a whole cell is compared with that. ``known`` are the issues that hold for ``after``. Memory
    is compared where both sides ran on one model of GPU and both gave an answer; see :func:`memory_shifts`.
    """
    found = []
    for key, old, new in pairs(before, after):
        change = compare(old, new)
        if change is not Change.SAME:
            detail = _detail(change, old, new)
            found.append(Difference(change, key, old, new, detail, _known(key.scenario, new, known)))
        if old is not None and new is not None:
            found += _memory(key, old, new)

    return tuple(found)


def pairs(before: Results, after: Results) -> Iterator[tuple[ResultKey, ScenarioResult | None, ScenarioResult | None]]:
    """Yield each key once with what each side has, but for keys that the other side knows in more detail."""
    finer = [
        {ResultKey(key.series, above) for key in side for above in fallback_ids(key.scenario) if above != key.scenario}
        for side in (before, after)
    ]
    keys = [key for key in before if key in after or key not in finer[1]]
    keys += [key for key in after if key not in before and key not in finer[0]]
    for key in keys:
        yield key, _find(before, key), _find(after, key)


def _find(side: Results, key: ResultKey) -> ScenarioResult | None:
    keys = (ResultKey(key.series, name) for name in fallback_ids(key.scenario))
    return next((side[one] for one in keys if one in side), None)


def _detail(change: Change, before: ScenarioResult | None, after: ScenarioResult | None) -> str:
    if after is None or change is Change.MISSING:
        return after.reason if after else f"was {before.text}" if before else ""
    if before is None:
        return ": ".join(text for text in (after.text, after.failure_name) if text)
    if change is Change.CHANGED and before.failure_name and after.failure_name:
        return f"{before.failure_name} → {after.failure_name}"
    texts = dict.fromkeys((before.text, after.text))
    fixed = change is Change.FIXED and before.failure_name
    why = f"was {before.failure_name}" if fixed else after.failure_name
    return ": ".join(text for text in (" → ".join(texts), why) if text)


def _known(scenario: str, after: ScenarioResult | None, issues: Sequence[KnownIssue]) -> Standing | None:
    """Return the known issue of a result; a cell that could not be set up has none."""
    if after is None or after.outcome is None or after.outcome.stage in {Stage.RESOLVE, Stage.INSTALL}:
        return None
    return standing(issues, scenario, after.versions, after.outcome, after.signatures)


def comparable(before: ScenarioResult, after: ScenarioResult) -> bool:
    """Tell whether memory of the two can be compared: both gave an answer, on one and the same model of GPU."""
    return _answered(before, after) and before.gpu == after.gpu and "," not in after.gpu


def _answered(before: ScenarioResult, after: ScenarioResult) -> bool:
    return before.status in ANSWERS and after.status in ANSWERS


def _memory(key: ResultKey, before: ScenarioResult, after: ScenarioResult) -> Iterator[Difference]:
    """Yield a difference each for what grew and what shrank; what breaks earlier than before is not called smaller."""
    if not comparable(before, after):
        return
    found = memory_shifts(before.figures, after.figures)
    grown, shrunk = (tuple(one for one in found if one.up is up) for up in (True, False))
    if after.status is not Status.PASS and not same_failure(before, after):
        shrunk = ()
    for change, shifts in ((Change.MEMORY_UP, grown), (Change.MEMORY_DOWN, shrunk)):
        if shifts:
            yield Difference(change, key, before, after, "; ".join(map(str, shifts)), shifts=shifts)


@dataclass(frozen=True)
class Comparison:
    """Two sides compared.

    ``versions`` maps a series to what differs between its cells, transitive packages too, those that name the series
    first. ``compared`` counts keys that have an answer on both sides, ``same`` keys without a difference.
    """

    old: str
    new: str
    differences: tuple[Difference, ...]
    versions: Mapping[str, tuple[PackageChange, ...]]
    notes: tuple[str, ...]
    compared: int
    same: int

    def of(self, change: Change) -> tuple[Difference, ...]:
        """Return the differences of one kind."""
        return tuple(one for one in self.differences if one.change is change)


def comparison(names: tuple[str, str], before: Results, after: Results, found: Sequence[Difference]) -> Comparison:
    """Return the whole comparison of two sides; ``names`` are what they are called, ``found`` their differences."""
    both = [(old, new) for _, old, new in pairs(before, after)]
    matched = [(old, new) for old, new in both if old is not None and new is not None]
    return Comparison(
        *names,
        differences=tuple(found),
        versions=version_changes(before, after),
        notes=_notes(matched),
        compared=sum(_answered(old, new) for old, new in matched),
        same=len(both) - len({one.key for one in found}),
    )


def version_changes(before: Results, after: Results) -> dict[str, tuple[PackageChange, ...]]:
    """Return what differs per series; nothing of a series that one side does not have or never locked."""
    old, new = ({key.series: _display_version(one) for key, one in side.items()} for side in (before, after))
    both = [series for series in old if old[series] and new.get(series)]
    found = {
        series: package_diff(old[series], new[series], first={pin.partition("=")[0] for pin in series.split()})
        for series in both
    }
    return {series: changes for series, changes in found.items() if changes}


def _display_version(result: ScenarioResult) -> dict[str, str]:
    return {name: display_version(version) for name, version in result.exact_versions.items()}


def _notes(matched: Sequence[tuple[ScenarioResult, ScenarioResult]]) -> tuple[str, ...]:
    """Note where memory was measured on both sides and not compared: other GPUs, or too few attempts."""
    counts: dict[tuple[str, str], int] = {}
    for old, new in matched:
        measured = any(name in new.values and unit_of(name) == "bytes" for name in old.values)
        if measured and _answered(old, new) and not comparable(old, new):
            models = (old.gpu or "no GPU", new.gpu or "no GPU")
            counts[models] = counts.get(models, 0) + 1

    notes = [
        f"memory is not compared in {counted(count, 'result')}: measured on {old} before, on {new} now"
        for (old, new), count in counts.items()
    ]
    uncertain = sum(comparable(old, new) and has_uncertain_shift(old.figures, new.figures) for old, new in matched)
    if uncertain:
        notes.append(
            f"host memory moved in {counted(uncertain, 'result')} with fewer than {ENOUGH} attempts: not called a "
            f"change, because its spread is unknown (--repeat {ENOUGH})"
        )

    return tuple(notes)


def in_one_series(results: Results, series: str) -> dict[ResultKey, ScenarioResult]:
    """Give the results of one cell another series, so that two cells can be compared."""
    return {ResultKey(series, key.scenario): one.in_series(series) for key, one in results.items()}


def with_lost_series(before: Results, after: Results, reason: str) -> dict[ResultKey, ScenarioResult]:
    """Add a missing result for the whole of each series of ``before`` that ``after`` lacks."""
    there = {key.series for key in after}
    lost = {key.series: one for key, one in before.items() if key.series not in there}
    missing = {
        (key := ResultKey(series, WHOLE_CELL)): ScenarioResult(key, one.cell, WHOLE_CELL, reason=reason, gpu=one.gpu)
        for series, one in lost.items()
    }
    return {**after, **missing}


def with_series_of(before: Results, after: Results) -> dict[ResultKey, ScenarioResult]:
    """Give cells of ``before`` the series they have in ``after``, where neither series is on both sides.

    A run from before series were kept calls its ``latest`` by version; the same cell is the same series.
    """
    old, new = ({one.cell: key.series for key, one in side.items()} for side in (before, after))
    shared = set(old.values()) & set(new.values())
    renamed = {old[cell]: new[cell] for cell in old if cell in new and not {old[cell], new[cell]} & shared}
    return {
        ResultKey(series, key.scenario): one.in_series(series)
        for key, one in before.items()
        for series in [renamed.get(key.series, key.series)]
    }
