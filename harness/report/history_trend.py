"""What the nights of one track say: words, streak, since when, and every change that stayed: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.history.query import Measured, Night, Track
from harness.store.records import Status
from harness.verdict.figures import CUDA, HOST, LOAD, delta, figure_title, human
from harness.verdict.result import outcome_text, status_of
from harness.verdict.statistics import OWN, Spread, moved, steps, unit_of

SECONDS = "seconds"
RED = (Status.FAIL, Status.ERROR, Status.UNAVAILABLE, Status.FLAKY)
Name = Callable[[str], str]  # what a signature is grouped by: its rule's name where there is one


@dataclass(frozen=True)
class Turn:
    """One change that stayed: ``what`` is ``outcome``, ``signature`` or a figure; ``place`` is the night after it."""

    what: str
    place: int
    night: Night
    before: str
    after: str
    versions: tuple[str, ...]  # ``transformers 5.1.0 → 5.2.0``, what the line names first
    worse: bool | None = None  # None where nobody can say

    @property
    def sentence(self) -> str:
        """Say it in words."""
        name = self.what if self.what in {"outcome", "signature"} else figure_title(self.what)
        return f"{name}: {self.before} → {self.after}"


@dataclass(frozen=True)
class Trend:
    """One track over its nights; ``streak`` counts nights that say the same as the last one, misses passed over."""

    track: Track
    nights: tuple[Night, ...]
    words: tuple[Status, ...]
    streak: int
    since: Night | None  # the first night of the streak
    by: tuple[str, ...]  # the versions that changed on that night
    figures: tuple[str, ...]  # what is charted: memory of one phase, then seconds
    turns: tuple[Turn, ...]

    @property
    def word(self) -> Status:
        """Return what the last night with an answer says, a miss where none has one."""
        return next((word for word in reversed(self.words) if word is not Status.MISS), Status.MISS)

    @property
    def telling(self) -> bool:
        """Tell whether there is anything to look at: it is not green now, or something changed."""
        return bool(self.turns) or self.word in RED or self.words[-1] is Status.MISS

    def last(self, figure: str) -> Measured | None:
        """Return the newest value of a figure."""
        return next((night.figures[figure] for night in reversed(self.nights) if figure in night.figures), None)

    def turn_of(self, figure: str) -> Turn | None:
        """Return the last change of a figure."""
        return next((turn for turn in reversed(self.turns) if turn.what == figure), None)


def trend(track: Track, nights: Sequence[Night], name: Name = str) -> Trend:
    """Read the nights of one track, at least one, oldest first."""
    words = tuple(status_of(night.outcomes) for night in nights)
    streak, first = _streak(words)
    earlier = [night for night, word in zip(nights[:first], words, strict=False) if word is not Status.MISS]
    return Trend(
        track=track,
        nights=tuple(nights),
        words=words,
        streak=streak,
        since=nights[first] if streak else None,
        by=version_changes(earlier[-1], nights[first]) if earlier and streak else (),
        figures=charted(nights),
        turns=tuple(sorted([*_answers(nights, words, name), *_figures(nights)], key=lambda turn: turn.place)),
    )


def _streak(words: Sequence[Status]) -> tuple[int, int]:
    """Return the length of the last streak and the place where it begins."""
    told = [place for place, word in enumerate(words) if word is not Status.MISS]
    length = 0
    for place in reversed(told):
        if words[place] is not words[told[-1]]:
            break
        length += 1
    return length, told[-length] if length else len(words)


def _answers(nights: Sequence[Night], words: Sequence[Status], name: Name) -> list[Turn]:
    """Return the changes of outcome, and of the signature where the outcome stayed red."""
    states = [
        None if word is Status.MISS else (word, _outcome(night), name(night.signature))
        for night, word in zip(nights, words, strict=True)
    ]
    found = []
    for before, after in steps(states, lambda one, other: one != other):
        old, new = states[before], states[after]
        if old is None or new is None:
            continue
        what, sides = ("outcome", (old[1], new[1])) if old[1] != new[1] else ("signature", (old[2], new[2]))
        worse = None if (new[0] in RED) == (old[0] in RED) else new[0] in RED
        found.append(_turn(what, nights, before, after, sides, worse))
    return found


def _outcome(night: Night) -> str:
    flaky = status_of(night.outcomes) is Status.FLAKY
    return f"flaky ({len(night.outcomes)} attempts)" if flaky else outcome_text(night.outcomes)


def _figures(nights: Sequence[Night]) -> list[Turn]:
    found = []
    for figure in followed(nights):
        values = [_spread(night, figure) for night in nights]
        for before, after in steps(values, lambda one, other, figure=figure: moved(figure, one, other)):  # type: ignore[misc]
            old, new = values[before], values[after]
            if old is None or new is None:
                continue
            unit = unit_of(figure)
            said = human(new.median, unit), delta(new.median, old.median, unit)
            sides = (human(old.median, unit), f"{said[0]}, {said[1]}" if said[1] else said[0])
            worse = new.median > old.median if unit else None
            found.append(_turn(figure, nights, before, after, sides, worse))
    return found


def _spread(night: Night, figure: str) -> Spread | None:
    measured = night.figures.get(figure)
    return None if measured is None else Spread(*measured)


def _turn(  # what a change consists of
    what: str, nights: Sequence[Night], before: int, after: int, sides: tuple[str, str], worse: bool | None
) -> Turn:
    versions = version_changes(nights[before], nights[after])
    return Turn(what, after, nights[after], *sides, versions=versions, worse=worse)


def followed(nights: Sequence[Night]) -> tuple[str, ...]:
    """Return the figures whose changes are looked for: memory of every phase, seconds, and what the scenario counts."""
    alike = dict.fromkeys(tuple(night.figures) for night in nights)  # most nights measure the same
    names = dict.fromkeys(name for each in alike for name in each)
    memory = CUDA if any(name.partition(".")[0] in CUDA for name in names) else HOST
    return tuple(name for name in names if name == SECONDS or name.partition(".")[0] in {*memory, OWN})


def charted(nights: Sequence[Night]) -> tuple[str, ...]:
    """Return the figures that are drawn: memory of the load, else of the phase that takes most, and seconds."""
    names = [name for name in followed(nights) if name.partition(".")[0] not in {OWN, SECONDS}]
    phases: dict[str, float] = {}
    for night in reversed(nights):
        if phases:
            break
        phases = {name.partition(".")[2]: night.figures[name].median for name in names if name in night.figures}
    if not phases:
        return (SECONDS,)
    phase = LOAD if LOAD in phases else max(phases, key=lambda each: phases[each])
    order = {name: place for place, name in enumerate((*CUDA, *HOST))}
    chosen = sorted(
        (name for name in names if name.partition(".")[2] == phase), key=lambda n: order[n.partition(".")[0]]
    )
    return (*chosen, SECONDS)


def version_changes(before: Night, after: Night) -> tuple[str, ...]:
    """Return which installed versions differ between two nights, those that the line names first.

    Of what is built from a commit, the commits are told; a folder that stayed the same may hold another version.
    """
    if before.versions is after.versions and before.built is after.built:
        return ()
    told = [_changed(before.versions, after.versions), _changed(before.exact, after.exact)]
    changed = {name: pair for each in told for name, pair in each.items()}
    ordered = sorted(changed, key=lambda name: (f"{name}=" not in after.line, name))
    return tuple(f"{name} {changed[name][0]} → {changed[name][1]}" for name in ordered)


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    pairs = {name: (old.get(name, "not installed"), new.get(name, "not installed")) for name in {*old, *new}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
