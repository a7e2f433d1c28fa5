"""A draft as Markdown that GitHub takes: never longer than an issue may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.report.html import environment
from harness.report.issue.model import IssueContext
from harness.report.issue.wording import counted, listed
from harness.report.markdown import LIMIT, code, escaped, tracker

ALL = 10**9
LONG, SHORT = 600, 160  # characters of a text that comes from a scenario or an exception


@dataclass(frozen=True)
class Shown:
    """How much of everything one rendering shows, and what it says was left out."""

    lock: bool = True
    probed: bool = True
    text: int = LONG
    green: int = 20
    tests: int = ALL
    lines: int = ALL
    changes: int = ALL
    memory: bool = True
    matrix: bool = True
    frames: int = ALL
    script: bool = True
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rendered:
    """A draft's text and what was left out of it."""

    text: str
    left_out: tuple[str, ...]


def render(issue: IssueContext, limit: int = LIMIT) -> Rendered:
    """Return the draft, always shorter than ``limit`` characters; what is least useful goes first and is named."""
    done = Rendered("", ())
    for shown in _ever_shorter(issue):
        done = Rendered(_render(issue, shown), shown.left_out)
        if len(done.text) < limit:
            return done
    end = "\n\n(the rest is left out)\n"
    return Rendered(done.text[: max(limit - len(end) - 1, 0)] + end, (*done.left_out, "the end"))


def _ever_shorter(issue: IssueContext) -> Iterator[Shown]:
    """Yield what to show, each less than the one before.

    ======== ======================================================
    goes     what
    ======== ======================================================
    1st      the list of all installed packages
    2nd      what each release of a bisect, or environment of a blame gave
    3rd      all but the beginning of long texts
    4th      passing tests beyond five, other failing tests beyond five
    5th      differing packages beyond a dozen
    6th      cells of the small matrix beyond 40, then 10
    7th      the memory table, the matrix
    8th      frames beyond five
    9th      the script
    ======== ======================================================

    What is not there, or no longer than that, is passed over.
    """
    steps: tuple[tuple[bool, str, dict[str, object]], ...] = (
        (bool(issue.lock), "the list of all installed packages", {"lock": False}),
        (bool(issue.searched and issue.searched.probed), f"what each {_unit(issue)} gave", {"probed": False}),
        (True, f"texts beyond {SHORT} characters", {"text": SHORT}),
        (len(issue.green_here) > 5, "passing tests beyond five", {"green": 5}),  # noqa: PLR2004  # the table above
        (len(issue.evidence) > 5, "other failing tests beyond five", {"tests": 5}),  # noqa: PLR2004
        (_differing(issue) > 12, "differing packages beyond a dozen", {"changes": 12}),  # noqa: PLR2004
        (len(issue.matrix) > 40, "cells beyond 40", {"lines": 40}),  # noqa: PLR2004
        (len(issue.matrix) > 10, "cells beyond 10", {"lines": 10}),  # noqa: PLR2004
        (bool(issue.memory), "memory", {"memory": False}),
        (bool(issue.matrix), "the matrix", {"matrix": False}),
        (len(issue.frames) > 5, "frames beyond five", {"frames": 5}),  # noqa: PLR2004
        (bool(issue.script.text), "the script", {"script": False}),
    )
    shown = Shown()
    yield shown
    for there, what, change in steps:
        if there:
            said = tuple(
                each for each in shown.left_out if not (what == "cells beyond 10" and each == "cells beyond 40")
            )
            shown = replace(shown, **change, left_out=(*said, what))  # type: ignore[arg-type]
            yield shown


def _unit(issue: IssueContext) -> str:
    unit = issue.searched.unit if issue.searched else "release"
    return "environment of the blame" if issue.searched and issue.searched.kind == "blame" else f"{unit} of the bisect"


def _differing(issue: IssueContext) -> int:
    return len(issue.contrast.changes) if issue.contrast else 0


def _render(issue: IssueContext, shown: Shown) -> str:
    blocks: list[str] = []

    def aside(text: str, language: str = "") -> str:
        """Keep a block apart until the empty lines are counted: those of a script are its own."""
        blocks.append(block(text, language))
        return f"\0{len(blocks) - 1}\0"

    text = (
        environment(escape=False)
        .get_template("issue.md.j2")
        .render(
            issue=issue,
            shown=shown,
            text=lambda value: escaped(_cut(value, shown.text)),
            code=lambda value: code(_cut(value, shown.text)),
            block=aside,
            some=lambda found: escaped(_cut(listed(found, shown.changes), shown.text)),
            tracker=tracker,
            counted=counted,
        )
    )
    tidy = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return re.sub(r"\0(\d+)\0", lambda found: blocks[int(found[1])], tidy)


def block(text: str, language: str = "") -> str:
    """Write a text as a block of code that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _cut(value: object, limit: int) -> str:
    text = " ".join(str(value).replace("\0", "").split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
