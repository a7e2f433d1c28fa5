"""What a search was asked, bisect or blame: whether that is what a draft is about, and the question in words. Pure."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ConfigError
from harness.report.views import Group
from harness.search.blamed import BlameQuestion
from harness.search.question import Question


def insist(what: str, asked: Question | BlameQuestion, group: Group) -> None:
    """Refuse a search of another scenario or of another failure; ``what`` names it (``the bisect 2026…``).

    Raises:
        ConfigError: it asked about something else.
    """
    file, _, test = asked.scenario.partition("::")
    stem, function = Path(file).stem, test.split("[", 1)[0]
    shown = (one.split("[", 1)[0].partition("::") for one in group.scenarios)
    if not any(stem == there and function in {"", name} for there, _, name in shown):
        raise ConfigError(f"{what} is about {asked.scenario}, where {group.key} does not show in this run")
    if asked.signature is not None and asked.signature not in {group.key, *group.ids}:
        raise ConfigError(f"{what} looked for {asked.signature}, not for {group.key}")


def criterion(asked: Question | BlameQuestion) -> str:
    """Say what counted as bad."""
    if asked.metric is not None:
        bound = f"{asked.factor:g} times the good end's" if asked.factor is not None else f"{asked.limit}"
        return f"{asked.metric} of {asked.scenario} above {bound}"
    if asked.signature is not None:
        return f"the failure {asked.signature} of {asked.scenario}"
    return f"any failure of {asked.scenario}"
