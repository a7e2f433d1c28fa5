"""The files that the digest of a scenario covers."""

import shutil

import pytest

from harness.matrix.paths import ScenarioFile
from harness.session.plan import read_catalogue
from harness.session.source_digest import source_files

FILES = {
    "mine.py": "import direct\n@scenario(checkpoints=['small'])\ndef test_x(probe): pass\ndef test_y(probe): pass\n",
    "direct.py": "from indirect import something\n",
    "indirect.py": "def f():\n    from package.inner import x\n",
    "package/__init__.py": "",
    "package/inner.py": "x = 1\n",
    "unrelated.py": "import mine\n",
    "conftest.py": "import fixtures\n",
    "fixtures.py": "",
    "checkpoints/small.toml": 'kind = "adapter"\nbase = "large"\n',
    "checkpoints/large.toml": "kind = 'model'\n",
    "checkpoints/other.toml": "",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "scenarios" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "scenarios"


def digests(folder):
    return {info.id: info.source for info in read_catalogue([ScenarioFile(folder / "mine.py")])}


def test_imports_in_functions_packages_and_the_conftest_are_covered(folder):
    names = {path.relative_to(folder).as_posix() for path in source_files(folder / "mine.py")}
    assert names == {
        "mine.py",
        "direct.py",
        "indirect.py",
        "package/__init__.py",
        "package/inner.py",
        "conftest.py",
        "fixtures.py",
    }


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("mine.py", {"mine::test_x", "mine::test_y"}),
        ("indirect.py", {"mine::test_x", "mine::test_y"}),
        ("package/inner.py", {"mine::test_x", "mine::test_y"}),
        ("fixtures.py", {"mine::test_x", "mine::test_y"}),
        ("unrelated.py", set()),
        ("checkpoints/small.toml", {"mine::test_x"}),
        ("checkpoints/large.toml", {"mine::test_x"}),
        ("checkpoints/other.toml", set()),
    ],
)
def test_a_digest_changes_only_with_files_that_the_scenario_uses(folder, name, changed):
    before = digests(folder)
    path = folder / name
    path.write_text(path.read_text() + "# more\n")
    after = digests(folder)
    assert {one for one in before if before[one] != after[one]} == changed


def test_the_digest_does_not_depend_on_the_folder(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert digests(folder) == digests(tmp_path / "copy")
    assert all(digests(folder).values())


def test_modules_may_import_each_other(folder):
    (folder / "direct.py").write_text("import mine\n")
    assert len(source_files(folder / "mine.py")) == 4


def test_the_digest_is_empty_if_a_checkpoint_has_no_definition(folder):
    (folder / "checkpoints/small.toml").unlink()
    assert digests(folder)["mine::test_x"] == ""
    assert digests(folder)["mine::test_y"]
