"""A file that is named without a test of it is judged as one, and that is said."""

import pytest

from harness.search.criterion import Criterion
from harness.search.wholefile import whole_file
from harness.store.records import ScenarioInfo


def several(count):
    return [ScenarioInfo(id=f"my_case::test_{number}", nodeid=f"my_case.py::test_{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Criterion(), "bad is where one of them fails, good where all can be judged and none does;"),
        (Criterion(signature="meta-item"), "bad is where one of them fails with meta-item, good where"),
        (Criterion(metric="cuda.reserved", limit=1), "the largest cuda.reserved of them counts;"),
    ],
)
def test_several_tests_are_named_with_how_they_count(asked, said):
    (note,) = whole_file("my_case.py", several(3), asked)
    assert note.startswith(f"my_case.py holds 3 tests, judged as one: {said}")
    assert note.endswith("my_case.py::test_0 asks for one (test_0, test_1, test_2)")


def test_a_long_list_is_cut():
    (note,) = whole_file("my_case.py", several(9), Criterion())
    assert note.endswith("test_5 …)")


def test_one_test_needs_no_word():
    assert whole_file("my_case.py", several(1), Criterion()) == ()
    assert whole_file("my_case.py::TestAll::test_0", several(1), Criterion()) == ()
