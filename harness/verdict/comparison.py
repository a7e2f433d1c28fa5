"""Two runs, or two cells, set side by side place by place: new failures, fixed, changed, missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.store.records import Stage, fallback_ids
from harness.verdict.box import Answer, Box, Entry, Kind, Place
from harness.verdict.known_issues import KnownIssue, Standing, standing
from harness.verdict.shifts import shifts

__all__ = [
    "Answer",
    "Box",
    "Entry",
    "Kind",
    "Place",
    "comparable",
    "compare_sides",
    "pairs",
    "relabelled",
]


def compare_sides(
    before: Mapping[Place, Box], after: Mapping[Place, Box], known: Sequence[KnownIssue] = ()
) -> tuple[Entry, ...]:
    """Compare two sides and return what is to be said; a place without an entry says the same on both.

    A place that one side knows only as its function (``load::test`` for ``load::test[a]``, where the cell never listed
    its parameters) or as a whole cell is compared with that. ``known`` are the issues that hold for ``after``.

    ============ ========= =========== =========== =========== ========== =======
    before/after missing   skip        pass        fail        error      flaky
    ============ ========= =========== =========== =========== ========== =======
    absent       missing   appeared    appeared    appeared    appeared   flaky
    missing      missing   –           appeared    unknown     unknown    flaky
    skip         missing   –           appeared    appeared    unknown    flaky
    pass         missing   disappeared –           new failure unknown    flaky
    fail         missing   disappeared fixed       still red   unknown    flaky
                                                   or changed
    error        missing   unknown     unknown     unknown     still red  flaky
                                                               or unknown
    flaky        missing   disappeared flaky       flaky       unknown    flaky
                                                   or changed
    ============ ========= =========== =========== =========== ========== =======

    What is absent after has disappeared. Two failures are the same when their outcomes are and they share a name.
    Memory is compared where both sides ran on one model of GPU and neither is an error; see :func:`shifts`.
    """
    entries = []
    for place, old, new in pairs(before, after):
        kind = _kind(old, new)
        if kind is not None:
            entries.append(Entry(kind, *place, old, new, _detail(kind, old, new), _known(place[1], new, known)))
        if old is not None and new is not None:
            entries += _memory(place, old, new)
    return tuple(entries)


def _kind(before: Box | None, after: Box | None) -> Kind | None:  # noqa: PLR0911  # one return a box of the table
    """Find the box of the table."""
    old = before.answer if before else Answer.ABSENT
    match old, after.answer if after else Answer.ABSENT:
        case _, (Answer.MISSING | Answer.ABSENT | Answer.FLAKY) as now:
            return {Answer.MISSING: Kind.MISSING, Answer.ABSENT: Kind.DISAPPEARED}.get(now, Kind.FLAKY)
        case (Answer.ABSENT, _) | (Answer.MISSING | Answer.SKIP, Answer.PASS) | (Answer.SKIP, Answer.FAIL):
            return Kind.APPEARED
        case (Answer.MISSING | Answer.SKIP, Answer.SKIP) | (Answer.PASS, Answer.PASS):
            return None
        case Answer.PASS, Answer.FAIL:
            return Kind.NEW_FAILURE
        case Answer.FAIL, Answer.PASS:
            return Kind.FIXED
        case Answer.FAIL, Answer.FAIL:
            return Kind.STILL_RED if same_failure(before, after) else Kind.CHANGED
        case Answer.ERROR, Answer.ERROR if same_failure(before, after):
            return Kind.STILL_RED
        case ((Answer.PASS | Answer.FAIL | Answer.FLAKY), Answer.SKIP):
            return Kind.DISAPPEARED
        case Answer.FLAKY, (Answer.PASS | Answer.FAIL) as now:
            return Kind.FLAKY if now is Answer.PASS or same_failure(before, after) else Kind.CHANGED
        case _:
            return Kind.UNKNOWN


def same_failure(before: Box | None, after: Box | None) -> bool:
    """Tell whether ``after`` fails as ``before`` did, in all or some attempts: the outcome, and a name of it."""
    if before is None or after is None:
        return False
    named = bool(set(before.signatures) & set(after.signatures)) or not (before.signatures or after.signatures)
    return named and set(after.outcomes.outcomes) <= set(before.outcomes.outcomes)


def pairs(before: Mapping[Place, Box], after: Mapping[Place, Box]) -> Iterator[tuple[Place, Box | None, Box | None]]:
    """Yield every place once with what each side has, but for places that the other side knows in more detail."""
    for place in _places(before, after):
        yield place, _find(before, place), _find(after, place)


def _places(before: Mapping[Place, Box], after: Mapping[Place, Box]) -> Iterator[Place]:
    finer = [
        {(line, above) for line, scenario in side for above in fallback_ids(scenario) if above != scenario}
        for side in (before, after)
    ]
    yield from (place for place in before if place in after or place not in finer[1])
    yield from (place for place in after if place not in before and place not in finer[0])


def _find(side: Mapping[Place, Box], place: Place) -> Box | None:
    line, scenario = place
    return next((side[line, name] for name in fallback_ids(scenario) if (line, name) in side), None)


def _detail(kind: Kind, before: Box | None, after: Box | None) -> str:
    if after is None or kind is Kind.MISSING:
        return after.reason if after else f"was {before.outcomes}" if before else ""
    if before is None:
        return ": ".join(text for text in (str(after.outcomes), after.failure) if text)
    if kind is Kind.CHANGED and before.failure and after.failure:
        return f"{before.failure} → {after.failure}"
    said = [str(before.outcomes), str(after.outcomes)]
    why = f"was {before.failure}" if kind is Kind.FIXED and before.failure else after.failure
    return ": ".join(text for text in (" → ".join(dict.fromkeys(said)), why) if text)


def _known(scenario: str, after: Box | None, issues: Sequence[KnownIssue]) -> Standing | None:
    """Ask the known issues; a cell in which nothing could be started says nothing about any of them."""
    outcome = after.outcomes.outcome if after else None
    if after is None or outcome is None or outcome.stage in {Stage.RESOLVE, Stage.INSTALL}:
        return None
    return standing(issues, scenario, after.versions, outcome, after.signatures)


def comparable(before: Box, after: Box) -> bool:
    """Tell whether memory of the two can be compared: both gave an answer, on one and the same model of GPU."""
    answered = all(box.answer in {Answer.PASS, Answer.FAIL, Answer.FLAKY} for box in (before, after))
    spoilt = before.stood_in_the_way or after.stood_in_the_way
    return answered and not spoilt and before.gpu == after.gpu and "," not in after.gpu


def _memory(place: Place, before: Box, after: Box) -> Iterator[Entry]:
    """Yield an entry each for what grew and what shrank; what breaks earlier than before is not called smaller."""
    if not comparable(before, after):
        return
    found = shifts(before.figures, after.figures)
    grown, shrunk = (tuple(one for one in found if one.up is up) for up in (True, False))
    if after.answer is not Answer.PASS and not same_failure(before, after):
        shrunk = ()
    for kind, these in ((Kind.MEMORY_UP, grown), (Kind.MEMORY_DOWN, shrunk)):
        if these:
            yield Entry(kind, *place, before, after, "; ".join(map(str, these)), shifts=these)


def relabelled(side: Mapping[Place, Box], line: str) -> dict[Place, Box]:
    """Give the boxes of one cell another line, so that two cells can be set side by side."""
    return {(line, scenario): replace(box, line=line) for (_, scenario), box in side.items()}
