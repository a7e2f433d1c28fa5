"""Looking back for a good end: by brute force, with unknown answers, several slots, and the bisect that follows."""

import math

from hypothesis import given
from hypothesis import strategies as st

from harness.search.bisection import Answer, Search, Strides

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
SLOTS = st.integers(1, 5)
COUNTS = st.integers(0, 60)
SORTED = st.tuples(COUNTS, COUNTS).map(lambda counts: [NO] * counts[0] + [YES] * (counts[1] + 1))
LACKING = st.tuples(COUNTS, st.integers(1, 60), COUNTS).map(
    lambda counts: [UNKNOWN] * counts[0] + [NO] * counts[1] + [YES] * (counts[2] + 1)
)
ANY = st.lists(st.sampled_from(Answer), max_size=60).map(lambda inner: [*inner, YES])


def run(truth, slots=1, known=None):
    """Look back to the end; return the search, what was probed in order, and the rounds."""
    search, probed, rounds = Strides(len(truth), known or {}), [], 0
    while wanted := search.next(slots):
        assert len(wanted) <= slots
        search = search.told({item: truth[item] for item in wanted})
        probed += wanted
        rounds += 1
    return search, probed, rounds


def test_the_strides_double_and_end_at_the_oldest():
    _, probed, _ = run([YES] * 20)
    assert probed == [18, 16, 12, 4, 0]


@given(SORTED)
def test_a_good_one_is_found_in_as_many_probes_as_halving_needs(truth):
    search, probed, _ = run(truth)
    assert len(probed) <= math.ceil(math.log2(len(truth)))
    assert (search.found is not None) == (NO in truth)


@given(SORTED, SLOTS)
def test_slots_make_fewer_rounds(truth, slots):
    _, _, rounds = run(truth, slots)
    assert rounds <= math.ceil(math.ceil(math.log2(len(truth))) / slots)


@given(LACKING, SLOTS)
def test_releases_that_are_too_old_to_tell_do_not_hide_a_good_one(truth, slots):
    search, _, _ = run(truth, slots)
    assert search.found is not None


@given(ANY, SLOTS)
def test_nothing_is_probed_twice_and_what_is_found_is_true(truth, slots):
    search, probed, _ = run(truth, slots)
    assert len(probed) == len(set(probed))
    assert len(truth) - 1 not in probed
    if search.found is None:
        assert NO not in {truth[item] for item in probed}
        assert truth[0] is not NO
    else:
        assert truth[search.found] is NO
    assert truth[search.reached] is YES


@given(SORTED.filter(lambda truth: NO in truth))
def test_the_bisect_that_follows_uses_every_answer_and_probes_as_little_as_the_distance_asks(truth):
    looked, probed, _ = run(truth)
    oldest = looked.found
    search = Search(len(truth) - oldest).told({item - oldest: looked.answers[item] for item in probed if item > oldest})
    while wanted := search.next():
        assert not {item + oldest for item in wanted} & set(probed)
        search = search.told({item: truth[item + oldest] for item in wanted})
        probed += [item + oldest for item in wanted]
    assert search.suspects == (truth.index(YES) - oldest,)
    distance = len(truth) - truth.index(YES)
    assert len(probed) <= 2 * math.ceil(math.log2(distance + 1))


@given(ANY, SLOTS, st.data())
def test_a_search_taken_up_from_some_of_its_answers_probes_none_of_them_again(truth, slots, data):
    _, probed, _ = run(truth, slots)
    kept = data.draw(st.sets(st.sampled_from(probed))) if probed else set()
    search, again, _ = run(truth, slots, {item: truth[item] for item in kept})
    assert not kept & set(again)
    if search.found is not None:
        assert truth[search.found] is NO


def test_what_was_strode_over_is_looked_at_after_two_that_cannot_be_told():
    """30 releases lack the model, two are good, eight are bad: 8 of 40 probes, not one for every old release."""
    search, probed, _ = run([UNKNOWN] * 30 + [NO] * 2 + [YES] * 8)
    assert search.found in (30, 31)
    assert len(probed) <= 8


def test_a_single_one_has_nothing_older():
    assert run([YES])[0].found is None
