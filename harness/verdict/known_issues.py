"""Known issues: failures that somebody has written down with a tracker, and what became of them in a run. Pure."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.errors import ConfigError
from harness.store.records import Outcome, Status


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError("is not a version specifier (for example >=5.0,<5.4)") from None
    return text


def _tracker(text: str) -> str:
    if "#" not in text and "://" not in text:
        raise ValueError("is not an issue (owner/repository#number, or an address)")
    return text


class KnownIssue(BaseModel):
    """One ``[[issue]]``: its scenario, signature, versions and tracker.

    ``scenario`` is an id or a pattern (``split::*``), ``signature`` a rule's name or a whole signature, ``versions``
    package → specifier over what is installed in the cell; a package that is not named may have any version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    signature: str
    versions: dict[str, Annotated[str, AfterValidator(_specifier)]] = Field(min_length=1)
    tracker: Annotated[str, AfterValidator(_tracker)]
    note: str = ""
    review_by: dt.date | None = None

    def applies(self, scenario: str, versions: Mapping[str, str]) -> bool:
        """Tell whether the scenario and every version named are in range."""
        return self.names(scenario) and all(
            name in versions and _holds(wanted, versions[name]) for name, wanted in self.versions.items()
        )

    def names(self, scenario: str) -> bool:
        """Tell whether this is about the scenario; brackets of a parametrized id are literal."""
        return fnmatchcase(scenario, self.scenario.replace("[", "[[]")) or scenario.split("[", 1)[0] == self.scenario


def _holds(wanted: str, version: str) -> bool:
    """Tell whether a version is in range; the address of what could not be installed is no version."""
    return "://" not in version and SpecifierSet(wanted).contains(version, prereleases=True)


class State(StrEnum):
    """The state of a known issue in one result."""

    KNOWN = "known"  # fails as described
    GONE = "gone"  # passes
    CHANGED = "changed"  # fails in another way


@dataclass(frozen=True)
class Standing:
    """A known issue and its state in one result."""

    state: State
    issue: KnownIssue


def parse(text: str, name: str) -> tuple[KnownIssue, ...]:
    """Read a ``known_issues.toml``; ``name`` is how its file is called in sentences.

    Raises:
        ConfigError: it is not TOML, or an entry lacks something (a known issue without a tracker is an error).
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not valid TOML: {error}") from error
    strange = sorted(raw.keys() - {"issue"})
    if strange or not isinstance(raw.get("issue", []), list):
        raise ConfigError(f"{name}: {strange[0] if strange else 'issue'} is not a known key; entries are [[issue]]")
    return tuple(_entry(entry, name, number) for number, entry in enumerate(raw.get("issue", []), start=1))


def _entry(entry: object, name: str, number: int) -> KnownIssue:
    try:
        return KnownIssue.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "entry"
        if first["type"] == "missing":
            raise ConfigError(f"{name}: issue {number} has no {key}") from None
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{name}: issue {number}: {key} = {first['input']!r}: {text}") from None


def standing(
    issues: Sequence[KnownIssue],
    scenario: str,
    versions: Mapping[str, str],
    outcome: Outcome | None,
    signatures: Sequence[str],
) -> Standing | None:
    """Return the known issue of a result and its state; None if there is none.

    ============== ====================================== =========
    outcome        an issue in range has its signature    state
    ============== ====================================== =========
    fail           yes                                    known
    fail           no                                     changed
    pass           –                                      gone
    anything else  –                                      None
    ============== ====================================== =========

    Args:
        issues: the known issues.
        scenario: the result's scenario.
        versions: package → version installed in the result's cell.
        outcome: the result, None where attempts disagree or there is none.
        signatures: the names of the failure: its rule's, its own.
    """
    about = [issue for issue in issues if issue.applies(scenario, versions)]
    if not about or outcome is None:
        return None
    if outcome.status is Status.PASS:
        return Standing(State.GONE, about[0])
    if outcome.status is not Status.FAIL:
        return None
    same = [issue for issue in about if issue.signature in signatures]
    return Standing(State.KNOWN, same[0]) if same else Standing(State.CHANGED, about[0])
