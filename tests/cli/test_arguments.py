"""The conversions of arguments, and what a mistyped package is answered with."""

import argparse
import datetime as dt

import pytest

from harness.cli.arguments import age, day, duration, positive, read_matrix, seconds, size

MATRIX = """\
name = "own"
python = "3.11"
scenarios = ["own.py"]
[axes]
transformers = ["4.57.6", "5.2.0"]
[pins]
torch = "2.13.0"
"""


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (positive, "3", 3),
        (seconds, "0.5", 0.5),
        (size, "1000", 1000),
        (size, "500M", 500_000_000),
        (size, "20GB", 20_000_000_000),
        (size, "1.5GiB", 3 * 2**29),
        (age, "12h", 0.5),
        (age, "2w", 14.0),
        (duration, "40m", 2400.0),
        (duration, "0", 0.0),
        (day, "2026-05-01", dt.date(2026, 5, 1)),
    ],
)
def test_a_value_is_read(convert, text, value):
    assert convert(text) == value


@pytest.mark.parametrize(
    ("convert", "text", "sentence"),
    [
        (positive, "0", "0 is not above zero"),
        (seconds, "inf", "inf is not a number of seconds above zero"),
        (size, "much", r"much is not a size \(for example 20GB\)"),
        (age, "3", r"3 is not an age \(for example 14d\)"),
        (duration, "soon", r"soon is not a time \(for example 40m\)"),
        (day, "May", r"May is not a day \(2026-05-01\)"),
    ],
)
def test_a_value_that_means_nothing_is_refused(convert, text, sentence):
    with pytest.raises(argparse.ArgumentTypeError, match=sentence):
        convert(text)


@pytest.mark.parametrize(
    ("word", "note"),
    [
        ("tranformers=5.0.0", "note: own.toml has no package tranformers; did you mean transformers?\n"),
        ("torchvision=0.28.0", ""),
        ("transformers=5.0.0", ""),
    ],
)
def test_a_package_that_looks_mistyped_is_noted_and_added(word, note, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(MATRIX)
    (tmp_path / "own.py").touch()
    matrix = read_matrix(argparse.Namespace(matrix="own.toml", instead=[word]))
    assert word.partition("=")[0] in matrix.packages
    assert capsys.readouterr().err == note
