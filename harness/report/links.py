"""Where a tracker such as ``huggingface/transformers#44387`` leads."""

from __future__ import annotations

import re


def tracker_url(tracker: str | None) -> str | None:
    """Return the page of an issue or pull request, None for what names none; other texts never become links."""
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)#(\d+)", tracker or "", re.ASCII)
    return f"https://github.com/{found[1]}/issues/{found[2]}" if found else None
