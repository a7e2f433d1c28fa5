"""The exit code of a night: pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.nightly.claim import OPEN, REGRESSIONS, STRICT, Claim
from harness.nightly.control import Control


def exit_code(claims: Sequence[Claim], control: Control, *, strict: bool = False) -> int:
    """Reduce a night to its exit code; ``accepted`` and known ones count for nothing.

    ================================================ ===
    the machine moved, or its control has no answer  4
    a new regression, confirmed                      1
    a result is missing, open or without an answer   4
    ``strict``, and a signature changed, a known
    issue is gone, changed or overdue                1
    else                                             0
    ================================================ ===
    """
    if not control.trusted:
        return 4
    fresh = {claim.kind for claim in claims if claim.fresh}
    if fresh & REGRESSIONS:
        return 1
    if {claim.kind for claim in claims} & OPEN:
        return 4
    return 1 if strict and fresh & STRICT else 0
