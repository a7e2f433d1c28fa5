"""Every text of a value is redacted, and its types stay."""

from dataclasses import dataclass
from enum import StrEnum

from harness.redact.private import Private
from harness.redact.values import redact_value

PRIVATE = Private(paths=(("/srv/alice", "~"),), users=("alice",))


class Colour(StrEnum):
    """An enumeration with a text that would be redacted elsewhere."""

    ALICE = "alice"


@dataclass(frozen=True)
class Inner:
    text: str
    number: int
    colour: Colour


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    pairs: tuple[tuple[str, str], ...]
    nothing: None = None


def test_dataclasses_and_tuples_keep_their_types():
    value = Outer((Inner("/srv/alice/a", 1, Colour.ALICE),), (("name", "by alice"),))
    redacted = redact_value(value, PRIVATE)
    assert redacted == Outer((Inner("~/a", 1, Colour.ALICE),), (("name", "by <user>"),))
    assert redacted.inner[0].colour is Colour.ALICE


def test_lists_and_mappings_are_redacted_with_their_keys():
    assert redact_value({"alice": ["alice", 1, None]}, PRIVATE) == {"<user>": ["<user>", 1, None]}
