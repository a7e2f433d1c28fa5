"""docs/cli.md has a section for every verb, which names each of its options and no other."""

import re
from pathlib import Path

import pytest

from harness.cli.main import GROUPS, VERBS, arguments_of, parser

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def section(verb):
    """Return the text below the heading that names the verb."""
    parts = re.split(r"^##? ", PAGE, flags=re.MULTILINE)
    (found,) = [part for part in parts if part.startswith(f"`harness {verb}")]
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_the_section_of_a_verb_has_its_options_and_no_others(verb):
    table = "\n".join(line.split(" | ")[0] for line in section(verb).splitlines() if line.startswith("| "))
    listed = set(OPTION.findall(table)) | ({"--json"} if verb == "doctor" else set())
    wanted = {option for argument in arguments_of(parser(verb)) for option in argument.option_strings} - {
        "-h",
        "--help",
    }
    assert listed == wanted


def test_the_sections_stand_in_the_order_of_the_overview():
    verbs = list(dict.fromkeys(re.findall(r"^## `harness (\w+)", PAGE, re.MULTILINE)))
    titles = [title.lower() for title in re.findall(r"^# (.*)$", PAGE, re.MULTILINE)]
    assert verbs == list(VERBS)
    assert [title for title in titles if title in GROUPS] == list(GROUPS)
