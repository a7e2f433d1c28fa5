"""Pins of working copies, overrides, and pins that no index offers."""

from pathlib import Path

import pytest
from packaging.version import Version

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Unsolvable, read_lock
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.index import Listing, Release
from harness.matrix.schema import load_matrix
from harness.search import pins as searched_pins
from harness.search.pins import cell_at, override_pins

BASE = Cell("3.11", (Pin("gadget", "1.0", "gadget==1.0"), Pin("other", "2.0", "other==2.0")), axes=("other",))


def put(tmp_path: Path, *wanted: str):
    (tmp_path / "m.toml").write_text('name = "m"\nscenarios = ["x.py"]\n[pins]\ngadget = "1.0"\n')
    return override_pins(BASE, wanted, load_matrix(tmp_path / "m.toml"), CacheDir(tmp_path / "cache"))


def requirement(tmp_path: Path, *wanted: str) -> str:
    return next(pin.requirement for pin in put(tmp_path, *wanted)[0].pins if pin.package == "gadget")


def test_a_version_replaces_what_the_cell_holds_and_everything_else_stays(tmp_path):
    cell, _ = put(tmp_path, "Gadget=1.1", "third==3.0")
    assert [pin.requirement for pin in cell.pins] == ["gadget==1.1", "other==2.0", "third==3.0"]
    assert cell.axes == ("other", "gadget", "third")


def test_a_working_copy_without_changes_is_its_commit(git_repository, tmp_path):
    sha = git_repository.commit("one")
    (git_repository.folder / "new.txt").write_text("git does not track it")
    cell, notes = put(tmp_path, f"gadget=path:{git_repository.folder}")
    assert cell.pins[0].requirement == f"gadget @ git+{git_repository.folder.as_uri()}@{sha}"
    assert f"is commit {sha[:10]}" in notes[0]
    assert "files that git does not track are left out" in notes[0]


def test_a_working_copy_with_changes_is_built_as_it_stands(git_repository, tmp_path):
    git_repository.commit("one")
    (git_repository.folder / "changes.txt").write_text("edited")
    cell, notes = put(tmp_path, f"gadget=path:{git_repository.folder}")
    assert cell.pins[0].requirement == f"gadget @ {git_repository.folder.as_uri()}"
    assert "as it is" in notes[0]


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


LISTED = tuple(Release(Version(text)) for text in ("1.0", "1.1", "2.0"))


@pytest.fixture
def insist(tmp_path, monkeypatch):
    """Ask about a cell of ``app`` and ``lib``; returns what the index was asked."""
    monkeypatch.delenv("HARNESS_BUNDLE", raising=False)
    asked = []

    def listed(names, folder, known=()):
        asked.extend(names)
        if "lib" in names:
            raise ConfigError("no index has lib")
        return Listing({"app": LISTED})

    monkeypatch.setattr(searched_pins, "list_releases", listed)
    (tmp_path / "m.toml").write_text('name = "m"\nscenarios = ["x.py"]\n[pins]\napp = "1.0"\n')
    monkeypatch.chdir(tmp_path)

    def ask(sentence, *pins, typed=(), network=False):
        lock = Unsolvable(sentence, network) if sentence else read_lock("app==1.0\n", "3.11", None, "x")
        cell = Cell("3.11", tuple(Pin(one.partition("==")[0].split(" ")[0], "x", one) for one in pins))
        searched_pins.require_releases(cell, lock, load_matrix("m.toml"), CacheDir(tmp_path / "cache"), typed)
        return asked

    return ask


NONE = (
    "Because there is no version of {0} and you require {0}, we can conclude that your requirements are unsatisfiable."
)


def test_a_typed_release_that_is_not_there_names_the_nearest(insist):
    with pytest.raises(ConfigError, match=r"^--with App=1.9: no release of app matches; .* are 1.1, 2.0$"):
        insist(NONE.format("app==1.9"), "app==1.9", typed=("App=1.9",))


def test_a_pin_of_the_matrix_names_its_file(insist):
    with pytest.raises(ConfigError, match=r"^m.toml, app: no release of app matches"):
        insist(NONE.format("app==1.9"), "app==1.9", "lib==1", typed=("lib=1",))


def test_a_package_that_is_on_no_index_is_a_mistake_too(insist):
    sentence = "Because lib was not found in the package registry and you require lib==1, we can conclude that"
    with pytest.raises(ConfigError, match=r"^--with lib=1: no index has lib$"):
        insist(sentence, "app==1.0", "lib==1", typed=("lib=1",))


@pytest.mark.parametrize(
    ("sentence", "pins"),
    [
        ("", ("app==1.9",)),
        ("Because app==1.1 depends on lib>=2 and you require lib==1, we can conclude that", ("app==1.1", "lib==1")),
        (NONE.format("deep>=3"), ("app==1.9", "lib==1")),
        ("Because lib was not found in the package registry and app==1.1 depends on lib", ("app @ file:///w",)),
        (NONE.format("app>=9"), ("app @ git+file:///w@0123456", "other==1")),
    ],
)
def test_what_fails_for_another_reason_is_no_mistake_and_asks_no_index(insist, sentence, pins):
    assert insist(sentence, *pins) == []


def test_a_silent_index_is_no_mistake(insist):
    assert insist(NONE.format("app==1.9"), "app==1.9", network=True) == []


def test_a_release_that_the_index_has_is_no_mistake_whatever_the_resolver_found(insist):
    assert insist(NONE.format("app==1.1"), "app==1.1") == ["app"]


def test_a_cell_of_another_release_holds_every_other_pin_and_takes_a_transitive_package():
    base = Cell("3.11", (Pin("p", "1", "p==1"), Pin("q", "2", "q==2")), axes=("p",), reference=True)
    assert [pin.requirement for pin in cell_at(base, "p", "3").pins] == ["p==3", "q==2"]
    other = cell_at(base, "hub", "1.0")
    assert [pin.requirement for pin in other.pins] == ["p==1", "q==2", "hub==1.0"]
    assert other.id.startswith("hub-1.0-")
