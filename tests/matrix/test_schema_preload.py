"""Which modules a matrix names to be imported first, and what cannot be a module."""

import pytest

from harness.errors import ConfigError
from harness.matrix.schema import load_matrix, named_modules

TOP = 'name = "m"\nscenarios = ["x"]\n[pins]\nsix = "1"\n'


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(preload):
        (tmp_path / "m.toml").write_text(TOP + preload)
        return load_matrix("m.toml")

    return load


@pytest.mark.parametrize(
    ("preload", "sentence"),
    [
        ('modules = ["huggingface-hub"]', '[preload] modules = "huggingface-hub" is not the name of a module; '),
        ('modules = ["torch", "my module"]', '[preload] modules = "my module" is not the name of a module.'),
        ('without_gpu = ["torch."]', '[preload] without_gpu = "torch." is not the name of a module.'),
        ('never = [""]', '[preload] never = "" is not the name of a module.'),
    ],
)
def test_what_cannot_be_a_module_is_refused_with_file_key_and_value(matrix, preload, sentence):
    with pytest.raises(ConfigError) as refused:
        matrix(f"[preload]\n{preload}\n")
    assert str(refused.value).startswith(f"m.toml: {sentence}")


def test_a_package_s_name_brings_the_module_that_was_meant(matrix):
    with pytest.raises(ConfigError, match='the nearest is "huggingface_hub"'):
        matrix('[preload]\nmodules = ["huggingface-hub"]\n')


def test_only_what_the_file_itself_names_is_named(matrix):
    assert named_modules(matrix("").raw, "m.toml") == {}
    assert named_modules(matrix('[preload]\nnever = ["torch"]\n').raw, "m.toml") == {}
    found = named_modules(matrix('[preload]\nmodules = ["numpy", "a.b"]\nwithout_gpu = ["c"]\n').raw, "m.toml")
    assert found == {
        "numpy": 'm.toml: [preload] modules = "numpy"',
        "a.b": 'm.toml: [preload] modules = "a.b"',
        "c": 'm.toml: [preload] without_gpu = "c"',
    }
