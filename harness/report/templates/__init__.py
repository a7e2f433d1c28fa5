"""The Jinja templates of this room, and the links in them."""

from __future__ import annotations

import functools
import re

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report.model import GLYPHS, MEANINGS, UNLISTED
from harness.store.records import Status


@functools.cache
def environment(*, escape: bool) -> Environment:
    """Return the environment of the templates: ``escape`` for HTML, without it for plain text and Markdown."""
    made = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=escape,  # noqa: S701  # Markdown templates escape by their own filters
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"tracker_url": tracker_url, "glyph": glyph, "meaning": MEANINGS.__getitem__}
    return made


def glyph(status: Status | None) -> str:
    """Return the sign of a status; None stands for a scenario that the cell does not list."""
    return UNLISTED if status is None else GLYPHS[status]


def tracker_url(tracker: str | None) -> str | None:
    """Return the page of a tracker (``owner/repo#1``); None for any other text, which must not become a link."""
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)#(\d+)", tracker or "", re.ASCII)
    return f"https://github.com/{found[1]}/issues/{found[2]}" if found else None
