"""What ``--with`` puts into a cell: above all what a working copy stands for."""

from pathlib import Path

import pytest

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.schema import load_matrix
from harness.search.prober import override_pins

BASE = Cell("3.11", (Pin("gadget", "1.0", "gadget==1.0"), Pin("other", "2.0", "other==2.0")), axes=("other",))


def put(tmp_path: Path, *wanted: str):
    (tmp_path / "m.toml").write_text('name = "m"\nscenarios = ["x.py"]\n[pins]\ngadget = "1.0"\n')
    return override_pins(BASE, wanted, load_matrix(tmp_path / "m.toml"), CacheDir(tmp_path / "cache"))


def requirement(tmp_path: Path, *wanted: str) -> str:
    return next(pin.requirement for pin in put(tmp_path, *wanted).cell.pins if pin.package == "gadget")


def test_a_version_replaces_what_the_cell_holds_and_everything_else_stays(tmp_path):
    cell = put(tmp_path, "Gadget=1.1", "third==3.0").cell
    assert [pin.requirement for pin in cell.pins] == ["gadget==1.1", "other==2.0", "third==3.0"]
    assert cell.axes == ("other", "gadget", "third")


def test_a_working_copy_without_changes_is_its_commit(git_repository, tmp_path):
    sha = git_repository.commit("one")
    (git_repository.folder / "new.txt").write_text("git does not track it")
    found = put(tmp_path, f"gadget=path:{git_repository.folder}")
    assert found.cell.pins[0].requirement == f"gadget @ git+{git_repository.folder.as_uri()}@{sha}"
    assert f"is commit {sha[:10]}" in found.notes[0]
    assert "files that git does not track are left out" in found.notes[0]


def test_a_working_copy_with_changes_is_built_as_it_stands(git_repository, tmp_path):
    git_repository.commit("one")
    (git_repository.folder / "changes.txt").write_text("edited")
    found = put(tmp_path, f"gadget=path:{git_repository.folder}")
    assert found.cell.pins[0].requirement == f"gadget @ {git_repository.folder.as_uri()}"
    assert "as it stands" in found.notes[0]


def test_a_folder_inside_a_working_copy_is_a_subdirectory_of_its_commit(git_repository, tmp_path):
    inside = git_repository.folder / "python"
    inside.mkdir()
    (inside / "pyproject.toml").write_text("")
    sha = git_repository.commit("one")
    assert requirement(tmp_path, f"gadget=path:{inside}").endswith(f"@{sha}#subdirectory=python")


def test_a_folder_without_git_is_built_as_it_stands(tmp_path):
    (tmp_path / "plain").mkdir()
    assert requirement(tmp_path, f"gadget=path:{tmp_path}/plain") == f"gadget @ {(tmp_path / 'plain').as_uri()}"


def test_a_path_is_looked_up_from_where_it_was_typed(git_repository, tmp_path, monkeypatch):
    git_repository.commit("one")
    monkeypatch.chdir(git_repository.folder)
    assert git_repository.folder.as_uri() in requirement(tmp_path, "gadget=path:.")


@pytest.mark.parametrize("text", ["gadget", "=1.0", "gadget=", "gad get=1.0", "gadget>=1.0"])
def test_what_is_not_a_package_and_a_version_is_one_sentence(tmp_path, text):
    with pytest.raises(ConfigError, match=r"is not PACKAGE=VERSION"):
        put(tmp_path, text)
