"""What groups equal failures across cells: exception type, normalized message, innermost frame inside a package."""

from __future__ import annotations

import functools
import re
import signal as signals
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import resources

from harness.runner.process import ProcessExit
from harness.store.records import Expectation, Failure, Frame

LONGEST = 200  # characters of a normalized message


LONG_QUOTE = 41  # quoted text of this length or more is data, shorter is a name


ELLIPSIS = "…"


_STEPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b[a-z]{2,8}://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "<address>"),
    (re.compile(r"(?<![\w.])[A-Za-z]:\\[^\s'\":]+"), "<path>"),
    (re.compile(r"(?<![\w.<>)/])~?/(?:[\w.+@~-]+/)*[\w.+@~-]*\w"), "<path>"),
    (re.compile(r"(?<![A-Za-z0-9_])[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?(?![A-Za-z0-9_])"), "N"),
    (re.compile(r"\bN(?:[.,]N)+\b"), "N"),
    (re.compile(r"([\[(])N(?:\s*[,x×]\s*N)*,?([\])])"), r"\1N\2"),
    (re.compile(rf"(?<![\w'])'[^'\n]{{{LONG_QUOTE},}}'(?!\w)"), f"'{ELLIPSIS}'"),
    (re.compile(rf'"[^"\n]{{{LONG_QUOTE},}}"'), f'"{ELLIPSIS}"'),
    (re.compile(rf"`[^`\n]{{{LONG_QUOTE},}}`"), f"`{ELLIPSIS}`"),
)


def normalize(message: str) -> str:
    """Return the message without its variable parts, on one line, at most ``LONGEST`` characters.

    The function is idempotent, and messages that differ only in numbers become equal.
    """
    text = message
    while (blanked := _once(text)) != text:  # cutting can lay a number bare, and blanking make two neighbours one
        text = blanked
    return text


def _once(text: str) -> str:
    text = " ".join(_without_arguments(text).split())
    for pattern, replacement in _STEPS:
        text = pattern.sub(replacement, text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + ELLIPSIS


def _without_arguments(message: str) -> str:
    """Replace the arguments of a call, as in the text form of a module: ``Linear4bit(…)``.

    Brackets that never close are left unchanged; ``f()`` keeps its empty pair, and a bracket that follows no name
    is prose.
    """
    kept: list[str] = []
    position = 0
    for start, end in _calls(message):
        if start >= position:
            kept += [message[position : start + 1], ELLIPSIS]
            position = end
    return "".join([*kept, message[position:]])


def _calls(message: str) -> list[tuple[int, int]]:
    """Return (opening, closing) positions of the brackets that follow a name and hold something, outermost first."""
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for index, letter in enumerate(message):
        if letter == "(":
            opened.append(index)
        elif letter == ")" and opened:
            start = opened.pop()
            if start and (message[start - 1].isalnum() or message[start - 1] == "_") and index > start + 1:
                found.append((start, index))

    return sorted(found)


@dataclass(frozen=True)
class Rule:
    """A known failure: its pattern, its name and its tracker."""

    name: str
    summary: str
    type: str | None = None
    message: str | None = None
    frame: str | None = None
    tracker: str | None = None

    def matches(self, failure: Failure) -> bool:
        """Tell whether everything that the rule names is found in the failure."""
        return (
            (self.type is None or self.type == short_type(failure))
            and (self.message is None or re.search(self.message, failure.message) is not None)
            and (self.frame is None or any(re.search(self.frame, location(frame)) for frame in failure.frames))
        )


@dataclass(frozen=True)
class Signature:
    """What groups failures; rule and tracker are there when the failure is a known one."""

    id: str
    summary: str
    rule: str | None = None
    tracker: str | None = None

    @property
    def key(self) -> str:
        """Return what a report groups by: the rule, which survives a moved frame, else the signature."""
        return self.rule or self.id


def signature(failure: Failure, under_test: Collection[str]) -> Signature:
    """Return the signature of an exception; ``under_test`` are packages by index or import name."""
    head = f"{short_type(failure)}: {normalize(failure.message)}".removesuffix(": ")
    frame = telling_frame(failure.frames, under_test)
    rule = recognise(failure)
    return Signature(
        id=f"{head} @ {location(frame)}" if frame else head,
        summary=rule.summary if rule else head,
        rule=rule.name if rule else None,
        tracker=rule.tracker if rule else None,
    )


def expectation_signature(expectations: Sequence[Expectation]) -> Signature:
    """Return the signature of the expectations that did not hold: their sentences, without the details."""
    sentences = "; ".join(dict.fromkeys(normalize(each.text) for each in expectations if not each.held))
    return Signature(id=f"expectation: {sentences}", summary=f"does not hold: {sentences}")


def exit_signature(ended: ProcessExit) -> Signature:
    """Return the signature of a process that ended without an exception of its own.

    ``timeout``, ``host_oom``, ``crash:SIGSEGV`` or ``crash:exit-3``.
    """
    if ended.timed_out:
        return Signature("timeout", "did not end within its time")
    if ended.host_oom:
        return Signature("host_oom", "killed by the kernel for want of host memory")
    if ended.signal is not None:
        name = signal_name(ended.signal)
        return Signature(f"crash:{name}", f"the process died by {name}")
    return Signature(f"crash:exit-{ended.code}", f"the process ended with code {ended.code} and without a result")


def signal_name(number: int) -> str:
    """Name a signal (``SIGSEGV``); ``signal-99`` for one this platform does not have."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal-{number}"


def recognise(failure: Failure) -> Rule | None:
    """Return the first rule that knows the failure."""
    return next((rule for rule in rules() if rule.matches(failure)), None)


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Read the packaged ``signatures.toml``, in its order."""
    text = resources.files("harness.verdict").joinpath("signatures.toml").read_text(encoding="utf-8")
    return tuple(Rule(**entry) for entry in tomllib.loads(text)["rule"])


def telling_frame(frames: Sequence[Frame], under_test: Collection[str]) -> Frame | None:
    """Return the innermost frame in a package under test, else in any package, else the scenario's own test."""
    wanted = import_names(under_test)
    inside = [frame for frame in frames if frame.package is not None]
    for choice in ([frame for frame in inside if (frame.package or "").lower() in wanted], inside):
        if choice:
            return choice[-1]
    tests = [frame for frame in frames if frame.function.startswith("test")]
    return tests[0] if tests else frames[-1] if frames else None


def location(frame: Frame) -> str:
    """Write a frame as ``accelerate/utils/modeling.py:set_module_tensor_to_device``; lines move between releases."""
    return f"{frame.path}:{frame.function}"


def short_type(failure: Failure) -> str:
    """Return the exception's class name alone: torch moved its own between modules."""
    return failure.type.rsplit(".", 1)[-1]


def import_names(packages: Collection[str]) -> frozenset[str]:
    """Turn index names into import names as far as they follow from each other (``huggingface-hub``)."""
    return frozenset(re.sub(r"[-.]+", "_", package).lower() for package in packages)
