"""Other versions than the matrix's file names."""

import pytest

from harness.errors import ConfigError
from harness.matrix.expand import override_versions
from harness.matrix.schema import load_matrix

TEXT = """
name = "m"
scenarios = "case"
reference = { transformers = "4.57.6" }

[axes]
transformers = ["4.57.6", "latest"]

[pins]
accelerate = "1.13.0"
"""


@pytest.fixture
def matrix(tmp_path):
    (tmp_path / "m.toml").write_text(TEXT)
    return load_matrix(tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("words", "axes", "pins"),
    [
        ([], {"transformers": ("4.57.6", "latest")}, {"accelerate": "1.13.0"}),
        (["transformers=5.2.0"], {"transformers": ("4.57.6", "5.2.0")}, {"accelerate": "1.13.0"}),
        (["Transformers=4.57.6"], {"transformers": ("4.57.6",)}, {"accelerate": "1.13.0"}),
        (["transformers=>=5.0,<5.2", "transformers=dev"], {"transformers": ("4.57.6", ">=5.0,<5.2", "dev")}, None),
        (["accelerate=latest"], None, {"accelerate": "latest"}),
        (
            ["accelerate=1.13.0", "accelerate=dev"],
            {"transformers": ("4.57.6", "latest"), "accelerate": ("1.13.0", "dev")},
            {},
        ),
        (["huggingface_hub=1.5.0"], None, {"accelerate": "1.13.0", "huggingface-hub": "1.5.0"}),
    ],
)
def test_given_versions_override_those_of_the_file(matrix, words, axes, pins):
    found = override_versions(matrix, words)
    assert found.axes == (axes if axes is not None else matrix.axes)
    assert found.pins == (pins if pins is not None else matrix.pins)
    assert found.overrides == tuple(words)
    assert matrix.axes == {"transformers": ("4.57.6", "latest")}


@pytest.mark.parametrize("word", ["transformers", "transformers=", "=5.0", "transformers=newest", "a b=1"])
def test_an_override_without_package_or_version_is_one_sentence(matrix, word):
    with pytest.raises(ConfigError, match=r"^--with .* is not PACKAGE=VERSION"):
        override_versions(matrix, [word])
