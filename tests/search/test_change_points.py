"""Every change of a row of answers or figures, against brute force."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.search.change_points import ChangePoint, change_points, jumps

ANSWERS = st.lists(st.sampled_from([True, False, None]), max_size=40)


@given(ANSWERS)
def test_every_two_known_neighbours_that_differ_are_a_change_and_nothing_else_is(answers):
    pairs = [
        (low, high)
        for low in range(len(answers))
        for high in range(low + 1, len(answers))
        if None not in (answers[low], answers[high])
        and answers[low] is not answers[high]
        and all(answers[item] is None for item in range(low + 1, high))
    ]
    assert [(one.before, one.after) for one in change_points(answers)] == pairs


@given(ANSWERS)
def test_changes_go_to_and_fro_and_say_which_way(answers):
    found = change_points(answers)
    assert all(one.bad is not other.bad for one, other in pairwise(found))
    assert all(answers[one.after] is one.bad for one in found)


def test_a_change_with_something_unknown_inside_is_not_exact():
    assert change_points([False, None, True, False]) == (ChangePoint(0, 2, bad=True), ChangePoint(2, 3, bad=False))
    assert [one.exact for one in change_points([False, None, True, False])] == [False, True]


def far(before, after):
    return abs(after - before) > 2


def test_a_figure_that_jumps_is_named_and_noise_is_not():
    assert jumps([10, 11, None, 30, 29, 10], far) == ((1, 3), (4, 5))


def test_a_slow_drift_is_seen_where_it_leaves_the_level_it_began_at():
    assert jumps([10, 11, 12, 13, 14], far) == ((2, 3),)


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=40))
def test_figures_that_always_count_as_changed_give_one_jump_a_step(values):
    known = [value for value in values if value is not None]
    assert len(jumps(values, lambda one, other: one != other)) == sum(one != other for one, other in pairwise(known))
