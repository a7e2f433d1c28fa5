"""Who speaks for a scenario that has no attempts of its own: its function, its file, the whole cell. Pure."""

from __future__ import annotations

WHOLE_CELL = "*"  # the scenario of an attempt that speaks for a cell in which nothing could be started


def function(scenario: str) -> str:
    """Return the id of the test function that a scenario is a parameter of."""
    return scenario.partition("[")[0]


def voices(scenario: str) -> tuple[str, str, str, str]:
    """Return the names under which attempts speak for a scenario: itself, its function, its file, its cell."""
    return scenario, function(scenario), scenario.partition("::")[0], WHOLE_CELL
