"""Which failure of a run a draft is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import ConfigError, NothingSelectedError
from harness.report.views import Group

SHOWN = 12  # failures that a sentence lists


def choose(found: Sequence[Group], wanted: str | None) -> Group:
    """Return the failure that ``wanted`` names: a rule, a whole signature, or a part that only one has.

    Without ``wanted`` the only one there is.

    Raises:
        NothingSelectedError: the run has no failure, or none of that name.
        ConfigError: several are meant.
    """
    if not found:
        raise NothingSelectedError(
            "no scenario of this run failed by the software under test: there is nothing to draft"
        )
    if wanted is None:
        if len(found) > 1:
            raise ConfigError(f"the run has {len(found)} failures; name one with --signature: {_names(found)}")
        return found[0]
    exact = [each for each in found if wanted == each.key or wanted in each.ids]
    part = wanted.casefold()
    matching = exact or [each for each in found if any(part in name.casefold() for name in (each.key, *each.ids))]
    if not matching:
        raise NothingSelectedError(f"no failure of this run is named {wanted!r}; there are: {_names(found)}")
    if len(matching) > 1:
        raise ConfigError(f"--signature {wanted!r} is part of {len(matching)} failures: {_names(matching)}")
    return matching[0]


def _names(found: Sequence[Group]) -> str:
    names = [" ".join(each.key.split()) for each in found[:SHOWN]]
    return "; ".join([*names, *([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])])
