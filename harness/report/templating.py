"""The one place that loads templates: a name that is missing is an error, never an empty text."""

from __future__ import annotations

import functools

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report.links import tracker_url


@functools.cache
def environment(*, escape: bool) -> Environment:
    """Return the templates of this room, for HTML with ``escape`` and for plain text without."""
    made = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=escape,  # noqa: S701  # off for Markdown and the terminal alone, whose templates escape their own way
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["tracker_url"] = tracker_url
    return made
