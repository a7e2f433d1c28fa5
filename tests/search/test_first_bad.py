"""The search against brute force: with unknown answers, several changes, several slots."""

import math

from hypothesis import given
from hypothesis import strategies as st

from harness.search.bisection import Answer, Search

KNOWN = st.sampled_from([Answer.YES, Answer.NO])
SLOTS = st.integers(1, 5)


def ends(inner):
    return [Answer.NO, *inner, Answer.YES]


ANY = st.lists(st.sampled_from(Answer), max_size=40).map(ends)
SEVERAL = st.lists(KNOWN, max_size=40).map(ends)
SORTED = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(
    lambda counts: ends([Answer.NO] * counts[0] + [Answer.YES] * counts[1])
)


def run(truth, slots=1):
    """Search to the end; return the search, what was probed in order, and the rounds."""
    search, probed, rounds = Search(len(truth)), [], 0
    while wanted := search.next(slots):
        promised = search.rounds_left(slots)
        search = search.told({item: truth[item] for item in wanted})
        probed += wanted
        rounds += 1
        if Answer.UNKNOWN not in truth:
            assert search.rounds_left(slots) < promised
    return search, probed, rounds


@given(SORTED)
def test_one_change_is_found_in_as_many_probes_as_halving_needs(truth):
    search, probed, _ = run(truth)
    assert search.suspects == (truth.index(Answer.YES),)
    assert len(probed) <= math.ceil(math.log2(len(truth)))


@given(SORTED, SLOTS)
def test_slots_make_fewer_rounds(truth, slots):
    search, _, rounds = run(truth, slots)
    assert search.suspects == (truth.index(Answer.YES),)
    bound = 0
    while (slots + 1) ** bound < len(truth):
        bound += 1
    assert rounds <= bound


@given(SEVERAL, SLOTS)
def test_of_several_changes_a_true_one_is_found(truth, slots):
    search, _, _ = run(truth, slots)
    (first,) = search.suspects
    assert (truth[first - 1], truth[first]) == (Answer.NO, Answer.YES)


@given(ANY, SLOTS)
def test_an_unknown_stretch_is_named_whole_and_nothing_else_is(truth, slots):
    search, probed, _ = run(truth, slots)
    low, high = search.bracket
    assert (truth[low], truth[high]) == (Answer.NO, Answer.YES)
    assert all(truth[item] is Answer.UNKNOWN for item in range(low + 1, high))
    assert search.suspects == tuple(range(low + 1, high + 1))
    assert all(0 < item < len(truth) - 1 for item in probed)


@given(ANY, SLOTS)
def test_nothing_is_probed_twice(truth, slots):
    _, probed, _ = run(truth, slots)
    assert len(probed) == len(set(probed))


@given(ANY, SLOTS, st.data())
def test_a_search_taken_up_from_some_of_its_answers_ends_at_a_change_too(truth, slots, data):
    _, probed, _ = run(truth, slots)
    kept = data.draw(st.sets(st.sampled_from(probed))) if probed else set()
    search = Search(len(truth), {item: truth[item] for item in kept})
    while wanted := search.next(slots):
        assert not kept & set(wanted)
        search = search.told({item: truth[item] for item in wanted})
    low, high = search.bracket
    assert (truth[low], truth[high]) == (Answer.NO, Answer.YES)


def test_two_neighbours_need_no_probe():
    search = Search(2)
    assert search.next() == ()
    assert search.suspects == (1,)


@given(st.integers(1, 19), st.integers(1, 12), SLOTS)
def test_a_stretch_that_cannot_be_told_is_not_walked_through_when_the_change_lies_elsewhere(change, length, slots):
    """The middle of 64 lacks what is asked for, and the answer changes before it."""
    truth = [Answer.NO] * change + [Answer.YES] * (64 - change)
    truth[26 : 26 + length] = [Answer.UNKNOWN] * length
    search, probed, _ = run(truth)
    assert search.suspects == (change,)
    assert sum(truth[item] is Answer.UNKNOWN for item in probed) <= 2
    assert run(truth, slots)[0].suspects == (change,)
