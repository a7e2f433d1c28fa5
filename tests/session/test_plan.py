"""The plan of a run: scenarios read from their files, selected cells, shards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.envs.lock import Lock, Unsolvable
from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import Cell, Pin
from harness.matrix.paths import ScenarioFile
from harness.session.plan import PlannedCell, is_selected, read_catalogue, select_cells, shards
from harness.store.records import ScenarioInfo

TEXT = '''
import a_package_that_is_not_there
from harness.probe import scenario

@scenario(row="A1", needs=["cuda"], checkpoints=["tiny"], timeout=5)
def test_declared(probe):
    """A title.

    More."""

class TestGroup:
    def test_inside(self):
        pass

def helper():
    pass
'''


@pytest.fixture
def write(tmp_path):
    def make(text, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return make


def test_decorators_and_titles_are_read_without_an_import(write):
    declared, inside = read_catalogue([ScenarioFile(write(TEXT))])
    assert (declared.id, declared.row, declared.title, declared.timeout) == ("mine::test_declared", "A1", "A title.", 5)
    assert (declared.needs, declared.checkpoints) == (("cuda",), ("tiny",))
    assert inside.id == "mine::TestGroup::test_inside"


def test_a_test_is_selected_with_or_without_its_parameters(write):
    path = write(TEXT)
    assert [one.id for one in read_catalogue([ScenarioFile(path, "test_declared[x]")])] == ["mine::test_declared"]


@pytest.mark.parametrize(
    ("text", "test", "sentence"),
    [
        ("def test_x(:\n", None, r"mine\.py is not valid Python, line 1"),
        (TEXT, "test_declare", r"mine\.py has no test test_declare; the nearest is test_declared"),
        ("@scenario(row=ROW)\ndef test_x(): pass\n", None, r"mine\.py, line 1: @scenario\(row=…\) must be a literal"),
    ],
)
def test_a_mistake_is_one_sentence(write, text, test, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_catalogue([ScenarioFile(write(text), test)])


def test_files_of_one_name_and_files_without_tests_are_refused(write):
    first, second = write(TEXT), write(TEXT, "other/mine.py")
    with pytest.raises(ConfigError, match="have the same name: rename one"):
        read_catalogue([ScenarioFile(first), ScenarioFile(second)])
    with pytest.raises(NothingSelectedError, match="there is no test in"):
        read_catalogue([ScenarioFile(write("x = 1\n", "empty.py"))])


def info(test, path="/x/a.py"):
    return ScenarioInfo(id=f"a::{test}", nodeid=f"{path}::{test}")


@pytest.mark.parametrize(
    ("test", "only", "selected"),
    [
        ("test_x", [], True),
        ("test_x[1]", [None], True),
        ("test_x[1]", ["test_x"], True),
        ("test_x[1]", ["test_x[1]"], True),
        ("test_x[2]", ["test_x[1]"], False),
        ("test_xy", ["test_x"], False),
        ("TestY::test_x", ["test_x"], False),
        ("TestY::test_x[1]", ["test_z", "TestY::test_x"], True),
    ],
)
def test_a_function_selects_all_its_parameters(tmp_path, test, only, selected):
    files = tuple(ScenarioFile(tmp_path / "a.py", name) for name in only)
    assert is_selected(info(test, tmp_path / "a.py"), files) is selected
    assert is_selected(info(test, tmp_path / "b.py"), files) is (not files)


def three_cells():
    return [
        Cell(python="3.11", pins=(Pin("six", version, f"six=={version}"),), axes=("six",), reference=version == "2")
        for version in ("1", "2", "3")
    ]


def test_cells_are_selected_by_id_and_pattern_reference_first():
    cells = three_cells()
    assert [cell.label("six") for cell in select_cells(cells, [])] == ["2", "1", "3"]
    assert [cell.label("six") for cell in select_cells(cells, ["six-3-*", cells[0].id])] == ["1", "3"]
    with pytest.raises(NothingSelectedError, match="no cell matches six-9; "):
        select_cells(cells, ["six-9"])


def planned(number, lock, *, reference=False):
    cell = Cell(python="3.11", pins=(Pin("p", str(number), f"p=={number}"),), axes=("p",), reference=reference)
    return PlannedCell(cell, Unsolvable("no") if lock is None else Lock(str(lock), "", {}, "3.11"))


CELLS = st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=20).map(
    lambda locks: [planned(number, lock) for number, lock in enumerate(locks)]
)


@given(cells=CELLS, count=st.integers(1, 6), controls=st.integers(0, 2))
def test_every_cell_is_in_one_shard_and_the_control_in_all(cells, count, controls):
    references = [planned(100 + number, 9, reference=True) for number in range(controls)]
    found = shards([*references, *cells], count)
    ids = {one.cell.id for one in references}
    others = [cell for group in found for cell in group if cell not in ids]
    assert sorted(others) == sorted(one.cell.id for one in cells)
    assert all(ids <= set(group) for group in found)
    assert len(found) <= count
    assert bool(found) == bool(cells or references)


@given(cells=CELLS, count=st.integers(1, 6))
def test_cells_of_one_lock_are_in_one_shard_and_no_shard_is_too_large(cells, count):
    found = shards(cells, count)
    shard_of = {cell: number for number, group in enumerate(found) for cell in group}
    locks = {one.cell.id: one.lock.hash for one in cells if isinstance(one.lock, Lock)}
    for cell, lock in locks.items():
        assert {shard_of[other] for other, same in locks.items() if same == lock} == {shard_of[cell]}
    sizes = [sum(other == lock for other in locks.values()) for lock in set(locks.values())]
    if cells:
        assert max(map(len, found)) <= -(-len(cells) // count) + max(sizes, default=1)
