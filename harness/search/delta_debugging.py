"""Delta debugging: the smallest set of changes that turns no into yes, in as few probes as possible: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, combinations, pairwise

from harness.search.bisection import Answer, Search

Subset = frozenset[int]


PAIRS = 4  # up to this many undecided members are removed in pairs, more of them only all at once


@dataclass(frozen=True)
class MinimalSubset:
    """A set that is yes, and the answers without its members.

    Attributes:
        members: The set.
        proven: Groups without which it is no. Changes that only move together are one group.
        undecided: Members that leave an unknown answer when they are removed alone.
    """

    members: Subset
    proven: tuple[Subset, ...]
    undecided: Subset


@dataclass(frozen=True)
class Stage:
    """The state of a search.

    Attributes:
        wanted: The subsets to probe now.
        needed: The changes that are part of the answer already.
        suspects: The changes among which the answer turns.
        red: The smallest set known to be yes; the answer is part of it.
        found: The answer.
    """

    wanted: tuple[Subset, ...]
    needed: Subset
    suspects: Subset
    red: Subset
    found: MinimalSubset | None = None


@dataclass(frozen=True)
class MinimalSet:
    """A search for a smallest set among changes 0 … ``size - 1``: none of them applied is no, all of them yes.

    The driver asks for the next subsets, probes them, and continues with :meth:`with_answers`. The answers are the
    whole state, so a search can be resumed from them, and no subset is asked for twice.

    Changes are applied in their order until the answer turns: bisection finds the one that turns it. It is kept, and
    the changes before it are searched in the same way until the kept ones are enough. Then each member is removed once
    more, so that the set is proven whatever the answers were. One cause takes at most ⌈log2 size⌉ + 1 probes, k changes
    that are needed together k · (⌈log2 size⌉ + 2), if every answer is known and more changes never turn yes back into
    no. Of several causes the one whose last change comes first is found.

    ``needs`` maps a change to the changes that it cannot be applied without. Until the set is found, only subsets that
    respect it are asked for; changes that need each other are one step.
    """

    size: int
    needs: Mapping[int, Subset] = field(default_factory=dict)
    answers: Mapping[Subset, Answer] = field(default_factory=dict)

    def with_answers(self, answers: Mapping[Subset, Answer]) -> MinimalSet:
        """Return the search with more answers."""
        return MinimalSet(self.size, self.needs, {**self.answers, **answers})

    def stage(self, slots: int = 1) -> Stage:
        """Return the state of the search; up to ``slots`` subsets are wanted at once."""
        needed, rest, blocks = frozenset[int](), self._steps, list[tuple[Subset, ...]]()
        while rest and not (needed and self._answer(needed) is Answer.YES):
            sets = list(accumulate(rest, lambda one, other: one | other, initial=needed))
            known = {at: answer for at, one in enumerate(sets) if (answer := self._answer(one)) is not None}
            search = Search(len(sets), {at: answer for at, answer in known.items() if 0 < at < len(rest)})
            first = () if 0 in known else (needed,)
            low, high = search.bracket
            if wanted := (*first, *(sets[at] for at in search.next(max(slots - len(first), 0)))):
                return Stage(wanted, needed, _union(rest[low:high]), sets[high])
            blocks.append(rest[low:high])
            needed |= self._with_needs(_union(rest[low:high]))
            rest = tuple(step for step in rest[:low] if not step <= needed)

        return self._prove(needed, _union(step for block in blocks if len(block) > 1 for step in block), slots)

    def next(self, slots: int = 1) -> tuple[Subset, ...]:
        """Return up to ``slots`` subsets to probe; nothing when it is over."""
        return self.stage(slots).wanted

    @property
    def found(self) -> MinimalSubset | None:
        """The answer; None while there is something to probe."""
        return self.stage().found

    def _prove(self, red: Subset, unsure: Subset, slots: int) -> Stage:
        """Remove parts from a set that is yes until no member can go; ``unsure`` could not be bisected."""
        parts = 2
        while True:
            doubtful = [step for step in self._steps if step <= red & unsure]
            coarse = parts < len(doubtful)
            chunks = (red - self._needing(chunk, red) for chunk in _parts(doubtful, parts))
            rounds = [chunks] if coarse else self._last_rounds(red)
            answers = (self._without(subsets, slots) for subsets in rounds)
            wanted, smaller = next((one for one in answers if any(one)), ((), None))
            if wanted:
                return Stage(wanted, red, frozenset(), red)
            if smaller is not None:
                red, parts = smaller, max(parts - 1, 2)
            elif coarse:
                parts *= 2
            else:
                return Stage((), red, frozenset(), red, self._outcome(red))

    def _last_rounds(self, red: Subset) -> Iterator[list[Subset]]:
        """Yield the removals in turn: what nothing needs, then several of these, then every member alone."""
        tops = [step for step in self._steps if step <= red and self._needing(step, red) == step]
        yield [red - step for step in tops]
        unknown = [step for step in tops if self._answer(red - step) is Answer.UNKNOWN]
        pairs = combinations(unknown, 2) if len(unknown) <= PAIRS else ()
        yield [red - one - other for one, other in pairs]
        yield [red - _union(unknown)] if unknown else []
        yield [red - {item} for item in sorted(red)]

    def _without(self, subsets: Iterable[Subset], slots: int) -> tuple[tuple[Subset, ...], Subset | None]:
        """Return the first of some subsets that is yes, or what to probe before that is known."""
        wanted: list[Subset] = []
        for subset in subsets:
            answer = self._answer(subset)
            if answer is Answer.YES and not wanted:
                return (), subset
            if answer is None and subset not in wanted:
                wanted.append(subset)
            if len(wanted) == slots:
                break

        return tuple(wanted), None

    def _outcome(self, red: Subset) -> MinimalSubset:
        steps = (step for step in self._steps if step <= red)
        groups = dict.fromkeys((*(frozenset({item}) for item in sorted(red)), *steps))
        return MinimalSubset(
            members=red,
            proven=tuple(one for one in groups if self._answer(red - one) is Answer.NO),
            undecided=frozenset(item for item in red if self._answer(red - {item}) is Answer.UNKNOWN),
        )

    def _answer(self, subset: Subset) -> Answer | None:
        if not subset:
            return Answer.NO
        return Answer.YES if len(subset) == self.size else self.answers.get(subset)

    def _needing(self, chunk: Subset, red: Subset) -> Subset:
        """Return a part of a set with everything that cannot stay without it."""
        return chunk | frozenset(item for item in red if self._reach[item] & chunk)

    def _with_needs(self, items: Subset) -> Subset:
        return items | _union(self._reach[item] for item in items)

    @cached_property
    def _reach(self) -> dict[int, Subset]:
        """Everything that each change needs, directly or indirectly, and itself."""
        reach = {item: self.needs.get(item, frozenset()) | {item} for item in range(self.size)}
        while (wider := {item: _union(reach[one] for one in found) for item, found in reach.items()}) != reach:
            reach = wider
        return reach

    @cached_property
    def _steps(self) -> tuple[Subset, ...]:
        """Changes that move together, each after what it needs, else in the order of the changes."""
        steps: dict[Subset, None] = {}

        def place(item: int) -> None:
            step = frozenset(one for one in self._reach[item] if item in self._reach[one])
            if step not in steps:
                for one in sorted(self._reach[item] - step):
                    place(one)
                steps[step] = None

        for item in range(self.size):
            place(item)
        return tuple(steps)


def _union(subsets: Iterable[Subset]) -> Subset:
    return frozenset[int]().union(*subsets)


def _parts(steps: Sequence[Subset], count: int) -> list[Subset]:
    """Cut steps into parts of nearly equal size."""
    cuts = [len(steps) * part // count for part in range(count + 1)]
    return [_union(steps[low:high]) for low, high in pairwise(cuts) if low < high]


CYCLE = 3  # cycles of up to this many changes are separated from unrelated changes


FEW = 8  # larger sets are not tried in pairs and triples: too many resolutions


@dataclass(frozen=True)
class DependencyGroups:
    """The dependencies among ``size`` changes, learnt from resolutions; none and all of the changes can be resolved.

    A requirement between two packages, each with an old and a new version, can only say that one change needs the
    other: the new version requires the other's new one, or the old version excludes it. So each change has one smallest
    set that can be resolved with it. It is found from the changes that can be applied alone, those that all others can
    be applied without, and a few sets between: about twice ``size`` resolutions, without an installation. A set may be
    too large if more than three changes need each other, never too small.
    """

    size: int
    answers: Mapping[Subset, bool] = field(default_factory=dict)

    def with_answers(self, answers: Mapping[Subset, bool]) -> DependencyGroups:
        """Return the search with more answers."""
        return DependencyGroups(self.size, {**self.answers, **answers})

    def next(self) -> tuple[Subset, ...]:
        """Return the subsets to resolve now, in any order; nothing when it is over."""
        wanted = self._unasked(self._alone())
        bound = [item for item in range(self.size) if self._solvable({item}) is False]
        if not wanted and bound:
            wanted = self._unasked(self._all - {item} for item in range(self.size))
        if not wanted:
            wanted = self._unasked(one for item in bound for one in self._closing(item)[1])
        return wanted

    @property
    def needs(self) -> dict[int, Subset]:
        """Each change that cannot be applied alone, with the others that it needs."""
        bound = (item for item in range(self.size) if self._solvable({item}) is False)
        return {item: self._closing(item)[0] - {item} for item in bound}

    @property
    def _all(self) -> Subset:
        return frozenset(range(self.size))

    def _alone(self) -> Iterator[Subset]:
        return (frozenset({item}) for item in range(self.size))

    def _solvable(self, subset: Iterable[int]) -> bool | None:
        found = frozenset(subset)
        return True if len(found) in {0, self.size} else self.answers.get(found)

    def _unasked(self, subsets: Iterable[Subset]) -> tuple[Subset, ...]:
        return tuple(dict.fromkeys(one for one in subsets if self._solvable(one) is None))

    def _closing(self, item: int) -> tuple[Subset, tuple[Subset, ...]]:
        """Return the smallest set known to be solvable with a change, and the sets that may yield a smaller one."""
        needed = {one for one in range(self.size) if self._solvable(self._all - {one}) is False}
        around = frozenset({item} | needed)
        if self._solvable(around) is None:
            return self._all, (around,)
        found = around if self._solvable(around) else self._all
        count = 1
        while count <= (CYCLE if len(found) <= FEW else 1):
            smaller = [found - frozenset(gone) for gone in combinations(sorted(found - {item}), count)]
            if any(self._solvable(one) is None for one in smaller):
                return found, tuple(smaller)
            solvable = [one for one in smaller if self._solvable(one)]
            found, count = (solvable[0], 1) if solvable else (found, count + 1)

        return found, ()
