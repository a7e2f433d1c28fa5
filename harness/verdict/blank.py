"""Blank out of a message what differs between two sightings of one failure: numbers, addresses, paths, shapes."""

from __future__ import annotations

import re

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


def blank(message: str) -> str:
    """Return the message with what varies blanked, on one line, at most ``LONGEST`` characters.

    Blanking twice changes nothing more, and two messages that differ in numbers alone become one.
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
    """Replace what stands in a call's brackets, as in the text form of a module: ``Linear4bit(…)``.

    Brackets that never close are left as they stand; ``f()`` keeps its empty pair, and a bracket that follows no name
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
