"""docs/scenarios.md: the first scenario and its matrix run as they are printed."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")


def block(language):
    """Return the first code block in a language."""
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_first_scenario_passes_in_the_cells_of_its_matrix(project):
    (project.folder / "my_case.py").write_text(block("python"))
    (project.folder / "my_case.toml").write_text(block("toml"))
    project.harness("run", "my_case.toml")
    assert [str(one.outcome) for one in project.run.attempts()] == ["pass:check"] * 3
    (record,) = {one.scenario: one for one in project.run.attempts()}.values()
    assert record.figures["x.versions"] == 3
