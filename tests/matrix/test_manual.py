"""The manual page says what the code does."""

import re
from pathlib import Path

import pytest

from harness.matrix.expression import parse
from harness.matrix.model import load_matrix
from harness.matrix.plan import plan_cells
from harness.matrix.schema import MatrixFile

PAGE = (Path(__file__).parents[2] / "docs" / "matrix.md").read_text(encoding="utf-8")
SMALL, FULL, OTHER = (text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if text.startswith("name"))


@pytest.fixture
def planned(write, tmp_path):
    return lambda text: plan_cells(load_matrix(write(text, head="")), cache=tmp_path / "cache")


def section(title):
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_key_is_explained():
    explained = re.findall(r"`\[*(\w+)\]*`", " ".join(re.findall(r"^\| (.*?) \|", section("Every key"), re.MULTILINE)))
    assert set(explained) == set(MatrixFile.model_fields)


def test_every_expression_of_the_table_is_one():
    cells = " ".join(re.findall(r"^\| (`.*?) \|", section("Version expressions"), re.MULTILINE))
    texts = [re.sub("<.*>", "1", text) if text[-1] == ">" else text for text in re.findall("`(.*?)`", cells)]
    assert len(texts) == 12
    assert len({type(parse(text)) for text in texts}) == 6


def test_the_small_examples_make_the_cells_they_promise(planned):
    assert len(planned(SMALL).cells) == 2
    found = planned(OTHER).cells
    assert [(cell.label("safetensors"), cell.reference) for cell in found] == [("0.6.2", False), ("0.7.0", True)]


@pytest.mark.integration
def test_the_full_example_plans_against_the_real_index(planned):
    cells = planned(FULL).cells
    labels = [cell.label("transformers") for cell in cells]
    assert labels[-1] == "4.56.2"
    assert labels.count("4.57.6") == 2  # two releases of accelerate, one allocator
    assert labels.count("5.0.0") == 4
    assert {cell.label("accelerate") for cell in cells if cell.reference} == {"1.13.0"}
    assert not [cell for cell in cells if cell.reference and cell.label("transformers") != "4.57.6"]
