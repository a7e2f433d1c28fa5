"""Scenario files are read without being run."""

import pytest

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.paths import ScenarioFile
from harness.session.plan import read_catalogue

TEXT = '''
import a_package_that_is_not_there
from harness.probe import scenario

@scenario(row="A1", needs=["cuda"], checkpoints=["tiny"], timeout=5)
def test_declared(probe):
    """A title.

    More."""

class TestGroup:
    def test_inside(self):
        pass

def helper():
    pass
'''


@pytest.fixture
def write(tmp_path):
    def make(text, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return make


def test_decorators_and_titles_are_read_and_nothing_is_imported(write):
    declared, inside = read_catalogue([ScenarioFile(write(TEXT))])
    assert (declared.id, declared.row, declared.title, declared.timeout) == ("mine::test_declared", "A1", "A title.", 5)
    assert (declared.needs, declared.checkpoints) == (("cuda",), ("tiny",))
    assert inside.id == "mine::TestGroup::test_inside"


def test_one_test_can_be_named_with_or_without_its_parameters(write):
    path = write(TEXT)
    assert [one.id for one in read_catalogue([ScenarioFile(path, "test_declared[x]")])] == ["mine::test_declared"]


@pytest.mark.parametrize(
    ("text", "test", "sentence"),
    [
        ("def test_x(:\n", None, r"mine\.py is not valid Python, line 1"),
        (TEXT, "test_declare", r"mine\.py has no test test_declare; the nearest is test_declared"),
        ("@scenario(row=ROW)\ndef test_x(): pass\n", None, r"mine\.py, line 1: @scenario\(row=…\) must be a literal"),
    ],
)
def test_a_mistake_is_one_sentence(write, text, test, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_catalogue([ScenarioFile(write(text), test)])


def test_two_files_of_one_name_and_files_without_tests_are_refused(write):
    first, second = write(TEXT), write(TEXT, "other/mine.py")
    with pytest.raises(ConfigError, match="have the same name: rename one"):
        read_catalogue([ScenarioFile(first), ScenarioFile(second)])
    with pytest.raises(NothingSelectedError, match="there is no test in"):
        read_catalogue([ScenarioFile(write("x = 1\n", "empty.py"))])
