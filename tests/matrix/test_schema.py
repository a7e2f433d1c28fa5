import datetime as dt

import pytest

from harness.errors import ConfigError, ExitCode
from harness.matrix.schema import load_matrix, weights_folder

FULL = """
title = "4-bit loading"
python = "3.11"
base = "python3"
keyword = "not slow"
markers = "cuda"
timeout = 90
as_of = "2026-03-01"
reference = { Transformers = "4.57.5" }

[axes]
Transformers = ["4.57.5", ">=5.0,<5.7", "latest", "dev"]
accelerate = "1.13.0"

[pins]
torch = "2.13.0"
Bits_And_Bytes = "0.49.2"

[variables]
PYTORCH_ALLOC_CONF = ["", "expandable_segments:True"]
HF_HUB_OFFLINE = "1"

[checkpoints]
size = "full"
weights = "hub"

[preload]
modules = ["torch"]
never = []

[repositories]
transformers = "../transformers"

[[include]]
transformers = "4.56.2"

[[exclude]]
transformers = "4.57.5"
accelerate = "dev"
"""


def test_every_key_of_a_matrix_is_read(read):
    matrix = read(FULL)
    assert matrix.name == "tried"
    assert matrix.as_of == dt.date(2026, 3, 1)
    assert matrix.axes == {"transformers": ("4.57.5", ">=5.0,<5.7", "latest", "dev"), "accelerate": ("1.13.0",)}
    assert matrix.packages == ("transformers", "accelerate", "torch", "bits-and-bytes")
    assert matrix.variables["HF_HUB_OFFLINE"] == ("1",)
    assert matrix.preload.modules == ("torch",)
    assert matrix.preload.never == ()
    assert matrix.include == ({"transformers": "4.56.2"},)
    assert matrix.timeout == 90


def test_the_matrix_keeps_the_text_as_it_stood_and_its_path(write):
    file = write(FULL)
    matrix = load_matrix(file)
    assert matrix.path == file
    assert matrix.raw["axes"]["Transformers"][1] == ">=5.0,<5.7"


def test_what_is_left_out_has_its_default(read):
    matrix = read('[pins]\ntorch = "2.13.0"\n')
    assert (matrix.python, matrix.base, matrix.as_of, matrix.timeout) == (None, None, None, 600)
    assert (matrix.checkpoints.size, matrix.checkpoints.weights) == ("tiny", "synthetic")
    assert {"torch", "transformers", "pytest"} <= set(matrix.preload.modules)
    assert matrix.preload.never == ("bitsandbytes",)


ONE = '[pins]\ntorch = "2.13.0"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tilte = 'x'\n" + ONE, 'tilte = "x" is not a key of a matrix file; the nearest is "title".'),
        (ONE + "[checkpoints]\nsise = 'tiny'", 's] sise = "tiny" is not a key of this table; the nearest is "size"'),
        (ONE + "[checkpoints]\nsize = 'tinny'", '[checkpoints] size = "tinny" is not one of the valid values'),
        (ONE + "[checkpoints]\nsize = 'tinny'", 'the nearest is "tiny".'),
        (ONE + "[checkpoints]\nweights = 'synthetc'", 'weights = "synthetc" is neither synthetic, nor hub, nor a'),
        (ONE + "[preload]\nmodule = []", '[preload] module = [] is not a key of this table; the nearest is "modules".'),
        ("[axes]\ntransformers = ['5.0.0', 'lates']", '[axes] transformers, entry 2 = "lates" is not a version'),
        ("[axes]\ntransformers = ['5.0.0', 'lates']", 'the nearest is "latest".'),
        ("[axes]\ntransformers = [5.0]", "[axes] transformers, entry 1 = 5.0 is a number; "),
        ("python = 3.11\n" + ONE, "python = 3.11 is a number; write versions and other texts in quotes"),
        ("python = 'three'\n" + ONE, 'python = "three" is not a Python version (for example 3.11).'),
        ("[axes]\ntorch = '2'\npython = ['3.11', '2.7']", '[axes] python, entry 2 = "2.7" is not a Python version'),
        ("python = '3.11'\n[axes]\ntorch = '2'\npython = '3.12'", 'python = "3.11" is at the top and under [axes]'),
        ("[pins]\ntorch = '2'\npython = '3.11'", '[pins] python = "3.11" is not a package'),
        ("[axes]\ntorch = []", "[axes] torch = [] needs at least one entry."),
        ("[pins]\ntorch = '>=2,<x'", '[pins] torch = ">=2,<x" is not a valid specifier'),
        ("[axes]\ntorch = '2'\n[pins]\ntorch = '3'", '[pins] torch = "3" is an axis too; keep one of the two.'),
        ("[axes]\na_b = '1'\na-b = '2'", '[axes] a-b = "2" is the same package as "a_b".'),
        ("[pins]\n'to rch' = '2'", "[pins] to rch"),
        (ONE + "reference = { torch = '2.13.0' }", "[pins] reference = {"),
        (ONE + "reference = { torch = '2.13.0' }", "must be above the first [table]."),
        ("reference = { troch = '2' }\n" + ONE, '[reference] troch = "2" is neither an axis, nor a pin'),
        (ONE + "[[exclude]]\ntorch = '2'\n[[exclude]]\ntroch = '2'", '[[exclude]] 2, troch = "2" is neither'),
        (ONE + "[[exclude]]\ntorch = '2'\n[[exclude]]\ntroch = '2'", 'the nearest is "torch".'),
        (ONE + "[[exclude]]\ntorch = 'nope'", '[[exclude]] 1, torch = "nope" is not a version expression'),
        (ONE + "[[include]]\npython = '>=3.12'", '[[include]] 1, python = ">=3.12" is not a Python version'),
        (ONE + "[[exclude]]\n", "[[exclude]] 1 = {} is empty and would match every cell."),
        (ONE + "[exclude]\ntorch = '2'", 'exclude = {"torch": "2"} must be a list of tables, each under [[exclude]].'),
        (ONE + "[variables]\n'A B' = '1'", "is not the name of an environment variable."),
        (ONE + "[variables]\ntorch = '1'", '[variables] torch = ["1"] has the name of an axis or a pin.'),
        (ONE + "[variables]\nX = [1]", "[variables] X, entry 1 = 1 is a number"),
        ("timeout = -1\n" + ONE, "timeout = -1 is not valid: input should be greater than 0."),
        ("timeout = true\n" + ONE, "timeout = true is not valid"),
        ("as_of = 'tuesday'\n" + ONE, 'as_of = "tuesday" is not a date (for example "2026-03-01").'),
        ("pins = 'x'", 'pins = "x" is not a table.'),
        ("", "axes = {} names no package, and neither does [pins]."),
        ("raw = 1\n" + ONE, "raw = 1 is not a key of a matrix file"),
        ("title =\n", "tried.toml is not valid TOML: invalid value (at line 4, column 8)."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_file_table_key_and_value(write, text, expected):
    file = write(text)
    with pytest.raises(ConfigError) as caught:
        load_matrix(file)
    sentence = str(caught.value)
    assert expected in sentence
    assert sentence.startswith(str(file))
    assert "\n" not in sentence
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_missing_key_is_named(write):
    with pytest.raises(ConfigError, match=r"name is missing \(and 1 more\)\.$"):
        load_matrix(write(ONE, head=""))


def test_a_name_that_cannot_name_a_folder_is_refused(write):
    with pytest.raises(ConfigError, match=r'name = "a/b" must have only letters'):
        load_matrix(write(ONE, head='name = "a/b"\nscenarios = "x"\n'))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "odd.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"odd\.toml cannot be read"):
        load_matrix(file)


def test_weights_may_be_a_folder_next_to_the_matrix(write, tmp_path):
    (tmp_path / "mine").mkdir()
    matrix = load_matrix(write(ONE + "[checkpoints]\nweights = 'mine'"))
    assert weights_folder(matrix) == tmp_path / "mine"


@pytest.mark.parametrize("word", ["synthetic", "hub"])
def test_weights_that_are_a_word_have_no_folder(read, word):
    assert weights_folder(read(ONE + f"[checkpoints]\nweights = '{word}'")) is None
