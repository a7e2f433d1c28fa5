"""The shelf builds what is missing once, bases first, and leaves nothing half-built."""

import sys
from pathlib import Path

import pytest

from harness.errors import ConfigError, InfrastructureError
from harness.session.checkpoints import Definition, Shelf, builder_cell, of_weights, open_shelf

BUILDER = """
import json, pathlib, sys
for order in json.loads(pathlib.Path(sys.argv[2]).read_text()):
    if "bad" in order["definition"]:
        sys.exit("the geometry is wrong")
    out = pathlib.Path(order["out"])
    out.mkdir()
    base = order["base"] and sorted(path.name for path in pathlib.Path(order["base"]).iterdir())
    (out / "weights").write_text(f"{order['size']} {base}")
"""


@pytest.fixture
def shelf(tmp_path):
    builder = tmp_path / "builder"
    builder.mkdir()
    (builder / "build.py").write_text(BUILDER)
    (builder / "builder.txt").write_text("# pinned\nsix==1.16.0\n")
    definitions = {}
    for name, base in (("model", None), ("adapter", "model"), ("bad", None)):
        file = builder / f"{name}.toml"
        file.write_text(f'kind = "{name}"\n')
        definitions[name] = Definition(name, file, base, "org/model" if name == "model" else None)
    return Shelf(tmp_path / "shelf", builder, definitions, "tiny")


def provide(shelf, *names):
    return shelf.provide(names, lambda: Path(sys.executable), shelf.root / "log")


def test_bases_are_built_first_and_nothing_is_built_twice(shelf):
    found = provide(shelf, "adapter")
    assert Path(found["adapter"], "weights").read_text().startswith("tiny ['weights'")
    assert shelf.missing(["adapter", "model"]) == []

    def never():
        raise AssertionError("the builder was asked for")

    assert shelf.provide(["adapter"], never, shelf.root / "log") == found


def test_what_shapes_the_bytes_names_the_folder(shelf):
    before = {name: shelf.folder(name) for name in ("model", "adapter")}
    shelf.definitions["model"].file.write_text('kind = "model"\nlayers = 2\n')
    assert shelf.folder("model") != before["model"]
    assert shelf.folder("adapter") != before["adapter"], "an adapter's base is part of it"
    changed = shelf.folder("model")
    (shelf.builder / "builder.txt").write_text("six==1.17.0\n")
    assert shelf.folder("model") != changed


def test_a_builder_that_fails_leaves_nothing_and_says_why(shelf):
    with pytest.raises(InfrastructureError, match="could not be built: the geometry is wrong"):
        provide(shelf, "model", "bad")
    assert [path.name for path in shelf.root.iterdir() if path.is_dir()] == []


def test_an_unknown_checkpoint_names_the_nearest(shelf):
    with pytest.raises(ConfigError, match="no checkpoint named modell; the nearest is model"):
        provide(shelf, "modell")


def test_weights_from_a_folder_or_the_hub_need_no_builder(shelf, tmp_path):
    (tmp_path / "mine" / "model").mkdir(parents=True)
    assert of_weights("synthetic", None, ["model"], shelf) is None
    assert of_weights("hub", None, ["model"], shelf) == {"model": "org/model"}
    assert of_weights("mine", tmp_path / "mine", ["model"], shelf) == {"model": str(tmp_path / "mine" / "model")}
    with pytest.raises(ConfigError, match="adapter is not there; it needs the folder"):
        of_weights("mine", tmp_path / "mine", ["adapter"], shelf)


def test_the_shipped_builder_is_pinned_exactly(tmp_path):
    shelf = open_shelf(tmp_path, [], "tiny")
    assert {"qwen2.5-7b", "gemma-4-e2b", "gemma-4-e2b-lora"} <= shelf.definitions.keys()
    cell = builder_cell(shelf)
    assert all(pin.requirement == f"{pin.package}=={pin.label}" and pin.label for pin in cell.pins)


def test_definitions_beside_a_users_scenario_win(tmp_path):
    mine = tmp_path / "checkpoints"
    mine.mkdir()
    (mine / "qwen2.5-7b.toml").write_text('kind = "model"\n')
    assert open_shelf(tmp_path, [tmp_path], "tiny").definitions["qwen2.5-7b"].file == mine / "qwen2.5-7b.toml"
