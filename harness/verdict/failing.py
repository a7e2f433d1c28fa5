"""When a comparison ends with an exit code: what ``--fail-on`` asks for, and what is missing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from harness.errors import ExitCode
from harness.verdict.box import Answer, Entry, Kind
from harness.verdict.known import State

RED = {Answer.FAIL, Answer.ERROR, Answer.FLAKY}


def _now(entry: Entry, *answers: Answer) -> bool:
    return entry.after is not None and entry.after.answer in answers


def _new(entry: Entry) -> bool:
    return entry.kind is Kind.NEW_FAILURE or (entry.kind is Kind.APPEARED and _now(entry, Answer.FAIL))


def _newly_flaky(entry: Entry) -> bool:
    before = entry.before is not None and entry.before.answer is Answer.FLAKY
    return _now(entry, Answer.FLAKY) and not before


FAIL_ON: Mapping[str, Callable[[Entry], bool]] = {
    "new": _new,
    "changed": lambda entry: entry.kind is Kind.CHANGED,
    "memory": lambda entry: entry.kind is Kind.MEMORY_UP,
    "flaky": lambda entry: _now(entry, Answer.FLAKY),
    "disappeared": lambda entry: entry.kind is Kind.DISAPPEARED,
    "unknown": lambda entry: entry.kind is Kind.UNKNOWN,
    "any": lambda entry: (
        _new(entry)
        or _newly_flaky(entry)
        or entry.kind in {Kind.CHANGED, Kind.MEMORY_UP, Kind.DISAPPEARED, Kind.UNKNOWN}
    ),
    "red": lambda entry: _now(entry, *RED),
}
LOUD = {"red"}  # counts what is known or accepted too


def quiet(entry: Entry) -> bool:
    """Tell whether somebody expects this: red as a known issue says, or accepted against the baseline."""
    return bool(entry.accepted) or (entry.known is not None and entry.known.state is State.KNOWN)


def counted(entries: Sequence[Entry], asked: Collection[str]) -> tuple[Entry, ...]:
    """Return the entries that ``--fail-on`` asks for; ``asked`` are keys of ``FAIL_ON``."""
    return tuple(
        entry for entry in entries if any(FAIL_ON[word](entry) and (word in LOUD or not quiet(entry)) for word in asked)
    )


def exit_code(entries: Sequence[Entry], compared: int, asked: Collection[str]) -> ExitCode:
    """Return the exit code of a comparison.

    ============================================================================ ===
    a result is missing, infrastructure stood in the way, or no place has an     4
    answer (pass, fail, flaky) on both sides
    ``--fail-on`` asked for it, and there is one that is neither known nor       1
    accepted
    else                                                                         0
    ============================================================================ ===
    """
    if not compared or any(entry.incomplete for entry in entries):
        return ExitCode.INCOMPLETE
    return ExitCode.REGRESSION if counted(entries, asked) else ExitCode.COMPLETE
