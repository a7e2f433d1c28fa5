"""The nearest cell to a mistyped one."""

import pytest

from harness.matrix.cell import nearest_cell

IDS = ["six-1-b24f05", "six-2-64d495", "transformers-5.2.0-accelerate-dev-0a1b2c"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("six-3", "six-2-64d495"),
        ("six-1-b24f0", "six-1-b24f05"),
        ("transformers-5.3.0", "transformers-5.2.0-accelerate-dev-0a1b2c"),
        ("torch", None),
    ],
)
def test_a_cell_is_near_with_or_without_its_digest(wanted, found):
    assert nearest_cell(wanted, IDS) == found
