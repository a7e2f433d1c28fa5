"""Bisection and exponential search against brute force: unknown answers, several changes, several slots."""

import math

from hypothesis import given
from hypothesis import strategies as st

from harness.search.bisection import Answer, ExponentialSearch, Search

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
        search = search.with_answers({item: truth[item] for item in wanted})
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
        search = search.with_answers({item: truth[item] for item in wanted})
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


YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
SLOTS = st.integers(1, 5)
COUNTS = st.integers(0, 60)
SORTED_BACK = st.tuples(COUNTS, COUNTS).map(lambda counts: [NO] * counts[0] + [YES] * (counts[1] + 1))
LACKING = st.tuples(COUNTS, st.integers(1, 60), COUNTS).map(
    lambda counts: [UNKNOWN] * counts[0] + [NO] * counts[1] + [YES] * (counts[2] + 1)
)
ANY_BACK = st.lists(st.sampled_from(Answer), max_size=60).map(lambda inner: [*inner, YES])


def look_back(truth, slots=1, known=None):
    """Look back to the end; return the search, what was probed in order, and the rounds."""
    search, probed, rounds = ExponentialSearch(len(truth), known or {}), [], 0
    while wanted := search.next(slots):
        assert len(wanted) <= slots
        search = search.with_answers({item: truth[item] for item in wanted})
        probed += wanted
        rounds += 1
    return search, probed, rounds


def test_the_strides_double_and_end_at_the_oldest():
    _, probed, _ = look_back([YES] * 20)
    assert probed == [18, 16, 12, 4, 0]


@given(SORTED_BACK)
def test_a_good_one_is_found_in_as_many_probes_as_halving_needs(truth):
    search, probed, _ = look_back(truth)
    assert len(probed) <= math.ceil(math.log2(len(truth)))
    assert (search.found is not None) == (NO in truth)


@given(SORTED_BACK, SLOTS)
def test_slots_make_fewer_rounds_backwards(truth, slots):
    _, _, rounds = look_back(truth, slots)
    assert rounds <= math.ceil(math.ceil(math.log2(len(truth))) / slots)


@given(LACKING, SLOTS)
def test_releases_that_are_too_old_to_tell_do_not_hide_a_good_one(truth, slots):
    search, _, _ = look_back(truth, slots)
    assert search.found is not None


@given(ANY_BACK, SLOTS)
def test_nothing_is_probed_twice_and_what_is_found_is_true(truth, slots):
    search, probed, _ = look_back(truth, slots)
    assert len(probed) == len(set(probed))
    assert len(truth) - 1 not in probed
    if search.found is None:
        assert NO not in {truth[item] for item in probed}
        assert truth[0] is not NO
    else:
        assert truth[search.found] is NO
    assert truth[search.reached] is YES


@given(SORTED_BACK.filter(lambda truth: NO in truth))
def test_the_bisect_that_follows_uses_every_answer_and_probes_as_little_as_the_distance_asks(truth):
    looked, probed, _ = look_back(truth)
    oldest = looked.found
    search = Search(len(truth) - oldest).with_answers(
        {item - oldest: looked.answers[item] for item in probed if item > oldest}
    )
    while wanted := search.next():
        assert not {item + oldest for item in wanted} & set(probed)
        search = search.with_answers({item: truth[item + oldest] for item in wanted})
        probed += [item + oldest for item in wanted]
    assert search.suspects == (truth.index(YES) - oldest,)
    distance = len(truth) - truth.index(YES)
    assert len(probed) <= 2 * math.ceil(math.log2(distance + 1))


@given(ANY_BACK, SLOTS, st.data())
def test_a_search_taken_up_from_some_of_its_answers_probes_none_of_them_again(truth, slots, data):
    _, probed, _ = look_back(truth, slots)
    kept = data.draw(st.sets(st.sampled_from(probed))) if probed else set()
    search, again, _ = look_back(truth, slots, {item: truth[item] for item in kept})
    assert not kept & set(again)
    if search.found is not None:
        assert truth[search.found] is NO


def test_what_was_strode_over_is_looked_at_after_two_that_cannot_be_told():
    """30 releases lack the model, two are good, eight are bad: 8 of 40 probes, not one for every old release."""
    search, probed, _ = look_back([UNKNOWN] * 30 + [NO] * 2 + [YES] * 8)
    assert search.found in (30, 31)
    assert len(probed) <= 8


def test_a_single_one_has_nothing_older():
    assert look_back([YES])[0].found is None
