"""See again, alone, what would be claimed: pure but for the attempts, which are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from harness.nightly.claims import to_confirm
from harness.nightly.flakes import MOST_FLAKY
from harness.nightly.look import Look, Place
from harness.nightly.situation import Situation

Again = Callable[[Mapping[Place, int]], Mapping[Place, Look]]  # so many more attempts; returns all of them


def confirm(now: Situation, again: Again) -> Situation:
    """Ask for more attempts of each place that needs them until nothing is left to ask.

    One first: a place that answers otherwise drops out. Then all that are still needed. A place that got no new attempt
    is not asked for again.
    """
    stuck: set[Place] = set()
    for number in range(MOST_FLAKY):
        wanted = {place: count for place, count in to_confirm(now).items() if place not in stuck}
        if not wanted:
            break
        found = again(wanted if number else dict.fromkeys(wanted, 1))
        stuck |= {
            place
            for place in wanted
            if place not in found or len(found[place].attempts) <= len(now.looks[place].attempts)
        }
        now = replace(now, looks={**now.looks, **found})
    return now
