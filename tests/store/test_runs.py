"""A run is meant by one set of names everywhere; each folder says which kind of run it holds."""

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.session.resume import run_to_resume
from harness.store.records import RunKind
from harness.store.run_folder import RunFolder
from harness.store.runs import RESULTS, find_run, is_run, kind_of, list_runs

FROZEN = Path(__file__).parent / "frozen" / "first-schema"


def write(root, name, day, matrix="a", **more):
    folder = root / name
    shutil.copytree(FROZEN, folder)
    record = json.loads((FROZEN / "run.json").read_text())
    changed = {"name": matrix, "started": f"2026-03-{day:02}T00:00:00Z", **more}
    (folder / "run.json").write_text(json.dumps(record | changed))
    return folder


@pytest.fixture
def reports(tmp_path):
    """Runs of two matrices, one of every other kind after them, and a folder that cannot be read."""
    write(tmp_path, "1-a", 1)
    write(tmp_path, "2-b", 2, matrix="b")
    write(tmp_path, "3-a", 3)
    write(tmp_path, "4-a", 4)
    write(tmp_path, "5-bisect", 5, kind="bisect")
    (write(tmp_path, "6-old-bisect", 6) / "bisect.json").write_text("{}")
    (write(tmp_path, "7-old-commits", 7) / "into.json").write_text("{}")
    (write(tmp_path, "8-old-blame", 8) / "blame.json").write_text("{}")
    write(tmp_path, "9-probe", 9, command=["harness", "probe", "--scenario", "f.py::test"])
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text('{"name": ')
    return tmp_path


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("latest", "4-a"),
        ("latest~0", "4-a"),
        ("latest~1", "3-a"),
        ("latest~2", "1-a"),
        ("3-a~1", "1-a"),
        ("latest~1~1", "1-a"),
        ("2", "2-b"),
        ("5-b", "5-bisect"),
        ("-probe", "9-probe"),
    ],
)
def test_runs_are_counted_back_within_their_matrix_and_found_by_name(reports, text, run):
    assert find_run(text, reports).path.name == run


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("latest~3", "a has 2 runs before 4-a"),
        ("2-b~1", "b has 0 runs before 2-b"),
        ("nothing~1", "no run named 'nothing'"),
        ("5-bisect~1", "is not among the runs"),
        ("5-bisct", "the nearest is 5-bisect"),
        ("-a", "3 runs below .* match '-a': 1-a, 3-a, 4-a"),
    ],
)
def test_a_run_that_is_not_there_is_one_sentence(reports, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        find_run(text, reports)


def test_latest_is_no_search_but_names_the_newest(tmp_path):
    write(tmp_path, "1-blame", 2, kind="blame")
    write(tmp_path, "2-bisect", 1, kind="bisect")
    with pytest.raises(ConfigError) as error:
        find_run("latest", tmp_path)
    assert str(error.value) == f"there is no run below {tmp_path}; give the blame by its name: 1-blame"


def test_a_mistyped_latest_is_answered_with_it(reports):
    with pytest.raises(ConfigError, match=r"; the nearest is latest$"):
        find_run("lates", reports)


def test_a_whole_name_means_its_run_though_another_begins_so(reports):
    write(reports, "4-a.2", 4)
    assert find_run("4-a", reports).path.name == "4-a"


def test_a_path_means_its_run_wherever_it_lies(reports, tmp_path):
    assert find_run(str(reports / "2-b"), tmp_path / "elsewhere").path == reports / "2-b"
    with pytest.raises(ConfigError, match="there is no run below"):
        find_run("latest", tmp_path / "elsewhere")


def test_latest_is_the_run_that_started_last_whatever_it_is_called(reports):
    write(reports, "0-first-by-name", 20)
    write(reports, "zz-last-by-name", 1)
    assert find_run("latest", reports).path.name == "0-first-by-name"
    assert [run.name for run in list_runs(reports)][-1] == "0-first-by-name"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("1-a", RunKind.RUN),
        ("5-bisect", RunKind.BISECT),
        ("6-old-bisect", RunKind.BISECT),
        ("7-old-commits", RunKind.BISECT),
        ("8-old-blame", RunKind.BLAME),
        ("9-probe", RunKind.PROBE),
    ],
)
def test_each_folder_tells_its_kind_also_an_older_one(reports, name, kind):
    assert kind_of(RunFolder(reports / name)) is kind
    assert [run.kind for run in list_runs(reports, frozenset(RunKind)) if run.name == name] == [kind]


def test_a_night_and_a_merged_run_of_older_versions_tell_their_kind(tmp_path):
    (write(tmp_path, "night", 1) / "night.json").write_text("{}")
    write(tmp_path, "merged", 2, command=["harness", "merge"])
    assert {run.name: run.kind for run in list_runs(tmp_path, RESULTS)} == {
        "night": RunKind.NIGHT,
        "merged": RunKind.MERGED,
    }


def test_only_a_run_of_harness_run_is_resumed(reports):
    write(reports, "91-merged", 21, kind="merged")
    write(reports, "92-night", 22, kind="night")
    assert run_to_resume("m.toml", reports, "a").path.name == "4-a"
    with pytest.raises(ConfigError, match=r"there is no run of the matrix c below .* to resume"):
        run_to_resume("c.toml", reports, "c")


@pytest.mark.parametrize(
    ("name", "instead"),
    [("5-bisect", "harness bisect --resume"), ("8-old-blame", "harness blame --resume"), ("9-probe", "harness probe")],
)
def test_a_folder_of_another_kind_is_refused_with_the_verb_that_continues_it(reports, name, instead):
    with pytest.raises(ConfigError, match=instead):
        run_to_resume(name, reports, None)


def test_without_part_only_whole_names_and_paths_are_runs(reports):
    assert is_run("4-a", reports)
    assert is_run("4-a", reports, part=False)
    assert is_run(str(reports / "4-a"), reports, part=False)
    assert is_run("latest~1", reports, part=False)
    assert is_run("4-", reports)
    assert not is_run("4-", reports, part=False)
