"""A figure moved only beyond both bounds and beyond its own spread; a step stays, an outlier goes back."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdict.statistics import MIB, exceeds, memory_shifts, moved, spread, steps

NAME = "cuda_reserved.load"  # bytes: beyond 1 MiB and 5 %
VALUES = st.lists(st.floats(0, 1e12), min_size=1, max_size=6)


def test_median_and_spread_are_kept():
    found = spread([6.9, 6.7, 7.0])
    assert (found.median, found.low, found.high, found.count) == (6.9, 6.7, 7.0, 3)


def test_nothing_measured_has_no_spread():
    with pytest.raises(ValueError, match="has no spread"):
        spread([])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([1000], [1000], False),
        ([10], [10.9], False),  # within the absolute bound
        ([1000], [1040], False),  # within the relative bound
        ([1000], [1060], True),
        ([1000, 1070], [1080, 1090], False),  # further than the bounds, nearer than the attempts lie apart
        ([1000, 1010], [1080, 1090], True),
        ([0], [20], True),
    ],
)
def test_a_move_needs_all_three(before, after, expected):
    sides = (spread([value * MIB for value in values]) for values in (before, after))
    assert moved(NAME, *sides) is expected


@given(VALUES)
def test_nothing_differs_from_itself(values):
    assert not moved(NAME, spread(values), spread(values))


@given(VALUES, VALUES)
def test_what_moved_one_way_moved_the_other_within_the_larger_relative_bound(before, after):
    one, other = spread(before), spread(after)
    if moved(NAME, one, other):
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


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [(100, 100, False), (100, 109, False), (100, 112, True), (1, 3, False), (1000, 1050, False), (100, 80, True)],
)
def test_two_values_differ_beyond_both_bounds(before, after, changed):
    assert exceeds(before, after, absolute=5, relative=0.1) is changed


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("cuda_reserved_emptied.load", [7524], [8050], False),  # two equal nights of transformers 5.2.0 on an H200
        ("cuda_reserved_emptied.load", [7524], [8350], True),
        ("cuda_reserved.load", [7524, 7525, 7526], [8050, 8051, 8052], True),
        ("cuda_allocated.load", [7524], [8050], True),
    ],
)
def test_what_varies_from_load_to_load_needs_more_than_one_attempt_or_more_than_its_noise(name, before, after, told):
    mib = 2**20
    sides = ({name: spread([value * mib for value in values])} for values in (before, after))
    assert bool(memory_shifts(*sides)) is told


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ("1122", [(1, 2)]),
        ("11211", []),
        ("112", [(1, 2)]),
        ("11233", [(1, 2), (2, 3)]),
        ("11 22", [(1, 3)]),
        ("1 2 1 2 2", [(4, 6)]),
        ("  11", []),
        ("", []),
        ("1121221", [(3, 4), (5, 6)]),
    ],
)
def test_steps_are_told_from_what_stands_out_once(values, found):
    given_ = [None if letter == " " else letter for letter in values]
    assert list(steps(given_, lambda one, other: one != other)) == found


@given(st.lists(st.sampled_from([1, 2, 3, None]), max_size=30))
def test_between_two_steps_a_value_stands_but_for_single_nights(values):
    found = steps(values, lambda one, other: one != other)
    places = [place for _, place in found]
    assert places == sorted(set(places))
    known = [place for place, value in enumerate(values) if value is not None]
    level, cursor = (values[known[0]] if known else None), 0
    out = 0
    for place in known:
        if cursor < len(places) and place == places[cursor]:
            assert values[place] != level
            level, cursor, out = values[place], cursor + 1, 0
        elif values[place] != level:
            out += 1
            assert out == 1, "two nights in a row that are not the level are a step"
        else:
            out = 0


def far(before, after):
    return abs(after - before) > 2


def test_a_figure_that_jumps_is_named_and_noise_is_not():
    assert steps([10, 11, None, 30, 29, 10], far, outliers=True) == ((1, 3), (4, 5))


def test_a_slow_drift_is_seen_where_it_leaves_the_level_it_began_at():
    assert steps([10, 11, 12, 13, 14], far, outliers=True) == ((2, 3),)


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=40))
def test_figures_that_always_count_as_changed_give_one_jump_a_step(values):
    known = [value for value in values if value is not None]
    found = steps(values, lambda one, other: one != other, outliers=True)
    assert len(found) == sum(one != other for one, other in pairwise(known))
