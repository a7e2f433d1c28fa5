"""``harness bisect`` on the command line: what it refuses, what it asks, what it resumes."""

import re
from datetime import UTC, datetime

import pytest
from packaging.version import Version

from harness.cli import bisect as verb
from harness.cli.main import main, parser
from harness.cli.search_summary import answer_lines, resume_command
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.index import Listing, Release
from harness.search import releases
from harness.search.records import CommitSource, Ending, ReleaseQuestion, ReleaseResult, SearchRecord, read_search
from harness.store.records import HostRecord, RunKind, RunRecord
from harness.store.run_folder import RunFolder

TEST = "scenarios/load_4bit.py::test_load_in_4bit_keyword"
SCENARIO = ("--scenario", TEST)
LISTED = tuple(Release(Version(text)) for text in ("1.0", "1.1", "1.2", "1.3"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("p", "--scenario", f"{TEST}s"), f"has no test .*; the nearest is {TEST.partition('::')[2]}$"),
        (SCENARIO, "bisect needs PACKAGE"),
        (("p",), "bisect needs --scenario"),
        (("p", *SCENARIO, "--above", "8GiB"), "--metric and --above belong together"),
        (("p", *SCENARIO, "--metric", "x.y"), r"--metric and --above belong together"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "1.5x", "--signature", "S"), "two different questions"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "1.5x", "--assume-ends"), "which is not run here"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "1.5x"), "measured at the good end: name it with --good"),
        (("p", *SCENARIO, "--metric", "x.y", "--above", "much", "--good", "1.0"), "neither a factor"),
        (("p", *SCENARIO, "--scan"), "name the older one with --good"),
        (("p", *SCENARIO, "--scan", "--find-fix"), "name the older one with --bad"),
        (("p", *SCENARIO, "--scan", "--good", "1.0", "--confirm", "3"), "--scan runs every release once"),
        (("p", *SCENARIO, "--good", "2026-01-10"), "the index provides no upload dates of p"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_installs_nothing(monkeypatch, capsys, arguments, sentence):
    monkeypatch.setattr(verb, "list_known_releases", lambda package, *_: Listing({package: LISTED}))
    assert main(["bisect", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(sentence, said)


def question(monkeypatch, *arguments):
    """Return the question that a command line asks, and the lines that were reported."""
    monkeypatch.setattr(verb, "list_known_releases", lambda package, *_: Listing({package: LISTED}))
    monkeypatch.setattr(verb, "reference_cell", lambda matrix, cache_dir: Cell("3.11", ()))
    monkeypatch.setattr(verb, "begin_search", lambda *_: None)
    reported = []
    axis, _, _ = verb._begin(parser("bisect").parse_args(["P", *SCENARIO, *arguments]), None, reported.append)
    return axis.question, reported


def test_how_attempts_run_is_kept_for_a_resume(monkeypatch):
    asked, _ = question(
        monkeypatch, "--timeout", "90", "--gpu-busy", "4GiB", "--isolation", "spawn", "--jobs", "2", "--no-reuse"
    )
    again = ReleaseQuestion.model_validate_json(asked.model_dump_json())
    options = again.options()
    assert (options.timeout, options.busy_bytes, options.isolation, options.jobs) == (90, 4 * 2**30, "spawn", 2)
    assert not again.reuse
    words = " ".join(again.command(None, "1.3"))
    assert words.startswith(f"harness bisect p --bad 1.3 --scenario {TEST}")
    assert words.endswith("--timeout 90 --gpu-busy 4294967296 --isolation spawn")


def test_ends_that_are_left_out(monkeypatch):
    asked, reported = question(monkeypatch)
    assert (asked.package, asked.releases, asked.open_end) == ("p", ("1.0", "1.1", "1.2", "1.3"), True)
    assert reported == ["note: the bad end is p 1.3, the newest release"]
    asked, _ = question(monkeypatch, "--good", "1.1", "--scan", "--metric", "x.y")
    assert (asked.releases, asked.open_end, asked.limit, asked.factor) == (("1.1", "1.2", "1.3"), False, None, None)


@pytest.fixture
def bisected(tmp_path, monkeypatch):
    """A run folder of a bisect that was interrupted, below the current folder's reports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    folder = RunFolder(tmp_path / "reports" / "my run")
    folder.path.mkdir(parents=True)
    facts = {"name": "m", "started": datetime(2026, 1, 1, tzinfo=UTC), "matrix": {}, "matrix_file": "m", "cells": ()}
    host = HostRecord(platform="x", cpus=1, memory_bytes=1)
    folder.write_record(RunRecord(kind=RunKind.BISECT, host=host, harness_version="1", axes=(), **facts))
    asked = ReleaseQuestion(package="p", releases=("1", "2", "3"), scenario="s.py::t", matrix="m")
    result = ReleaseResult(ending=Ending.INTERRUPTED, package="p", before="1", suspects=("2", "3"), releases={})
    SearchRecord(question=asked, result=result).write(folder)
    return folder


def test_a_resume_can_ask_for_the_commits_too(bisected, monkeypatch):
    monkeypatch.setattr(verb, "resume_releases", lambda folder, *_: (None, folder))
    monkeypatch.setattr(verb, "open_repository", lambda text, cache: text)
    options = parser("bisect").parse_args(["--resume", "my run", "--into", "git:../p"])
    _, folder, repository = verb._resume(options, CacheDir.of_user(), print)
    assert repository == "git:../p"
    source = CommitSource(repository="git:../p")
    assert read_search(folder).question.source == source
    assert folder.read_record().command[-2:] == source.words()
    more = parser("bisect").parse_args(["--resume", "my run", "--tags", "rel-{}", "--all-parents"])
    verb._resume(more, CacheDir.of_user(), print)
    changed = source.model_copy(update={"tags": "rel-{}", "all_parents": True})
    assert read_search(folder).question.source == changed


def test_a_run_that_is_no_bisect_is_not_resumed(bisected, capsys):
    (bisected.path / "search.json").unlink()
    assert main(["bisect", "--resume", "my run"]) == 2
    assert capsys.readouterr().err == "harness: my run is not a bisect\n"


def test_the_last_line_of_an_interrupted_search_is_the_command_that_continues(bisected):
    search, resume = read_search(bisected), resume_command("bisect", bisected)
    assert answer_lines(search, resume) == [
        "interrupted; continue with: harness bisect --resume 'reports/my run'",
    ]


def test_a_mistyped_package_is_answered_with_the_nearest(monkeypatch, capsys, tmp_path):
    def listed(packages, folder, known=()):
        assert "transformers" in known
        raise ConfigError('no index has "transfromers"; did you mean "transformers"?')

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setattr(releases, "list_releases", listed)
    assert main(["bisect", "transfromers", *SCENARIO]) == 2
    assert 'did you mean "transformers"?' in capsys.readouterr().err


ASKED = ("--scenario", "x.py", "--matrix", "m.toml", "--good", "1.0", "--bad", "1.1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--into", "git:nowhere"), "--into git:nowhere is not a git repository"),
        (("--into", "nowhere"), "--into nowhere must be git:URL or git:FOLDER"),
        (("--into", "git:.", "--tags", "v1"), "--tags v1 must hold {} once"),
        (("--tags", "v{}"), "--tags, --all-parents and --commits belong to --into"),
        (("--all-parents",), "--tags, --all-parents and --commits belong to --into"),
        (("--commits",), "--tags, --all-parents and --commits belong to --into"),
        (("--into", "git:.", "--scan"), "--scan reports every change and --into follows one"),
    ],
)
def test_a_mistake_about_commits_is_one_sentence_before_the_index_is_asked(
    arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    assert main(["bisect", "no-such-package-anywhere", *ASKED, *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
