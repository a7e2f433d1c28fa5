"""Cells shared out between machines."""

from hypothesis import given
from hypothesis import strategies as st

from harness.envs.lock import Lock, Unsolvable
from harness.matrix.cell import Cell, Pin
from harness.session.plan import PlannedCell, shards


def planned(number, lock, *, reference=False):
    cell = Cell(python="3.11", pins=(Pin("p", str(number), f"p=={number}"),), axes=("p",), reference=reference)
    return PlannedCell(cell, Unsolvable("no") if lock is None else Lock(str(lock), "", {}, "3.11"))


CELLS = st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=20).map(
    lambda locks: [planned(number, lock) for number, lock in enumerate(locks)]
)


@given(cells=CELLS, count=st.integers(1, 6), controls=st.integers(0, 2))
def test_every_cell_is_in_one_group_and_the_controls_are_in_all(cells, count, controls):
    references = [planned(100 + number, 9, reference=True) for number in range(controls)]
    found = shards([*references, *cells], count)
    ids = {one.cell.id for one in references}
    others = [cell for group in found for cell in group if cell not in ids]
    assert sorted(others) == sorted(one.cell.id for one in cells)
    assert all(ids <= set(group) for group in found)
    assert len(found) <= count
    assert bool(found) == bool(cells or references)


@given(cells=CELLS, count=st.integers(1, 6))
def test_cells_of_one_lock_stay_together_and_no_group_is_needlessly_large(cells, count):
    found = shards(cells, count)
    place = {cell: number for number, group in enumerate(found) for cell in group}
    locks = {one.cell.id: one.lock.hash for one in cells if isinstance(one.lock, Lock)}
    for cell, lock in locks.items():
        assert {place[other] for other, same in locks.items() if same == lock} == {place[cell]}
    families = [sum(other == lock for other in locks.values()) for lock in set(locks.values())]
    if cells:
        assert max(map(len, found)) <= -(-len(cells) // count) + max(families, default=1)
