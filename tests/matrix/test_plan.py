import sys
from importlib.metadata import version

import pytest

from harness.errors import ConfigError, InfrastructureError, NothingSelectedError
from harness.matrix import index, plan
from harness.matrix.paths import find_scenarios
from harness.matrix.plan import plan_cells
from harness.matrix.schema import load_matrix


@pytest.fixture
def cells(read, tmp_path):
    """Plan a matrix from its text, and return its cells."""
    return lambda text: plan_cells(read(text), cache=tmp_path / "cache").cells


@pytest.fixture
def offline(monkeypatch):
    """Fail on any question to the network."""

    def refuse(*arguments, **keywords):
        raise AssertionError(f"the network was asked: {arguments}")

    monkeypatch.setattr(plan, "list_releases", refuse)
    monkeypatch.setattr(index, "run_pip", refuse)


@pytest.mark.usefixtures("offline")
def test_exact_pins_need_no_network(cells):
    found = cells(
        'reference = { transformers = ">=4,<5" }\n[axes]\ntransformers = ["4.57.6", "5.2.0"]\n'
        '[pins]\ntorch = "2.13.0"\n'
        '[[exclude]]\ntransformers = ">=5.3"\n'
    )
    assert [cell.label("transformers") for cell in found] == ["4.57.6", "5.2.0"]
    assert [cell.reference for cell in found] == [True, False]
    assert found[0].python == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_an_exclusion_without_a_match_is_a_warning(read, tmp_path):
    matrix = read('[axes]\ntransformers = ["4.57.6", "5.2.0"]\n[[exclude]]\ntransformers = "5.1.0"\n')
    assert plan_cells(matrix, cache=tmp_path).warnings == ("[[exclude]] 1 matches no cell",)


def test_commits_and_folders_come_from_the_repositories_of_the_matrix(cells, repository):
    head = repository.commit("one", "refs/heads/main")
    pull = repository.commit("two", "refs/pull/7/head")
    address = repository.bare.as_uri()
    found = cells(
        '[axes]\ntried = ["dev", "pr:7", "path:work"]\n[repositories]\ntried = "upstream.git"\n'
        '[[exclude]]\ntried = "path:work"\n'
    )
    assert [cell.pins[0].requirement for cell in found] == [
        f"tried @ git+{address}@{head}",
        f"tried @ git+{address}@{pull}",
    ]
    assert [cell.label("tried") for cell in found] == [f"dev@{head[:8]}", f"pr:7@{pull[:8]}"]


def test_installed_takes_version_and_python_from_the_base(cells):
    (cell,) = cells(f'base = "{sys.executable}"\n[pins]\npytest = "installed"\n')
    assert cell.label("pytest") == f"installed@{version('pytest')}"
    assert cell.base_python == sys.executable
    assert cell.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert cell.pins[0].installed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[pins]\ntorch = "installed"', '[pins] torch = "installed": needs the key base, an interpreter with the'),
        ('base = "none"\n[pins]\ntorch = "installed"', '[pins] torch = "installed": base = "none" is neither a file'),
        (f'base = "{sys.executable}"\n[pins]\nno-such = "installed"', f"{sys.executable} has no no-such."),
        (
            f'base = "{sys.executable}"\npython = "3.9"\n[pins]\npytest = "installed"',
            f'python = "3.9", but {sys.executable} (base) is Python 3.',
        ),
        (
            '[axes]\ntried = ["1.0", "dev"]',
            '[axes] tried = "dev": the repository of tried is not known; give it under [',
        ),
        ('[axes]\ntried = "path:nowhere"', '[axes] tried = "path:nowhere": there is no folder nowhere.'),
        (
            '[pins]\ntried = "1.0"\n[[include]]\ntried = "pr:7"',
            '[[include]] 1 tried = "pr:7": the repository of tried is',
        ),
        (
            'reference = { tried = "2.0" }\n[pins]\ntried = "1.0"',
            'reference { tried = "2.0" } matches no cell; there are',
        ),
    ],
)
def test_an_expression_that_cannot_be_resolved_is_an_error_with_file_table_and_key(write, tmp_path, text, sentence):
    file = write(text)
    with pytest.raises(ConfigError) as caught:
        plan_cells(load_matrix(file), cache=tmp_path / "cache")
    assert str(caught.value).startswith(f"{file}: ")
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


def test_excluding_everything_names_the_file(read, tmp_path):
    with pytest.raises(NothingSelectedError, match=r"tried\.toml: \[\[exclude\]\] leaves no cell of this matrix\.$"):
        plan_cells(read('[axes]\na = "1.0"\n[[exclude]]\na = ">=1"\n'), cache=tmp_path)


def test_a_silent_repository_names_the_file(write, tmp_path):
    file = write('[axes]\ntried = "dev"\n[repositories]\ntried = "gone.git"\n')
    with pytest.raises(InfrastructureError, match=r"tried\.toml: git cannot read the references of file:.*gone\.git"):
        plan_cells(load_matrix(file), cache=tmp_path / "cache")


def test_the_quickstart_pins_everything_but_one_axis():
    matrix = load_matrix("quickstart")
    assert list(matrix.axes) == ["transformers"]
    assert len(matrix.axes["transformers"]) >= 3
    assert {"torch", "accelerate", "bitsandbytes", "peft"} <= set(matrix.pins)
    assert matrix.reference["transformers"] in matrix.axes["transformers"]


def test_the_quickstart_scenarios_are_there():
    matrix = load_matrix("quickstart")
    assert len(find_scenarios(matrix.scenarios, matrix.path)) >= len(matrix.scenarios)


@pytest.mark.integration
def test_ranges_minors_and_wildcards_of_the_real_index(read, tmp_path):
    tried = read('[axes]\ntransformers = [">=5.0,<5.7", "latest:3"]\n[pins]\ntorch = "latest"\n')
    found = plan_cells(tried, cache=tmp_path).cells
    labels = [cell.label("transformers") for cell in found]
    line = ["5.0.0", "5.1.0", "5.2.0", "5.3.0", "5.4.0", "5.5.0", "5.5.1", "5.5.2", "5.5.3", "5.5.4"]
    assert labels[:13] == [*line, "5.6.0", "5.6.1", "5.6.2"]
    assert len(labels) == 16
    assert len({tuple(label.split(".")[:2]) for label in labels[13:]}) == 3


@pytest.mark.integration
def test_a_wildcard_and_a_day_of_the_real_index(read, tmp_path):
    tried = read('as_of = 2026-03-01\n[axes]\ntransformers = ["5.1.x", "latest"]\n')
    plan_of_day = plan_cells(tried, cache=tmp_path)
    labels = [cell.label("transformers") for cell in plan_of_day.cells]
    if any("date unknown" in warning for warning in plan_of_day.warnings):
        pytest.skip("this index tells no dates")
    assert labels == ["5.1.0", "5.2.0"]


@pytest.mark.integration
def test_a_yanked_release_of_the_real_index_is_shown_and_skipped(read, tmp_path):
    found = plan_cells(read('[axes]\ntransformers = "5.10.x"\n'), cache=tmp_path)
    assert [cell.label("transformers") for cell in found.cells] == ["5.10.1", "5.10.2", "5.10.4"]
    assert found.warnings[0].startswith("transformers 5.10.0 was yanked and is skipped: ")


@pytest.mark.integration
def test_a_package_that_is_on_no_index_gets_a_suggestion(write, tmp_path):
    file = write('[axes]\ntransformers-of-nobody = "latest"\n')
    with pytest.raises(ConfigError, match=r'"transformers-of-nobody" for this Python; did you mean "transformers"\?'):
        plan_cells(load_matrix(file), cache=tmp_path)
