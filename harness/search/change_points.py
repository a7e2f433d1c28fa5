"""The changes of an ordered list of answers or of figures: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ChangePoint:
    """Items ``before`` and ``after`` differ, those between are undecided; ``bad`` is the answer of ``after``."""

    before: int
    after: int
    bad: bool

    @property
    def exact(self) -> bool:
        """Whether ``after`` is certainly the first item of its kind."""
        return self.after == self.before + 1


def change_points(answers: Sequence[bool | None]) -> tuple[ChangePoint, ...]:
    """Return where good (False) turns bad (True) and back, in order; None is undecided."""
    known = [(item, answer) for item, answer in enumerate(answers) if answer is not None]
    pairs = pairwise(known)
    return tuple(ChangePoint(before, after, now) for (before, was), (after, now) in pairs if was is not now)


def jumps(values: Sequence[T | None], changed: Callable[[T, T], bool]) -> tuple[tuple[int, int], ...]:
    """Return the changes of a figure, each as the last item before it and the first item after it, in order.

    ``changed(before, after)`` says whether two figures differ beyond noise. A slow drift is found, too: a figure is
    compared with the level of the last change. Items without the figure (None) are skipped.
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
