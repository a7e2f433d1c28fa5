"""What to run tonight and what to carry over from an earlier night, named as seen then: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.nightly.flakiness import doubted
from harness.nightly.ledger import LastResult, Ledger
from harness.store.records import WHOLE_CELL, Status, function_of
from harness.verdict.result import ResultKey

NEVER = "it never had an answer"
SETTLED = {Status.PASS, Status.SKIP}  # answers that need not be asked for again while nothing changes


@dataclass(frozen=True)
class Wanted:
    """One planned cell: its line, its lock's hash (empty: unsolvable), and test function → digest of its source."""

    cell: str
    line: str
    lock: str
    sources: Mapping[str, str]
    control: bool = False


@dataclass(frozen=True)
class Selection:
    """Cell → test functions to run in it and why, and the answers that are carried."""

    run: Mapping[str, tuple[str, ...]]
    why: Mapping[str, str]  # cell -> reason, in words
    carried: Mapping[ResultKey, LastResult] = field(default_factory=dict)


def select_cells(planned: Sequence[Wanted], ledger: Ledger | None, *, everything: bool = False) -> Selection:
    """Decide cell by cell; a cell is run with all its scenarios, or carried with all of them.

    ========================================================================= =======
    the control cell; ``everything``                                          run
    the cell-line is new, its lock changed, or it has no lock                 run
    the machine moved in the last night, or since one of its answers          run
    one of its scenarios is new, or its source changed or is not known        run
    it was run before, or one of its scenarios, and never had an answer       run
    one of its answers was red or flaky, or could not be had again            run
    a flaky one passed fewer than 14 times in a row since                     run
    else                                                                      carried
    ========================================================================= =======
    """
    seen = ledger.last_results() if ledger else {}
    run, why, carried = dict[str, tuple[str, ...]](), dict[str, str](), dict[ResultKey, LastResult]()
    for one in planned:
        mine = {key: each for key, each in seen.items() if key[0] == one.line}
        reason = _whole_reason(one, mine, ledger, everything=everything)
        reasons = {reason or _reason(name, one, mine, ledger): None for name in one.sources}
        reasons.pop("", None)
        chosen = tuple(one.sources) if reasons else ()
        if chosen:
            run[one.cell] = chosen
            why[one.cell] = "; ".join(reasons)
        carried |= {
            key: each
            for key, each in mine.items()
            if key[1] != WHOLE_CELL and function_of(key[1]) in one.sources and function_of(key[1]) not in chosen
        }
    return Selection(run, why, carried)


def _whole_reason(one: Wanted, mine: Mapping[ResultKey, LastResult], ledger: Ledger | None, *, everything: bool) -> str:
    if everything or one.control:
        return "the control cell" if one.control else "everything was asked for"
    if ledger is None or not mine:
        asked = ledger is not None and any(line == one.line for line, _ in ledger.unanswered)
        return NEVER if asked else "new"
    if not ledger.settled:
        return "the machine moved in the last night"
    if not one.lock:
        return "no resolution"
    if any(one.lock not in {each.lock, each.tried if each.unsure else each.lock} for each in mine.values()):
        return "its lock changed"
    return ""


def _reason(  # noqa: PLR0911  # one return a reason
    name: str, one: Wanted, mine: Mapping[ResultKey, LastResult], ledger: Ledger | None
) -> str:
    asked = [each for key, each in mine.items() if function_of(key[1]) == name]
    if not asked:
        without = {(line, function_of(scenario)) for line, scenario in (ledger.unanswered if ledger else ())}
        return NEVER if without & {(one.line, name), (one.line, name.partition("::")[0])} else "a new scenario"
    if not one.sources[name] or any(each.source != one.sources[name] for each in asked):
        return "its source changed"
    words = sorted({str(each.status) for each in asked if each.status not in SETTLED})
    if words:
        return f"{' or '.join(words)} last night"
    if more := max(doubted(each.tallies) if each.status is Status.PASS else 0 for each in asked):
        return f"flaky: {more} more passes in a row are needed"
    if any(each.unsure for each in asked):
        return "without an answer last night"
    if ledger is not None and any(each.epoch != ledger.epoch for each in asked):
        return "the machine moved since"
    return ""
