"""A module that the matrix wants imported first and that a cell does not have is said, in both isolations."""

import pytest


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
def test_it_is_said_once_with_file_key_and_value_and_the_attempts_run(desk, isolation):
    desk.plant("def test_a(): pass\n")
    matrix = desk.folder / "m.toml"
    matrix.write_text(matrix.read_text().replace('["pytest"]', '["pytest", "psutil", "numpyy"]'))
    said = desk.harness("run", "m.toml", "--isolation", isolation, "--jobs", "1")
    assert said.count("numpyy") == 2
    first = desk.run.read_record().cells[0].id
    assert f'note: m.toml: [preload] modules = "numpyy" could not be imported in {first}: ModuleNotFoundError: ' in said
    assert "psutil" not in said  # which no pin names, and which is there
    assert [made[3] for made in desk.made()] == ["pass:check", "pass:check"]
    events = desk.run.events("preload_failed")
    assert [event["cell"] for event in events] == [cell.id for cell in desk.run.read_record().cells]


def test_a_usual_module_that_a_cell_lacks_is_no_mistake(desk):
    desk.plant("def test_a(): pass\n")
    matrix = desk.folder / "m.toml"
    matrix.write_text(matrix.read_text().partition("[preload]")[0])  # torch and the others are not in this interpreter
    said = desk.harness("run", "m.toml", "--cells", "six-1*")
    assert "note" not in said
    assert desk.run.events("preload_failed") == []
    assert desk.run.events("launcher")[0]["import_failures"]
