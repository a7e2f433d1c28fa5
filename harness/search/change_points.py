"""Every place where an ordered list of answers, or of figures, changes: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ChangePoint:
    """Items ``before`` and ``after`` differ, what is between cannot be told; ``bad`` is what ``after`` is."""

    before: int
    after: int
    bad: bool

    @property
    def exact(self) -> bool:
        """Whether ``after`` is the first item of its kind, and no other could be."""
        return self.after == self.before + 1


def change_points(answers: Sequence[bool | None]) -> tuple[ChangePoint, ...]:
    """Return where good (False) turns bad (True) and back, in order; None cannot be told."""
    known = [(item, answer) for item, answer in enumerate(answers) if answer is not None]
    pairs = pairwise(known)
    return tuple(ChangePoint(before, after, now) for (before, was), (after, now) in pairs if was is not now)


def jumps(values: Sequence[T | None], changed: Callable[[T, T], bool]) -> tuple[tuple[int, int], ...]:
    """Return where a figure moved, as the last item before and the first after it that have the figure, in order.

    ``changed(before, after)`` tells whether two figures differ beyond noise. Slow drift, each step of which is noise,
    is seen too: a figure is compared with the one that stood when it last moved.
    """
    found: list[tuple[int, int]] = []
    level: T | None = None
    previous = 0
    for item, value in enumerate(values):
        if value is None:
            continue
        if level is None:
            level = value
        elif changed(level, value):
            found.append((previous, item))
            level = value
        previous = item
    return tuple(found)
