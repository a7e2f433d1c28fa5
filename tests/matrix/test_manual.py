"""The manual page says what the code does."""

import re
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.matrix.expression import parse
from harness.matrix.plan import plan_cells
from harness.matrix.schema import MatrixFile, load_matrix

PAGE = (Path(__file__).parents[2] / "docs" / "matrix.md").read_text(encoding="utf-8")
EXAMPLE, AXIS, REPOSITORY = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def section(title):
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_key_is_explained():
    explained = re.findall(r"`\[*(\w+)\]*`", " ".join(re.findall(r"^\| (.*?) \|", section("Keys"), re.MULTILINE)))
    assert set(explained) == set(MatrixFile.model_fields)


def test_every_expression_of_the_table_is_one():
    texts = re.findall(r"^\| `(.*?)` \|", section("Version expressions"), re.MULTILINE)
    assert len(texts) == 11
    assert len({type(parse(re.sub("<[a-z]+>", "1", text))) for text in texts}) == 6


def test_the_new_axis_and_its_repository_are_read(write):
    matrix = load_matrix(write(AXIS + REPOSITORY))
    assert list(matrix.axes) == list(matrix.repositories) == ["huggingface-hub"]


def test_the_error_at_the_end_is_the_real_one(write):
    shown = re.findall(r"toml: (axis = .*)", PAGE)
    with pytest.raises(ConfigError) as caught:
        load_matrix(write("[axis]\n"))
    assert shown == [str(caught.value).partition("toml: ")[2]]


@pytest.mark.integration
def test_the_example_plans_against_the_real_index(write, tmp_path):
    planned = plan_cells(load_matrix(write(EXAMPLE, head="")), cache=tmp_path / "cache")
    held = [cell for cell in planned.cells if cell.label("transformers") == "4.57.6"]
    assert [(cell.label("accelerate"), cell.reference) for cell in held] == [("1.12.0", True)] * 2
    assert len([cell for cell in planned.cells if cell.label("transformers") == "5.0.0"]) == 4
