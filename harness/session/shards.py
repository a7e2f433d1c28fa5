"""Share the cells of a plan out between machines: pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.envs.lock import Lock
from harness.session.plan import PlannedCell


def shards(cells: Sequence[PlannedCell], count: int) -> tuple[tuple[str, ...], ...]:
    """Return up to ``count`` groups of cell ids, no larger than need be.

    Cells with one lock stay together: their environment is built once. The reference cells are in every group, as the
    control of its machine. A group that would hold nothing else is left out.
    """
    control = tuple(one.cell.id for one in cells if one.cell.reference)
    families: dict[str, list[str]] = {}
    for one in cells:
        if not one.cell.reference:
            key = one.lock.hash if isinstance(one.lock, Lock) else one.cell.id
            families.setdefault(key, []).append(one.cell.id)
    groups: list[list[str]] = [[] for _ in range(count)]
    for family in sorted(families.values(), key=len, reverse=True):  # the largest first, each to the emptiest group
        min(groups, key=len).extend(family)
    order = [one.cell.id for one in cells]
    filled = [(*control, *sorted(group, key=order.index)) for group in groups if group]
    return tuple(filled) if filled else ((control,) if control else ())
