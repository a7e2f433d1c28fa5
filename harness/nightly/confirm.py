"""See again, alone, what would be claimed: pure but for the attempts, which are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness.nightly.claims import to_confirm
from harness.nightly.flakes import MOST_FLAKY
from harness.nightly.look import Look, Place
from harness.nightly.situation import Situation

Again = Callable[[Sequence[Place]], Mapping[Place, Look]]  # one more attempt each; returns them with all attempts


def confirm(now: Situation, again: Again) -> Situation:
    """Ask for one more attempt of each place that needs one, round by round, until nothing is left to ask.

    A place that answers otherwise drops out. One that got no new attempt is not asked for again.
    """
    stuck: set[Place] = set()
    for _ in range(MOST_FLAKY):
        places = [place for place in to_confirm(now) if place not in stuck]
        if not places:
            break
        found = again(places)
        stuck |= {
            place
            for place in places
            if place not in found or len(found[place].attempts) <= len(now.looks[place].attempts)
        }
        now = replace(now, looks={**now.looks, **found})
    return now
