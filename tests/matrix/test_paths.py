import pytest

from harness.errors import ConfigError
from harness.matrix import paths
from harness.matrix.paths import ScenarioFile, find, find_matrix, find_scenarios, install_root


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """The three places, each with a file of its own and one name that all have."""
    for place in ("beside", "current", "own"):
        folder = tmp_path / place / "scenarios"
        folder.mkdir(parents=True)
        (folder / "shared.py").touch()
        (folder / f"only_{place}.py").touch()
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setattr(paths, "install_root", lambda: tmp_path / "own")
    return tmp_path


def test_the_matrix_folder_wins_then_the_current_one_then_the_harness(layout):
    beside = layout / "beside"
    assert find("scenarios/shared", beside, ".py") == beside / "scenarios/shared.py"
    assert find("scenarios/only_current", beside, ".py") == layout / "current/scenarios/only_current.py"
    assert find("scenarios/only_own.py", beside, ".py") == layout / "own/scenarios/only_own.py"
    assert find("scenarios/none", beside, ".py") is None


def test_an_absolute_path_is_taken_as_it_is(layout):
    file = layout / "own/scenarios/shared.py"
    assert find(str(file), layout / "beside") == file


def test_scenario_entries_name_files_tests_and_folders(layout):
    matrix = layout / "beside" / "m.toml"
    assert find_scenarios(["scenarios/shared::test_one", "scenarios/only_own.py"], matrix) == (
        ScenarioFile(layout / "beside/scenarios/shared.py", "test_one"),
        ScenarioFile(layout / "own/scenarios/only_own.py"),
    )
    (layout / "beside/scenarios/conftest.py").touch()
    (layout / "beside/scenarios/_private.py").touch()
    assert [file.path.name for file in find_scenarios(["scenarios"], matrix)] == ["only_beside.py", "shared.py"]


def test_a_scenario_named_twice_is_there_once(layout):
    assert len(find_scenarios(["scenarios/shared", "scenarios/shared.py"], layout / "beside" / "m.toml")) == 1


def test_a_scenario_without_its_folder_is_found_there(layout):
    with pytest.raises(ConfigError, match=r'has "sharde::test_a", but .* the nearest is "scenarios/shared"'):
        find_scenarios(["sharde::test_a"], layout / "beside" / "m.toml")


def test_a_missing_scenario_is_refused_with_the_nearest(layout):
    with pytest.raises(
        ConfigError, match=r'scenarios has "scenarios/sharde", but .* the nearest is "scenarios/shared"'
    ):
        find_scenarios(["scenarios/sharde"], layout / "beside" / "m.toml")


def test_a_folder_has_no_single_test_and_must_not_be_empty(layout):
    matrix = layout / "beside" / "m.toml"
    with pytest.raises(ConfigError, match=r"is a folder\.$"):
        find_scenarios(["scenarios::test_one"], matrix)
    (layout / "beside/empty").mkdir()
    with pytest.raises(ConfigError, match="has no scenario files"):
        find_scenarios(["empty"], matrix)


def test_a_bare_name_is_a_file_in_matrices():
    assert find_matrix("quickstart") == install_root() / "matrices" / "quickstart.toml"


@pytest.mark.parametrize("name", ["quikstart", "matrices/quickstrt.toml"])
def test_a_missing_matrix_is_refused_with_the_nearest(name):
    with pytest.raises(ConfigError, match=r"there is no matrix file .*; the nearest is .*quickstart\.toml$"):
        find_matrix(name)


def test_a_missing_matrix_that_is_like_nothing_gets_no_suggestion():
    with pytest.raises(ConfigError, match=r"there is no matrix file zzz$"):
        find_matrix("zzz")


def test_a_folder_is_not_a_matrix(tmp_path):
    with pytest.raises(ConfigError, match="there is no matrix file"):
        find_matrix(tmp_path)


def test_paths_are_shown_from_the_current_folder(layout):
    assert paths.short_path(layout / "current/scenarios/shared.py") == "scenarios/shared.py"
    assert paths.short_path(layout / "own") == str(layout / "own")
