"""``harness blame`` on the command line: what it refuses before anything is resolved, and what it says last."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from harness.cli import blame
from harness.cli.main import parser
from harness.cli.search_summary import resume_command
from harness.envs.requirements import exact_pin
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.search.records import BlameQuestion, BlameResult, Ending, PackageChange
from harness.store.records import HostRecord, RunKind, RunRecord
from harness.store.run_folder import RunFolder


def options(*words):
    return parser("blame").parse_args(words)


ENDS = ("--good", "a", "--bad", "b", "--scenario", "s.py::t")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "blame needs --good, --bad, --scenario"),
        (("--good", "a"), "blame needs --bad, --scenario"),
        ((*ENDS, "--metric", "x.share"), "--metric and --above belong together"),
        ((*ENDS, "--above", "1.5x"), "--metric and --above belong together"),
        ((*ENDS, "--metric", "x", "--above", "2x", "--signature", "s"), "two different questions; keep one"),
        ((*ENDS, "--metric", "x", "--above", "2x", "--assume-ends"), "is measured at the good end"),
        ((*ENDS, "--matrix", "no-such-matrix"), "there is no matrix file no-such-matrix"),
        ((*ENDS, "--reports", "nowhere"), "a is no file, and no cell of .*quickstart.toml is called so"),
        ((*ENDS, "--reports", "nowhere", "--run", "r"), "no run named 'r' below nowhere"),
    ],
)
def test_a_question_that_cannot_be_asked_is_one_sentence(words, sentence, monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=sentence):
        blame.blame(options(*words, *(() if "--matrix" in words else ("--matrix", matrix(tmp_path)))))


def matrix(folder):
    """Write a matrix of exact pins, which needs no index."""
    path = folder / "quickstart.toml"
    path.write_text('name = "m"\nscenarios = ["s.py"]\n[pins]\napp = "1"\n')
    return str(path)


@pytest.mark.parametrize("flags", [(), ("--bisect",)])
def test_a_folder_with_a_space_is_quoted_in_the_command_that_continues(tmp_path, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    words = " ".join(("harness blame --resume 'my runs/r'", *flags))
    assert resume_command("blame", RunFolder(tmp_path / "my runs" / "r"), *flags) == words


FOUND = BlameResult(ending=Ending.FOUND, changes={"a": "a 1 → 2"}, members=("a",), proven=(("a",),))
RESUME = "interrupted; continue with: harness blame --resume run"


@pytest.mark.parametrize(
    ("result", "inner", "words", "code", "last"),
    [
        (FOUND.model_copy(update={"ending": Ending.INTERRUPTED}), blame.InnerBisects(), (), 130, RESUME),
        (
            FOUND.model_copy(update={"ending": Ending.INTERRUPTED}),
            blame.InnerBisects(),
            ("--bisect",),
            130,
            f"{RESUME} --bisect",
        ),
        (FOUND, blame.InnerBisects(("x",), interrupted=True), ("--bisect",), 130, f"{RESUME} --bisect"),
        (FOUND, blame.InnerBisects(("x",)), ("--bisect",), 0, "a 1 → 2 alone turns good into bad"),
    ],
)
def test_the_last_line_is_the_answer_or_the_command_that_continues(
    result, inner, words, code, last, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    facts = {"name": "m", "started": datetime(2026, 1, 1, tzinfo=UTC), "matrix": {}, "matrix_file": "m", "cells": ()}
    host = HostRecord(platform="x", cpus=1, memory_bytes=1)
    folder.write_record(RunRecord(kind=RunKind.BLAME, host=host, harness_version="1", axes=(), **facts))
    pins = (exact_pin("a", "1"), exact_pin("a", "2"))
    change = PackageChange(package="a", old=pins[0], new=pins[1])
    shared = {"good": "g", "bad": "b", "scenario": "s.py::t", "matrix": "m", "shared": Cell("3.11", ())}
    axis = SimpleNamespace(question=BlameQuestion(**shared, changes=(change,)))
    monkeypatch.setattr(blame, "find_run", lambda *_: folder)
    monkeypatch.setattr(blame, "resume_blame", lambda *_: (axis, SimpleNamespace(folder=folder)))
    monkeypatch.setattr(blame, "Driver", lambda *_: SimpleNamespace(run=lambda *_: result))
    monkeypatch.setattr(blame, "_run_inner", lambda *_: inner)
    assert blame.blame(parser("blame").parse_args(["--resume", "run", *words])) == code
    assert capsys.readouterr().out.splitlines()[-1] == last
