"""The exit code of a night: pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.nightly.claim import OPEN, REGRESSIONS, STRICT, Claim, Kind
from harness.nightly.control import Control


def exit_code(claims: Sequence[Claim], control: Control, *, strict: bool = False) -> int:
    """Reduce a night to its exit code; ``accepted`` and known ones count for nothing.

    What still differs from the baseline counts night after night, until it is accepted or gone.

    ================================================ ===
    the machine moved, or its control has no answer  4
    a new regression, confirmed                      1
    a place still differs from the baseline          1
    a result is missing, open or without an answer   4
    ``strict``, and a signature changed, a known     1
    issue is gone, changed or overdue, or a place
    fails otherwise than the baseline
    else                                             0
    ================================================ ===
    """
    if not control.trusted:
        return 4
    fresh, kinds = {claim.kind for claim in claims if claim.fresh}, {claim.kind for claim in claims}
    if fresh & REGRESSIONS or Kind.DIFFERS in kinds:
        return 1
    if kinds & OPEN:
        return 4
    return 1 if strict and (fresh & STRICT or Kind.OTHERWISE in kinds) else 0
