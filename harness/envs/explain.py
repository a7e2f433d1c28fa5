"""Turn what uv, pip and Nox print when they fail into one paragraph a person can read."""

from __future__ import annotations

import re

LIMIT = 1500  # characters of a sentence: it goes into a table, the log has the rest
TAIL = 30  # lines of a log that are looked at when no line in it says "error"
NETWORK = re.compile(
    r"error sending request|dns error|network (?:was|is) (?:disabled|unreachable)|connection (?:refused|reset|closed)"
    r"|failed to fetch: |timed out|could(?: not|n't) (?:connect|resolve)|unable to access 'https?:"
    r"|temporary failure in name resolution|max retries exceeded|no answer within|newconnectionerror"
    r"|certificate verify|invalid peer certificate",
    re.IGNORECASE,
)
DRAWING = re.compile(r"^[\s×╰─▶│├╭╮]+")
PREFIX = re.compile(r"^(?:error|cause|caused by): ?", re.IGNORECASE)
HINT = re.compile(r"^hint: ", re.IGNORECASE | re.MULTILINE)
ADVICE = re.compile(r"\s*Consider using `exclude-newer-package`[^.]*\.")  # no user of ours can follow it
START = re.compile(r"^\s*(?:error\b|× )", re.IGNORECASE)


def is_network(text: str) -> bool:
    """Tell whether a failure lies with the index or the way to it, and not with the packages asked for."""
    return NETWORK.search(text) is not None


def paragraph(errors: str) -> str:
    """Join an error and its causes to one paragraph; of uv's hints only the one about dates is kept."""
    error, *hints = HINT.split("\n".join(_from_first_error(errors.splitlines())))
    kept = [error, *(ADVICE.sub("", hint) for hint in hints if "exclude-newer" in hint)]
    lines = [PREFIX.sub("", DRAWING.sub("", line)) for text in kept for line in text.splitlines()]
    joined = re.sub(r"\s+", " ", " ".join(lines)).strip()
    joined = re.sub(r"^No solution found when resolving dependencies:?\s*", "", joined)
    return joined if len(joined) <= LIMIT else joined[: LIMIT - 1].rstrip() + "…"


def from_log(log: str) -> str:
    """Return the failure in a build log as a paragraph, without what Nox says around it."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("nox > ")]
    return paragraph("\n".join(lines)) or "no reason was printed"


def _from_first_error(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if START.match(line):
            return lines[number:]
    return lines[-TAIL:]
