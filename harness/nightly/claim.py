"""What a night may say about a place, and what each kind of claim means for the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from harness.nightly.flakiness import Rate, rate
from harness.nightly.ledger import LastResult, with_answers
from harness.nightly.memory import Move
from harness.store.records import Record, Status
from harness.verdict.known_issues import Standing
from harness.verdict.package_diff import package_diff
from harness.verdict.result import ResultKey, ScenarioResult


class Kind(StrEnum):
    """What is claimed; a place that is green and was green before is no claim."""

    NEW = "new regression"  # green before, red now, seen again alone, under another lock or source
    MEMORY_UP = "memory up"  # beyond noise, seen again alone
    DIFFERS = "still differs from the baseline"  # red or more memory, said before, and neither accepted nor gone
    UNCONFIRMED = "not confirmed"  # a new red or more memory that was not seen often enough to be called so
    UNEXPLAINED = "red without a change"  # green before, red now, and neither lock nor source changed
    CHANGED = "signature changed"
    OTHERWISE = "fails otherwise than the baseline"  # said before, and neither accepted nor gone
    EDITED = "scenario changed"  # red, green or in its memory unlike before; its source changed, nothing installed did
    STILL_RED = "still red"
    FLAKY = "flaky"
    FIXED = "fixed"
    MEMORY_DOWN = "memory down"
    KNOWN = "known issue"
    KNOWN_GONE = "known issue gone"
    KNOWN_CHANGED = "known issue changed"
    OVERDUE = "known issue overdue"
    ACCEPTED = "accepted"
    APPEARED = "appeared"
    DISAPPEARED = "disappeared"
    MISSING = "missing"
    UNAVAILABLE = "unavailable"  # the cell could not be set up: nothing is known of the software
    UNKNOWN = "no answer"  # the scenario, the harness, the network or a busy card is to blame; or no baseline is there
    WITHHELD = "not claimed"  # a regression, an open red or another signature, but the machine moved


REGRESSIONS = frozenset({Kind.NEW, Kind.MEMORY_UP})


OPEN = frozenset({Kind.MISSING, Kind.UNAVAILABLE, Kind.UNKNOWN, Kind.UNCONFIRMED, Kind.UNEXPLAINED})


STANDING = frozenset({Kind.DIFFERS, Kind.OTHERWISE})  # count every night, fresh or not; the last with --strict


STRICT = frozenset({Kind.CHANGED, Kind.KNOWN_GONE, Kind.KNOWN_CHANGED, Kind.OVERDUE})


LOUD = (
    REGRESSIONS
    | OPEN
    | STANDING
    | STRICT
    | {Kind.EDITED, Kind.FLAKY, Kind.FIXED, Kind.MEMORY_DOWN, Kind.DISAPPEARED, Kind.WITHHELD}
)


class Claim(Record):
    """One sentence of the night about one place, with what stands behind it.

    ``fresh``: it was not so in the night before. ``since`` and ``was`` are nights: since when it is so, and when the
    answer before was seen. ``changed`` maps each package that differs from then to its two versions (empty: not
    there), or addresses where it is built from a commit. ``figure`` and ``bounds`` are set for memory: its name, and
    the bytes before and now.
    """

    kind: Kind
    line: str
    scenario: str
    cell: str = ""
    detail: str = ""
    fresh: bool = True
    since: str = ""
    was: str = ""
    was_cell: str = ""
    changed: dict[str, tuple[str, str]] = Field(default_factory=dict)
    signature: str = ""
    tracker: str = ""
    figure: str = ""
    bounds: tuple[float, float] | None = None

    @property
    def key(self) -> ResultKey:
        """What it is about."""
        return ResultKey(self.line, self.scenario)

    @property
    def regression(self) -> bool:
        """Tell whether it makes the morning red."""
        return self.fresh and self.kind in REGRESSIONS


@dataclass(frozen=True)
class ClaimInput:
    """One place: tonight's look, the last answer, the baseline's, and what is written down about it."""

    result: ScenarioResult
    was: LastResult | None = None
    base: ScenarioResult | None = None
    standing: Standing | None = None
    accepted: str = ""  # why, where somebody accepted its answer
    accepted_memory: str = ""  # why, where somebody accepted what memory it takes
    new_epoch: bool = False  # the machine moved between the last answer and tonight

    @property
    def once_green(self) -> bool:
        """Tell whether the baseline or the last answer passed, or passed at times."""
        words = {self.base.status if self.base else None, self.was.status if self.was else None}
        return bool(words & {Status.PASS, Status.FLAKY})

    @property
    def rate(self) -> Rate:
        """How often the place is red by itself, tonight included."""
        return rate(with_answers(self.result, "", self.was))

    @property
    def edited(self) -> bool:
        """Tell whether the scenario's source is another one than it was; not where either is not known."""
        sources = {self.was.source if self.was else "", self.result.source}
        return len(sources) > 1 and "" not in sources

    @property
    def edited_alone(self) -> bool:
        """Tell whether the scenario's source changed and nothing that is installed did."""
        return self.edited and self.was is not None and bool(self.was.lock) and self.was.lock == self.result.lock


def alike(one: ScenarioResult, other: ScenarioResult) -> bool:
    """Tell whether two reds are one failure: a signature in common, or none on both sides and equal outcomes."""
    if one.signatures or other.signatures:
        return bool(set(one.signatures) & set(other.signatures))
    return one.text == other.text


def changed_packages(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return package → (before, after) of what differs; the text is empty where a side does not have it."""
    return {one.package: (one.before or "", one.after or "") for one in package_diff(before, after)}


def claim_of(
    case: ClaimInput, kind: Kind, detail: str, *, fresh: bool = True, since: str = "", move: Move | None = None
) -> Claim:
    """Write a claim about a place; ``move`` is the memory figure that it is about."""
    result, was = case.result, case.was
    before, after = was.result.exact_versions if was else {}, result.exact_versions
    return Claim(
        kind=kind,
        line=result.key.series,
        scenario=result.key.scenario,
        cell=result.cell,
        detail=" ".join(detail.split()),
        fresh=fresh,
        since=since,
        was=was.night if was else "",
        was_cell=was.cell if was else "",
        changed=changed_packages(before, after) if before and after else {},
        signature=result.signatures[0] if result.signatures else "",
        tracker=case.standing.issue.tracker if case.standing else "",
        figure=move.figure if move else "",
        bounds=(move.before, move.now) if move else None,
    )
