"""What to run tonight and what to carry over from an earlier night, named as seen then: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.nightly.ledger import Ledger, Seen
from harness.nightly.look import WHOLE, Place, Word, function

SETTLED = {Word.GREEN, Word.SKIP}  # answers that need not be asked for again while nothing changes


@dataclass(frozen=True)
class Wanted:
    """One planned cell: its line, its lock's hash (empty: unsolvable), and test function → digest of its source."""

    cell: str
    line: str
    lock: str
    sources: Mapping[str, str]
    control: bool = False


@dataclass(frozen=True)
class Choice:
    """Cell → test functions to run in it and why, and the answers that are carried."""

    run: Mapping[str, tuple[str, ...]]
    why: Mapping[str, str]  # cell -> reason, in words
    carried: Mapping[Place, Seen] = field(default_factory=dict)


def choose(planned: Sequence[Wanted], ledger: Ledger | None, *, everything: bool = False) -> Choice:
    """Decide cell by cell and function by function.

    ======================================================================= =======
    the control cell                                                        all of it
    the cell-line is new, its lock changed, or it has no lock               all of it
    the machine moved in the last night                                     all of it
    a function is new, or its source changed or is not known                run
    a parameter of it was red, flaky, an error, missing, or seen before the run
    machine last moved
    else                                                                    carried
    ======================================================================= =======
    """
    seen = ledger.places() if ledger else {}
    run, why, carried = dict[str, tuple[str, ...]](), dict[str, str](), dict[Place, Seen]()
    for one in planned:
        mine = {place: each for place, each in seen.items() if place[0] == one.line}
        reason = _whole_reason(one, mine, ledger, everything=everything)
        reasons = {name: reason or _reason(name, one, mine, ledger) for name in one.sources}
        chosen = tuple(name for name, text in reasons.items() if text)
        if chosen:
            run[one.cell] = chosen
            why[one.cell] = "; ".join(dict.fromkeys(text for text in reasons.values() if text))
        carried |= {
            place: each
            for place, each in mine.items()
            if place[1] != WHOLE and function(place[1]) in one.sources and function(place[1]) not in chosen
        }
    return Choice(run, why, carried)


def _whole_reason(one: Wanted, mine: Mapping[Place, Seen], ledger: Ledger | None, *, everything: bool) -> str:
    if everything or one.control:
        return "the control cell" if one.control else "everything was asked for"
    if ledger is None or not mine:
        return "new"
    if not ledger.settled:
        return "the machine moved in the last night"
    if not one.lock:
        return "no resolution"
    if any(each.lock != one.lock for each in mine.values()):
        return "its lock changed"
    return ""


def _reason(name: str, one: Wanted, mine: Mapping[Place, Seen], ledger: Ledger | None) -> str:
    asked = [each for place, each in mine.items() if function(place[1]) == name]
    if not asked:
        return "a new scenario"
    if not one.sources[name] or any(each.source != one.sources[name] for each in asked):
        return "its source changed"
    words = sorted({str(each.word) for each in asked if each.word not in SETTLED})
    if words:
        return f"{' or '.join(words)} last night"
    if any(each.unsure for each in asked):
        return "without an answer last night"
    if ledger is not None and any(each.epoch != ledger.epoch for each in asked):
        return "the machine moved since"
    return ""
