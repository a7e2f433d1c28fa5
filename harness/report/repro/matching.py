"""How a script tells the failure that was seen from any other: the signature as a pattern and a frame."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import ConfigError
from harness.store.records import AttemptRecord, Failure, Reason
from harness.verdict.signature import LONGEST, normalize, short_type

PLACEHOLDERS = re.compile(r"<(?:url|address|path)>|(?<![A-Za-z0-9_])N(?![A-Za-z0-9_])|…")
CRASH = re.compile(r"crash:(?P<how>SIG[A-Z]+|signal-\d+|exit-\d+)|timeout")
IMPOSSIBLE = {
    "host_oom": "the host's memory ran out, which a script should do to nobody's machine",
    "gpu_busy": "the card was in use by others, so nothing was seen",
}


@dataclass(frozen=True)
class Wanted:
    """What counts as the failure: ``id`` as the report writes it, a pattern for a whole text, the end of a frame.

    ``id`` None: any failure counts. ``crash`` is how the process dies (``SIGSEGV``, ``timeout``), where it does.
    """

    id: str | None = None
    pattern: str = ""
    frame: str = ""
    crash: str = ""


def wanted(attempt: AttemptRecord | None) -> Wanted:
    """Return what the script looks for; ``attempt`` is a red one, None where none is known.

    Raises:
        ConfigError: no script can show that failure.
    """
    if attempt is None:
        return Wanted()
    signature = attempt.signature or str(attempt.outcome)
    if signature in IMPOSSIBLE or attempt.outcome.reason is Reason.NETWORK:
        raise ConfigError(f"{_where(attempt)}: {IMPOSSIBLE.get(signature, 'the network was at fault')}: no script")
    if signature.startswith("harness: "):
        raise ConfigError(f"{_where(attempt)} ended in the harness itself ({attempt.detail}): no script can show that")
    if crash := CRASH.fullmatch(signature):
        return Wanted(signature, crash=crash["how"] or "timeout")
    head, frame = split(signature, attempt)
    return Wanted(signature, pattern(plain(head, attempt.failure)), frame)


def plain(head: str, failure: Failure | None) -> str:
    """Return the message as Python writes it: pytest adds what was compared to an assertion of the test's own."""
    own = failure is not None and failure.frames and failure.frames[-1].package is None
    if failure is None or not own or short_type(failure) != "AssertionError":
        return head
    message = "" if failure.message.startswith("assert ") else failure.message.partition("\nassert ")[0]
    return f"AssertionError: {normalize(message)}".removesuffix(": ")


def split(signature: str, attempt: AttemptRecord) -> tuple[str, str]:
    """Return type and message, and how the text ``file:function`` of the frame ends; empty where there is none."""
    head, at, place = signature.rpartition(" @ ")
    if not at or signature.startswith("expectation: "):
        return signature, ""
    frames = attempt.failure.frames if attempt.failure is not None else ()
    inside = any(each.package is not None and f"{each.path}:{each.function}" == place for each in frames)
    return head, place if inside or "/" in place else f":{place.rpartition(':')[2]}"


def pattern(blanked: str) -> str:
    """Return a regular expression for the texts that :func:`harness.verdict.signature.normalize` makes this one of.

    It is for a text on one line, with single spaces, and has to match it as a whole.
    """
    text = blanked.removesuffix(":")
    parts, place = [], 0
    for found in PLACEHOLDERS.finditer(text):
        parts.append(_escaped(text[place : found.start()]))
        parts.append(".*" if found[0] == "…" else ".+?")
        place = found.end()
    found_all = "".join([*parts, _escaped(text[place:])])
    return f"{found_all}.*" if len(blanked) >= LONGEST else found_all


def _escaped(text: str) -> str:
    """Escape what a regular expression would read otherwise, and nothing more: a person reads it too."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)


def _where(attempt: AttemptRecord) -> str:
    return f"{attempt.scenario} in {attempt.cell}"
