"""The store builds missing checkpoints once, bases first, reports progress and keeps finished files."""

import json
import sys
from pathlib import Path

import pytest

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, InfrastructureError
from harness.session.checkpoint_builder import builder_cell, builder_python, named_python
from harness.session.checkpoints import (
    CheckpointStore,
    Definition,
    bytes_to_write,
    checkpoint_copies,
    named_weights,
    open_store,
    read_definition,
)

BUILDER = """
import json, pathlib, sys
if "--layout" in sys.argv:
    orders = json.loads(pathlib.Path(sys.argv[2]).read_text())
    found = {pathlib.Path(order["definition"]).stem: [order["base"], order["size"]] for order in orders}
    pathlib.Path(sys.argv[4]).write_text(json.dumps(found))
    sys.exit()
for order in json.loads(pathlib.Path(sys.argv[2]).read_text()):
    name = pathlib.Path(order["definition"]).stem
    print(f"{name}: 1.0 MB, 9.0 GiB free", flush=True)
    print("a library says something")
    if name == "bad":
        sys.exit("the geometry is wrong")
    out = pathlib.Path(order["out"])
    out.mkdir()
    base = order["base"] and sorted(path.name for path in pathlib.Path(order["base"]).iterdir())
    (out / "weights").write_text(f"{order['size']} {base}")
    (out / "builder.json").write_text('{"torch": "2.0"}')
"""


@pytest.fixture
def store(tmp_path):
    builder = tmp_path / "builder"
    builder.mkdir()
    (builder / "build.py").write_text(BUILDER)
    (builder / "builder.txt").write_text("# pinned\nsix==1.16.0\n")
    definitions = {}
    for name, base in (("model", None), ("adapter", "model"), ("bad", None)):
        file = builder / f"{name}.toml"
        file.write_text(f'kind = "{name}"\n')
        hub = "org/model" if name == "model" else None
        definitions[name] = Definition(name, file, base, hub, "model", {"tiny": 1000})
    return CheckpointStore(tmp_path / "store", builder, definitions, "tiny")


def provide(store, *names, echo=lambda text: None):
    return store.provide(names, lambda: Path(sys.executable), store.root / "log", echo)


def test_bases_are_built_first_and_nothing_is_built_twice(store):
    found = provide(store, "adapter")
    assert Path(found["adapter"], "weights").read_text().startswith("tiny ['builder.json', 'weights'")
    assert store.missing(["adapter", "model"]) == []

    def never():
        raise AssertionError("the builder was requested")

    assert store.provide(["adapter"], never, store.root / "log") == found


def test_a_layout_is_computed_once_and_builds_nothing(store):
    found = store.layouts(["adapter", "model"], lambda: Path(sys.executable), store.root / "log")
    assert found == {"adapter": [str(store.definitions["model"].file), "tiny"], "model": [None, "tiny"]}
    assert store.missing(["adapter"]) == ["model", "adapter"], "nothing was built"

    def never():
        raise AssertionError("the builder was requested")

    assert store.layouts(["adapter"], never, store.root / "log") == {"adapter": found["adapter"]}


def test_progress_is_echoed_and_other_output_is_logged(store):
    echoed = []
    provide(store, "model", echo=echoed.append)
    assert echoed == ["model: 1.0 MB, 9.0 GiB free"]
    assert "a library says something" in (store.root / "log").read_text()


def test_the_folder_depends_on_the_inputs_of_the_build(store):
    before = {name: store.folder(name) for name in ("model", "adapter")}
    store.definitions["model"].file.write_text('kind = "model"\nlayers = 2\n')
    assert store.folder("model") != before["model"]
    assert store.folder("adapter") != before["adapter"], "an adapter's base is part of it"
    for name, text in (("builder.txt", "six==1.17.0\n"), ("other.py", "pass\n")):
        changed = store.folder("model")
        (store.builder / name).write_text(text)
        assert store.folder("model") != changed


def test_a_failed_build_has_its_reason_and_keeps_finished_checkpoints(store):
    with pytest.raises(InfrastructureError, match="could not be built: the geometry is wrong"):
        provide(store, "model", "bad")
    assert store.missing(["model", "bad"]) == ["bad"]


def test_an_incomplete_folder_is_not_built(store):
    store.folder("model").mkdir(parents=True)  # what a removal left behind
    with pytest.raises(InfrastructureError):
        provide(store, "bad", "model")
    assert store.missing(["model"]) == ["model"]


def test_an_unknown_checkpoint_names_the_nearest(store):
    with pytest.raises(ConfigError, match="no checkpoint named modell; the nearest is model"):
        provide(store, "modell")


def test_weights_of_a_folder_or_the_hub_need_no_builder(store, tmp_path):
    (tmp_path / "mine" / "model").mkdir(parents=True)
    assert named_weights("synthetic", None, ["model"], store) is None
    assert named_weights("hub", None, ["model"], store) == {"model": "org/model"}
    assert named_weights("mine", tmp_path / "mine", ["model"], store) == {"model": str(tmp_path / "mine" / "model")}
    with pytest.raises(ConfigError, match="adapter is not there; it needs the folder"):
        named_weights("mine", tmp_path / "mine", ["adapter"], store)
    with pytest.raises(ConfigError, match='adapter is not there; it needs "hub" in'):
        named_weights("hub", None, ["adapter"], store)


def test_the_packages_of_the_builder_are_pinned_exactly(tmp_path):
    cell = builder_cell(open_store(tmp_path, [], "tiny").builder)
    assert {pin.package for pin in cell.pins} == {"transformers", "torch", "safetensors"}
    assert all(pin.requirement == f"{pin.package}=={pin.label}" and pin.label for pin in cell.pins)


def test_every_model_of_the_harness_has_both_sizes_and_the_bytes_of_full(tmp_path):
    store = open_store(tmp_path, [], "full")
    models = {name for name, one in store.definitions.items() if one.kind == "model"}
    assert models == {
        *("qwen2.5-7b", "qwen2.5-1.5b", "llama-3.2-1b", "qwen3-moe"),
        *("gemma-3-4b", "gemma-3-12b", "gemma-4-e2b", "gemma-4-e4b"),
    }
    assert all(store.definitions[name].stated["full"] > 2**31 for name in models)
    assert all(store.definitions[name].hub for name in models - {"qwen3-moe"})


def test_definitions_next_to_own_scenarios_take_precedence(tmp_path):
    mine = tmp_path / "checkpoints"
    mine.mkdir()
    (mine / "qwen2.5-7b.toml").write_text('kind = "model"\n')
    assert open_store(tmp_path, [tmp_path], "tiny").definitions["qwen2.5-7b"].file == mine / "qwen2.5-7b.toml"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind = ", "is not valid TOML"),
        ("base = 3", "base is not a text"),
        ("hub = ['a']", "hub is not a text"),
        ("[full]\nbytes = 'many'", r"bytes in \[full\] is not a whole number"),
    ],
)
def test_an_invalid_definition_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        read_definition(tmp_path / "x.toml")


def test_the_list_has_sizes_and_builders(store):
    provide(store, "model")
    rows = {entry.definition.name: entry.copies[0] for entry in checkpoint_copies([store])}
    assert rows["model"].built
    assert rows["model"].builder == {"torch": "2.0"}
    assert rows["model"].bytes == sum(path.stat().st_size for path in store.folder("model").iterdir())
    assert (rows["adapter"].built, rows["adapter"].bytes) == (False, 1000)


def test_free_space_is_checked_before_the_build(store):
    begun = store.folder("adapter").with_name(f"building-{store.folder('adapter').name}")
    begun.mkdir(parents=True)
    (begun / "weights").write_bytes(b"x" * 400)
    (begun / "more.part").write_bytes(b"x" * 400)  # it will be drawn again
    assert bytes_to_write(store, ["adapter"]) == 1600, "its base is to be built too, and it is begun"
    many = Definition("model", store.definitions["model"].file, None, None, "model", {"tiny": 2**60})
    full = CheckpointStore(store.root, store.builder, {"model": many}, "tiny")
    with pytest.raises(InfrastructureError, match=r"1073741824.00 GiB are needed and .* free: free space"):
        bytes_to_write(full, ["model"])


def test_a_named_interpreter_is_checked_before_the_build(store, tmp_path):
    (store.builder / "builder.txt").write_text("pytest==1\n")
    environ = {"HARNESS_BUILDER_PYTHON": sys.executable}
    found = builder_python(store.builder, CacheDir(tmp_path), tmp_path / "log", environ)
    assert found == Path(sys.executable).absolute(), "whatever its versions are"
    (store.builder / "builder.txt").write_text("pytest==1\nno-such-package==2\n")
    with pytest.raises(ConfigError, match=r"HARNESS_BUILDER_PYTHON: .* has no no-such-package"):
        builder_python(store.builder, CacheDir(tmp_path), tmp_path / "log", environ)
    with pytest.raises(ConfigError, match="--python: there is no interpreter /no/python"):
        named_python("/no/python", store.builder, "--python")
    with pytest.raises(ConfigError, match="is not a Python interpreter that starts"):
        named_python("true", store.builder, "--python")


def test_the_folder_does_not_depend_on_a_named_interpreter(store):
    """The key is of the definition: a run on a machine without an index finds what another interpreter built there."""
    found = provide(store, "model")
    assert found["model"] == str(store.folder("model"))
    assert json.loads(Path(found["model"], "builder.json").read_text()) == {"torch": "2.0"}
