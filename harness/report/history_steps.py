"""Where a row of values takes a step that stays, told from single values that stand out and go back: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def steps(values: Sequence[T | None], differs: Callable[[T, T], bool]) -> tuple[tuple[int, int], ...]:
    """Return each step as the last place before it and the first place after it, in order; None cannot be told.

    ============================================ =============================
    values (``differs`` is ``!=``)               steps
    ============================================ =============================
    ``1 1 2 2``                                  one, to the first 2
    ``1 1 2 1 1``                                none: one night stood out
    ``1 1 2``                                    one: the last night is news
    ``1 1 2 3 3``                                two: to 2 and to 3
    ``1 1 None 2 2``                             one, over the gap
    ============================================ =============================

    A value is compared with the one that stood at the last step, so that a slow drift, each day of which is noise, is
    seen too. The place before is the last one that was known, whatever stood out there.
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    found: list[tuple[int, int]] = []
    if not known:
        return ()
    level = known[0][1]
    for index in range(1, len(known)):
        place, value = known[index]
        if not differs(level, value):
            continue
        back = index + 1 < len(known) and not differs(level, known[index + 1][1])
        if not back:
            found.append((known[index - 1][0], place))
            level = value
    return tuple(found)
