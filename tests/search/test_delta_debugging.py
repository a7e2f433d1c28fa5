"""The smallest set of changes against brute force: several causes, changes that need each other, unknown answers."""

import math
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from harness.search.bisection import Answer
from harness.search.delta_debugging import CYCLE, DependencyGroups, MinimalSet

SLOTS = st.integers(1, 4)
SIZE = st.integers(1, 13)


def every(size):
    """Return all subsets of so many changes."""
    items = range(size)
    return [frozenset(one) for count in range(size + 1) for one in combinations(items, count)]


def run(search, probe, slots=1):
    """Search to the end; return what was found, and the subsets that were probed in order."""
    probed = []
    while wanted := search.next(slots):
        assert len(wanted) <= slots
        assert search.found is None
        probed += wanted
        search = search.with_answers({one: probe(one) for one in wanted})
    assert len(probed) == len(set(probed))
    assert all(0 < len(one) < search.size for one in probed)
    return search.found, probed


def monotone(causes, size):
    """Answer yes where one of the causes is applied whole."""
    return lambda one: Answer.YES if any(cause <= one for cause in causes) or len(one) == size else Answer.NO


@st.composite
def caused(draw, causes=1, most=3):
    """Draw a number of changes, and sets of them of which each alone turns the answer."""
    size = draw(SIZE)
    few = st.frozensets(st.integers(0, size - 1), min_size=1, max_size=min(most, size))
    return size, draw(st.lists(few, min_size=1, max_size=causes))


def needs_of(draw, size):
    pair = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    pairs = draw(st.lists(pair, max_size=6))
    return {one: frozenset(b for a, b in pairs if a == one) for one, _ in pairs}


def keeps_to(needs, subset):
    return all(needs.get(item, frozenset()) <= subset for item in subset)


@given(st.integers(1, 200), st.data())
def test_one_cause_is_found_in_as_many_probes_as_halving_needs_and_one(size, data):
    cause = frozenset({data.draw(st.integers(0, size - 1))})
    found, probed = run(MinimalSet(size), monotone([cause], size))
    assert (found.members, found.proven) == (cause, (cause,))
    assert len(probed) <= math.ceil(math.log2(size)) + 1


def test_one_of_twelve_upgrades_takes_five_probes_at_most():
    for culprit in range(12):
        found, probed = run(MinimalSet(12), monotone([frozenset({culprit})], 12))
        assert found.members == {culprit}
        assert len(probed) <= 5


@given(caused(), SLOTS)
def test_changes_needed_together_are_all_found_and_proven_one_by_one(drawn, slots):
    size, (cause,) = drawn
    found, probed = run(MinimalSet(size), monotone([cause], size), slots)
    assert found.members == cause
    assert set(found.proven) == {frozenset({item}) for item in cause}
    assert not found.undecided
    if slots == 1:
        assert len(probed) <= len(cause) * (math.ceil(math.log2(size)) + 2)


@given(st.integers(2, 60), st.integers(2, 5), st.data())
def test_slots_make_fewer_rounds(size, slots, data):
    cause = frozenset({data.draw(st.integers(0, size - 1))})
    search, rounds = MinimalSet(size), 0
    while wanted := search.next(slots):
        search, rounds = search.with_answers({one: monotone([cause], size)(one) for one in wanted}), rounds + 1
    bound = 0
    while (slots + 1) ** bound < size:
        bound += 1
    assert rounds <= bound + 1


@given(caused(causes=4), SLOTS)
def test_of_several_causes_one_that_is_minimal_is_found(drawn, slots):
    size, causes = drawn
    found, _ = run(MinimalSet(size), monotone(causes, size), slots)
    assert found.members in causes
    assert all(found.members - {item} not in causes for item in found.members)
    assert not any(cause < found.members for cause in causes)


@given(caused(most=1, causes=3))
def test_of_several_single_causes_the_first_is_found(drawn):
    size, causes = drawn
    found, _ = run(MinimalSet(size), monotone(causes, size))
    assert found.members == min(causes, key=sorted)


@given(caused(), SLOTS, st.data())
def test_with_what_cannot_be_resolved_the_smallest_set_that_can_is_found(drawn, slots, data):
    """Until the set is known nothing is asked that cannot be resolved; then each member is taken away alone."""
    size, (cause,) = drawn
    needs = needs_of(data.draw, size)
    refused = []

    def probe(one):
        refused.extend([] if keeps_to(needs, one) else [one])
        return monotone([cause], size)(one) if keeps_to(needs, one) else Answer.UNKNOWN

    found, _ = run(MinimalSet(size, needs), probe, slots)
    smallest = frozenset.intersection(*(one for one in every(size) if cause <= one and keeps_to(needs, one)))
    assert found.members == smallest
    assert set(refused) == {smallest - {item} for item in found.undecided}
    assert found.undecided == {item for item in smallest if not keeps_to(needs, smallest - {item})}
    for group in found.proven:
        assert keeps_to(needs, found.members - group)
        assert not cause <= found.members - group
    tops = {item for item in smallest if not any(item in needs.get(one, ()) for one in smallest - {item})}
    assert tops <= frozenset().union(*found.proven)


@given(SIZE, st.data())
def test_what_cannot_go_alone_is_learnt_from_resolutions(size, data):
    needs = needs_of(data.draw, size)
    search, asked = DependencyGroups(size), []
    while wanted := search.next():
        asked += wanted
        search = search.with_answers({one: keeps_to(needs, one) for one in wanted})
    assert len(asked) == len(set(asked))
    least = {
        one: frozenset.intersection(*(two for two in every(size) if one in two and keeps_to(needs, two)))
        for one in range(size)
    }
    circle = max(sum(one in least[two] and two in least[one] for two in least) for one in least)
    for item in range(size):
        told = search.needs.get(item, frozenset()) | {item}
        assert least[item] <= told
        assert keeps_to(needs, told)
        if circle <= CYCLE:
            assert told == least[item]


def test_where_nothing_stands_in_the_way_each_change_is_resolved_once():
    search = DependencyGroups(12)
    first = search.next()
    assert first == tuple(frozenset({item}) for item in range(12))
    assert search.with_answers(dict.fromkeys(first, True)).next() == ()


ANSWERS = st.sampled_from(Answer)


@st.composite
def anything(draw, answers=ANSWERS):
    """Draw any answer at all for every subset, with none applied no and all applied yes."""
    size = draw(st.integers(1, 6))
    table = {one: draw(answers) for one in every(size)}
    return size, table | {frozenset(): Answer.NO, frozenset(range(size)): Answer.YES}


@given(anything(), SLOTS, st.data())
def test_whatever_is_answered_it_ends_and_claims_nothing_that_was_not_seen(drawn, slots, data):
    size, truth = drawn
    needs = needs_of(data.draw, size)
    found, probed = run(MinimalSet(size, needs), truth.__getitem__, slots)
    seen = {*probed, frozenset(), frozenset(range(size))}
    assert found.members in seen
    assert truth[found.members] is Answer.YES
    for group in found.proven:
        assert found.members - group in seen
        assert truth[found.members - group] is Answer.NO
    for item in found.undecided:
        assert found.members - {item} in seen
        assert truth[found.members - {item}] is Answer.UNKNOWN
    assert found.undecided.union(*found.proven) == found.members


@given(anything(st.sampled_from([Answer.YES, Answer.NO])), SLOTS)
def test_with_every_answer_known_no_member_can_be_taken_away_however_odd_they_are(drawn, slots):
    size, truth = drawn
    found, _ = run(MinimalSet(size), truth.__getitem__, slots)
    assert not found.undecided
    assert all(truth[found.members - {item}] is Answer.NO for item in found.members)


@given(caused(), SLOTS, st.data())
def test_one_that_breaks_otherwise_without_another_is_kept_with_it(drawn, slots, data):
    """At run time ``first`` needs ``second``: without it nobody can tell, and no resolver knows."""
    size, (cause,) = drawn
    first, second = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    known = monotone([cause], size)

    def probe(one):
        return Answer.UNKNOWN if first in one and second not in one else known(one)

    found, _ = run(MinimalSet(size), probe, slots)
    assert found.members == (cause | {second} if first in cause else cause)
    lone = {second} if first in cause and first != second else set()
    assert set(found.proven) == {frozenset({item}) for item in found.members - lone}
    assert found.undecided == lone


def test_when_nothing_can_be_told_everything_is_left():
    found, probed = run(MinimalSet(6), lambda one: Answer.UNKNOWN)
    assert found.members == frozenset(range(6))
    assert found.proven == ()
    assert found.undecided == frozenset(range(6))
    assert len(probed) < 25


@given(anything(), SLOTS, st.data())
def test_a_search_taken_up_from_some_of_its_answers_asks_none_of_them_again(drawn, slots, data):
    size, truth = drawn
    found, probed = run(MinimalSet(size), truth.__getitem__, slots)
    kept = data.draw(st.sets(st.sampled_from(probed))) if probed else set()
    again, asked = run(MinimalSet(size).with_answers({one: truth[one] for one in kept}), truth.__getitem__, slots)
    assert not kept & set(asked)
    assert truth[again.members] is Answer.YES
    whole, asked = run(MinimalSet(size).with_answers({one: truth[one] for one in probed}), truth.__getitem__, slots)
    assert (whole, asked) == (found, [])


def test_a_single_change_needs_no_probe():
    found, probed = run(MinimalSet(1), lambda one: Answer.UNKNOWN)
    assert (found.members, found.proven, probed) == ({0}, (frozenset({0}),), [])


def test_it_says_what_is_needed_already_and_where_it_looks_for_the_next():
    search = MinimalSet(8)
    assert search.stage().suspects == frozenset(range(8))
    search = search.with_answers({frozenset(range(4)): Answer.NO})
    assert (search.stage().needed, search.stage().suspects) == (frozenset(), frozenset({4, 5, 6, 7}))
    for count, answer in ((6, Answer.YES), (5, Answer.NO)):
        search = search.with_answers({frozenset(range(count)): answer})
    assert search.stage().needed == {5}
    assert search.stage().suspects == frozenset(range(5))
    assert search.stage().red == frozenset(range(6))
