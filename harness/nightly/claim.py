"""What a night may say about a place, and what each kind of claim means for the exit code."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from harness.store.records import Record


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
    UNKNOWN = "no answer"  # the scenario, the harness, the network or a busy card is to blame; or no baseline is there
    WITHHELD = "not claimed"  # a regression, an open red or another signature, but the machine moved


REGRESSIONS = frozenset({Kind.NEW, Kind.MEMORY_UP})
OPEN = frozenset({Kind.MISSING, Kind.UNKNOWN, Kind.UNCONFIRMED, Kind.UNEXPLAINED})
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
    def regression(self) -> bool:
        """Tell whether it makes the morning red."""
        return self.fresh and self.kind in REGRESSIONS
