"""A pin that no index offers is told from a resolution that fails."""

import pytest
from packaging.version import Version

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Unsolvable, read_lock
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.index import Listing, Release
from harness.matrix.schema import load_matrix
from harness.search import releases

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

    monkeypatch.setattr(releases, "list_releases", listed)
    (tmp_path / "m.toml").write_text('name = "m"\nscenarios = ["x.py"]\n[pins]\napp = "1.0"\n')
    monkeypatch.chdir(tmp_path)

    def ask(sentence, *pins, typed=(), network=False):
        lock = Unsolvable(sentence, network) if sentence else read_lock("app==1.0\n", "3.11", None, "x")
        cell = Cell("3.11", tuple(Pin(one.partition("==")[0].split(" ")[0], "x", one) for one in pins))
        releases.require_releases(cell, lock, load_matrix("m.toml"), CacheDir(tmp_path / "cache"), typed)
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
