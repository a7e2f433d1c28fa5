"""One place with everything that is known about it, and how a claim about it is written: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.nightly.claim import Claim, Kind
from harness.nightly.flakes import Rate, rate
from harness.nightly.ledger import Seen, tallied
from harness.nightly.levels import Move
from harness.nightly.look import Look, Word
from harness.verdict.known import Standing


@dataclass(frozen=True)
class Case:
    """One place: tonight's look, the last answer, the baseline's, and what is written down about it."""

    look: Look
    was: Seen | None = None
    base: Look | None = None
    standing: Standing | None = None
    accepted: str = ""  # why, where somebody accepted its answer
    accepted_memory: str = ""  # why, where somebody accepted what memory it takes
    new_epoch: bool = False  # the machine moved between the last answer and tonight

    @property
    def once_green(self) -> bool:
        """Tell whether the baseline or the last answer passed, or passed at times."""
        words = {self.base.word if self.base else None, self.was.word if self.was else None}
        return bool(words & {Word.GREEN, Word.FLAKY})

    @property
    def rate(self) -> Rate:
        """How often the place is red by itself, tonight included."""
        return rate(tallied(self.look, "", self.was))

    @property
    def edited(self) -> bool:
        """Tell whether the scenario's source is another one than it was; not where either is not known."""
        sources = {self.was.source if self.was else "", self.look.mark.source}
        return len(sources) > 1 and "" not in sources

    @property
    def edited_alone(self) -> bool:
        """Tell whether the scenario's source changed and nothing that is installed did."""
        return self.edited and self.was is not None and bool(self.was.lock) and self.was.lock == self.look.mark.lock


def alike(one: Look, other: Look) -> bool:
    """Tell whether two reds are one failure: a signature in common, or none on both sides and equal outcomes."""
    if one.signatures or other.signatures:
        return bool(set(one.signatures) & set(other.signatures))
    return one.result == other.result


def changed_packages(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return package → (before, after) of what differs; empty text where it is not there."""
    names = sorted(before.keys() | after.keys())
    pairs = {name: (before.get(name, ""), after.get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def claim_of(
    case: Case, kind: Kind, detail: str, *, fresh: bool = True, since: str = "", move: Move | None = None
) -> Claim:
    """Write a claim about a place; ``move`` is the memory figure that it is about."""
    look, was = case.look, case.was
    before, after = was.look.exact if was else {}, look.exact
    return Claim(
        kind=kind,
        line=look.line,
        scenario=look.scenario,
        cell=look.cell,
        detail=" ".join(detail.split()),
        fresh=fresh,
        since=since,
        was=was.night if was else "",
        was_cell=was.cell if was else "",
        changed=changed_packages(before, after) if before and after else {},
        signature=look.signatures[0] if look.signatures else "",
        tracker=case.standing.issue.tracker if case.standing else "",
        figure=move.figure if move else "",
        bounds=(move.before, move.now) if move else None,
    )
