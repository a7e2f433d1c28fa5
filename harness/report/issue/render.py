"""Render a draft as Markdown within the size limit of a GitHub issue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.report.issue.model import IssueContext
from harness.report.markdown import LIMIT, code, cut, shortened, table_text, tracker
from harness.report.templates import environment
from harness.reporter import counted, listed

ALL = 10**9
LONG, SHORT = 600, 160  # characters of a text that comes from a scenario or an exception
FEW, DOZEN, TEN, MANY = 5, 12, 10, 40  # items that remain of a list


@dataclass(frozen=True)
class Extent:
    """How much one rendering shows, and the names of what it leaves out."""

    lock: bool = True
    probed: bool = True
    text: int = LONG
    passing: int = 20
    tests: int = ALL
    rows: int = ALL
    differences: int = ALL
    memory: bool = True
    matrix: bool = True
    frames: int = ALL
    script: bool = True
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rendered:
    """A draft's text, and the names of what was left out of it."""

    text: str
    left_out: tuple[str, ...]


def render(issue: IssueContext, limit: int = LIMIT) -> Rendered:
    """Return the draft in fewer than ``limit`` characters; the least useful parts are left out first."""
    done = Rendered("", ())
    for extent in _extents(issue):
        done = Rendered(_render(issue, extent), extent.left_out)
        if len(done.text) < limit:
            return done
    return Rendered(shortened(done.text, limit), (*done.left_out, "the end"))


def _extents(issue: IssueContext) -> Iterator[Extent]:
    """Yield extents, each smaller than the one before; a step that would change nothing is skipped.

    ==== ===============================================================
    1    the list of all installed packages
    2    the result of each release of a bisect, or environment of a blame
    3    all but the beginning of long texts
    4    passing tests beyond five, other failing tests beyond five
    5    differing packages beyond a dozen
    6    cells of the small matrix beyond 40, then 10
    7    the memory table, the matrix
    8    frames beyond five
    9    the script
    ==== ===============================================================
    """
    evidence, comparison = issue.evidence, issue.evidence.comparison
    rows = len(evidence.matrix.rows)
    differing = len(comparison.differences) if comparison else 0
    probed = bool(issue.search and issue.search.probed)
    steps: tuple[tuple[bool, str, dict[str, object]], ...] = (
        (bool(issue.environment.lock), "the list of all installed packages", {"lock": False}),
        (probed, f"the result of each {_probed_unit(issue)}", {"probed": False}),
        (True, f"texts beyond {SHORT} characters", {"text": SHORT}),
        (len(evidence.passing_nearby) > FEW, "passing tests beyond five", {"passing": FEW}),
        (len(evidence.counts) > FEW, "other failing tests beyond five", {"tests": FEW}),
        (differing > DOZEN, "differing packages beyond a dozen", {"differences": DOZEN}),
        (rows > MANY, f"cells beyond {MANY}", {"rows": MANY}),
        (rows > TEN, f"cells beyond {TEN}", {"rows": TEN}),
        (bool(issue.environment.memory), "memory", {"memory": False}),
        (rows > 0, "the matrix", {"matrix": False}),
        (len(issue.symptom.frames) > FEW, "frames beyond five", {"frames": FEW}),
        (bool(issue.script.text), "the script", {"script": False}),
    )
    extent = Extent()
    yield extent
    for applies, name, change in steps:
        if applies:
            replaced = f"cells beyond {MANY}" if name == f"cells beyond {TEN}" else ""
            left_out = (*(each for each in extent.left_out if each != replaced), name)
            extent = replace(extent, **change, left_out=left_out)  # type: ignore[arg-type]
            yield extent


def _probed_unit(issue: IssueContext) -> str:
    search = issue.search
    return f"{search.unit if search else 'release'} of the {'blame' if search and search.blame else 'bisect'}"


def _render(issue: IssueContext, extent: Extent) -> str:
    blocks: list[str] = []

    def aside(text: str, language: str = "") -> str:
        """Keep a block out of the text until empty lines are removed: those of a script stay."""
        blocks.append(block(text, language))
        return f"\0{len(blocks) - 1}\0"

    text = (
        environment(escape=False)
        .get_template("issue.md.j2")
        .render(
            issue=issue,
            extent=extent,
            text=lambda value: table_text(_plain(value), extent.text),
            code=lambda value: code(cut(_plain(value), extent.text)),
            block=aside,
            some=lambda found: table_text(_plain(listed(found, extent.differences)), extent.text),
            tracker=tracker,
            counted=counted,
        )
    )
    tidy = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return re.sub(r"\0(\d+)\0", lambda found: blocks[int(found[1])], tidy)


def block(text: str, language: str = "") -> str:
    """Return a text as a fenced block that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _plain(value: object) -> str:
    """Return a text without the character that marks the place of a block."""
    return str(value).replace("\0", "")
