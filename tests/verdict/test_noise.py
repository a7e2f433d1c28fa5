"""A figure counts as changed only beyond both bounds and beyond its own spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdict.measures import moved
from harness.verdict.noise import changed, spread

BOUNDS = {"absolute": 10.0, "relative": 0.05}
VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=6)


def test_median_and_spread_are_kept():
    found = spread([6.9, 6.7, 7.0])
    assert (found.median, found.low, found.high, found.count) == (6.9, 6.7, 7.0, 3)


def test_nothing_measured_has_no_spread():
    with pytest.raises(ValueError, match="nobody measured"):
        spread([])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([1000], [1000], False),
        ([1000], [1009], False),  # within the absolute bound
        ([1000], [1040], False),  # within the relative bound
        ([1000], [1060], True),
        ([1000, 1070], [1080, 1090], False),  # further than the bounds, nearer than the attempts lie apart
        ([1000, 1010], [1080, 1090], True),
        ([0], [20], True),
    ],
)
def test_changed_needs_all_three(before, after, expected):
    assert changed(spread(before), spread(after), **BOUNDS) is expected


@given(VALUES)
def test_nothing_differs_from_itself(values):
    assert not changed(spread(values), spread(values), **BOUNDS)


@given(VALUES, VALUES)
def test_what_moved_one_way_moved_the_other_within_the_larger_relative_bound(before, after):
    one, other = spread(before), spread(after)
    if changed(one, other, **BOUNDS):
        assert abs(one.median - other.median) > max(one.width, other.width)


@pytest.mark.parametrize(
    ("name", "after", "is_a_change"),
    [
        ("x.reserved_over_allocated", 2.528, False),  # as transformers 5.2.0 varies on an H200
        ("x.reserved_over_allocated", 1.03, True),
        ("x.cosine", 2.5, True),
    ],
)
def test_a_quotient_of_memory_varies_as_memory_does(name, after, is_a_change):
    assert moved(name, spread([2.573]), spread([after])) is is_a_change
