"""Parts of a bundle: targets, freezes, wheels rewritten and thinned, locks renamed, archives that repeat."""

import hashlib
import json
import lzma
import os
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.envs.bundle import launcher, manifest
from harness.envs.bundle.archive import archive_order, dictionary_size, own_requirements, safe_name, write_archive
from harness.envs.bundle.manifest import Manifest, StoredCell, opened_bundle, read_freeze, read_manifest
from harness.envs.bundle.resolve import Target
from harness.envs.bundle.wheels import Wheelhouse, cuda_version, fetch_wheels, keep_one_cuda, requirements, store_wheel
from harness.envs.lock import Lock, Unsolvable
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import Cell, Pin

LINUX = Target("3.12", "linux-x86_64")
LIBRARIES = ("cpu", "cuda118", "cuda129", "cuda130", "rocm63")


def make_wheel(path: Path, members: dict[str, bytes], *, order=None, when=(2020, 5, 4, 3, 2, 2)) -> Path:
    info = f"{'-'.join(path.name.split('-')[:2])}.dist-info"
    rows = [f"{name},sha256=x,{len(content)}\n" for name, content in members.items()]
    record = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in order or members:
            wheel.writestr(zipfile.ZipInfo(name, when), members[name])
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD", when), record)
    return path


def bitsandbytes(folder: Path) -> Path:
    members = {"bitsandbytes/__init__.py": b"import ctypes\n"}
    members |= {f"bitsandbytes/libbitsandbytes_{name}.so": name.encode() * 100 for name in LIBRARIES}
    return make_wheel(folder / "bitsandbytes-0.49.2-py3-none-manylinux_2_24_x86_64.whl", members)


def record_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as opened_wheel:
        name = next(name for name in opened_wheel.namelist() if name.endswith("RECORD"))
        return [line.split(",")[0] for line in opened_wheel.read(name).decode().splitlines()]


@pytest.mark.parametrize(
    ("python", "platform", "sentence"),
    [
        ("3", "linux-x86_64", r'--python "3" is not a version such as 3\.12'),
        ("3.12.1", "linux-x86_64", "3.12.1"),
        ("3.12", "windows", r'--platform "windows" is not one of linux-x86_64, linux-aarch64'),
    ],
)
def test_a_target_that_no_wheel_fits_is_refused(python, platform, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Target(python, platform)


def test_pip_gets_a_tag_for_every_glibc_the_newest_first():
    words = LINUX.pip_arguments()
    platforms = [words[place + 1] for place, word in enumerate(words) if word == "--platform"]
    assert platforms[0] == "manylinux_2_28_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64"} <= set(platforms)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("torch==2.11.0+cu130\nHuggingface_Hub==1.0\n", {"torch": "2.11.0+cu130", "huggingface-hub": "1.0"}),
        ("Package  Version\n-------- -----\nnumpy    2.5.2\n", {"numpy": "2.5.2"}),
        ("# all\n-e git+https://x/y#egg=y\nmine @ file:///work/mine\n", {"mine": ""}),
    ],
)
def test_a_freeze_is_read_as_pip_prints_it(text, found, tmp_path):
    (tmp_path / "freeze.txt").write_text(text)
    assert read_freeze(tmp_path / "freeze.txt") == found


@pytest.mark.parametrize(
    ("text", "sentence"), [("torch\n", "line 1: 'torch' is not name==version"), ("", "names no package")]
)
def test_a_freeze_that_says_nothing_is_one_sentence(text, sentence, tmp_path):
    (tmp_path / "freeze.txt").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        read_freeze(tmp_path / "freeze.txt")


def test_a_missing_freeze_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_freeze(tmp_path / "nothing.txt")


def test_a_stored_wheel_has_the_same_files_and_record_uncompressed(tmp_path):
    members = {"a/__init__.py": b"x = 1\n" * 200, "a/data.bin": bytes(range(256))}
    wheel = make_wheel(tmp_path / "a-1.0-py3-none-any.whl", members)
    store_wheel(wheel, tmp_path / "stored.whl")
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(tmp_path / "stored.whl") as after:
        assert {name: after.read(name) for name in after.namelist()} == {
            name: before.read(name) for name in before.namelist()
        }
        assert {info.compress_type for info in after.infolist()} == {zipfile.ZIP_STORED}
        assert after.namelist()[-1] == "a-1.0.dist-info/RECORD"


def test_storing_forgets_order_and_times(tmp_path):
    members = {"b/one.py": b"1", "b/two.py": b"2"}
    name = "b-1.0-py3-none-any.whl"
    for place, when in (("x", (2020, 1, 1, 0, 0, 0)), ("y", (2024, 1, 1, 0, 0, 0))):
        (tmp_path / place).mkdir()
        wheel = make_wheel(tmp_path / place / name, members, order=sorted(members, reverse=place == "y"), when=when)
        store_wheel(wheel, tmp_path / f"{place}.whl")
    assert (tmp_path / "x.whl").read_bytes() == (tmp_path / "y.whl").read_bytes()


def test_thinning_keeps_one_cuda_library_and_the_cpus_and_a_true_record(tmp_path):
    wheel = bitsandbytes(tmp_path)
    store_wheel(wheel, tmp_path / "thin.whl", keep_one_cuda(wheel, "130"))
    with zipfile.ZipFile(tmp_path / "thin.whl") as thin:
        names = thin.namelist()
    assert sorted(name for name in names if name.endswith(".so")) == [
        "bitsandbytes/libbitsandbytes_cpu.so",
        "bitsandbytes/libbitsandbytes_cuda130.so",
    ]
    assert sorted(record_of(tmp_path / "thin.whl")) == sorted(names)


def test_a_cuda_version_that_the_wheel_lacks_is_refused_with_those_it_has(tmp_path):
    with pytest.raises(ConfigError, match=r"--cuda 124: bitsandbytes.* it has 118, 129, 130"):
        keep_one_cuda(bitsandbytes(tmp_path), "124")


def test_what_is_no_wheel_is_one_sentence(tmp_path):
    (tmp_path / "broken-1-py3-none-any.whl").write_bytes(b"not a zip")
    with pytest.raises(ConfigError, match=r"broken-1-py3-none-any\.whl is not a wheel"):
        store_wheel(tmp_path / "broken-1-py3-none-any.whl", tmp_path / "out.whl")


@pytest.mark.parametrize("text", ["130", "13.0", "cu130"])
def test_a_cuda_version_may_be_written_in_three_ways(text):
    assert cuda_version(text) == "130"


@pytest.mark.parametrize("text", ["13", "cuda", "13.0.1"])
def test_what_is_no_cuda_version_is_refused(text):
    with pytest.raises(ValueError, match=text):
        cuda_version(text)


def test_a_lock_names_the_wheel_of_the_index_and_the_stored_one():
    text = "a==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n# via\nb==2.0 \\\n    --hash=sha256:cc\n"
    first, second = requirements(text)
    house = Wheelhouse(Path(), {first: ("bb", "new"), second: ("cc", "cc")})
    assert house.relock(text) == (
        "a==1.0 \\\n    --hash=sha256:bb \\\n    --hash=sha256:new\nb==2.0 \\\n    --hash=sha256:cc\n"
    )


def test_a_commit_cannot_be_bundled(tmp_path):
    with pytest.raises(ConfigError, match="transformers is a commit or a folder"):
        fetch_wheels(["transformers @ git+https://x/y@abc"], LINUX, tmp_path, lambda text: None)


def test_a_kept_wheel_that_changed_is_noticed(tmp_path):
    entry = "a==1.0 --hash=sha256:" + "0" * 64
    key = hashlib.sha256(f"{entry}\n3.12\nlinux-x86_64".encode()).hexdigest()[:24]
    (tmp_path / key).mkdir()
    make_wheel(tmp_path / key / "a-1.0-py3-none-any.whl", {"a.py": b""})
    with pytest.raises(InfrastructureError, match=r"differs from the lock of a==1\.0"):
        fetch_wheels([entry], LINUX, tmp_path, lambda text: None)


def test_wheels_of_one_package_lie_side_by_side_behind_the_small_files():
    names = [
        "wheels/transformers-5.12.0-py3-none-any.whl",
        "wheels/numpy-2.4.0-cp312-cp312-linux_x86_64.whl",
        "wheels/transformers-5.2.0-py3-none-any.whl",
        "run.py",
    ]
    assert [name.split("/")[-1].rsplit("-py3")[0] for name in sorted(names, key=archive_order)] == [
        "run.py",
        "numpy-2.4.0-cp312-cp312-linux_x86_64.whl",
        "transformers-5.2.0",
        "transformers-5.12.0",
    ]


def test_equal_folders_make_equal_archives_whatever_their_times_and_owners(tmp_path):
    made = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        (folder / "wheels").mkdir(parents=True)
        (folder / "run").write_text("#!/bin/sh\n")
        (folder / "run").chmod(0o755)
        (folder / "wheels" / "a-1.0-py3-none-any.whl").write_bytes(b"x" * 1000)
        os.utime(folder / "run", (number, number))
        size = write_archive(folder, tmp_path / f"{number}.tar.xz")
        made.append((tmp_path / f"{number}.tar.xz").read_bytes())
        assert size == len(made[-1])
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "1.tar.xz") as tar:
        assert {entry.name: entry.mode for entry in tar} == {"run": 0o755, "wheels/a-1.0-py3-none-any.whl": 0o644}
    assert not list(tmp_path.glob("*.part"))


def test_an_archive_has_regular_files_below_its_folder_and_nothing_else(tmp_path):
    """Whoever unpacks it needs no filter, which the tarfile of Python 3.11.2 does not have."""
    folder = tmp_path / "in"
    (folder / "wheels").mkdir(parents=True)
    (tmp_path / "outside").write_text("x")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "wheels" / "hard").hardlink_to(tmp_path / "outside")
    write_archive(folder, tmp_path / "out.tar.xz")
    with tarfile.open(tmp_path / "out.tar.xz") as tar:
        assert sorted(tar.getnames()) == ["link", "wheels/hard"]
        assert all(entry.isreg() and entry.size == 1 for entry in tar)


@pytest.mark.parametrize(("size", "found"), [(0, 2**20), (2**20 + 1, 2**21), (2**22, 2**22), (10**12, 2**28)])
def test_the_dictionary_is_no_larger_than_it_has_to_be(size, found):
    assert dictionary_size(size) == found


def test_the_second_of_two_like_wheels_costs_almost_nothing(tmp_path):
    """The reason for storing wheels: nearly equal releases are far apart in a window of a few megabytes."""
    body = os.urandom(9 * 2**20)  # further back than the dictionary of xz's usual settings reaches
    (tmp_path / "in").mkdir()
    for version in ("1.0", "2.0"):
        (tmp_path / "in" / f"a-{version}-py3-none-any.whl").write_bytes(body + version.encode())
    size = write_archive(tmp_path / "in", tmp_path / "out.tar.xz")
    assert size < 1.01 * len(body)
    assert len(lzma.decompress((tmp_path / "out.tar.xz").read_bytes())) > 2 * len(body)


def test_the_host_brings_neither_tables_nor_uv_unless_asked():
    names = {line.split(">")[0] for line in own_requirements(tables=False)}
    assert {"nox", "pip", "pydantic", "jinja2"} <= names
    assert not {"pandas", "pyarrow", "uv"} & names
    assert {"pandas", "pyarrow"} <= {line.split(">")[0] for line in own_requirements(tables=True)}


def test_a_folder_name_is_made_plain():
    assert safe_name("my cases (old)") == "my-cases-old"
    assert safe_name("…") == "own"


TORCH = Pin("torch", "installed@unknown", "torch==unknown", installed=True)
SMALL = Pin("iniconfig", "2.1.0", "iniconfig==2.1.0")


def make_manifest(folder: Path, *cells: StoredCell, base=None) -> Manifest:
    manifest = Manifest(
        harness_version="checkout",
        python="3.11",
        platform="linux-x86_64",
        matrix="matrices/x.toml",
        needs_base=True,
        base=base or {},
        cells=cells,
    )
    manifest.write(folder)
    return manifest


@pytest.fixture
def base(monkeypatch):
    """Stand in for an interpreter that has torch and filelock: listing a real one is tested where bases are."""
    from packaging.requirements import Requirement

    from harness.matrix.base import BaseInterpreter, BasePackage

    packages = {
        "torch": BasePackage("torch", "2.11.0", (Requirement("filelock"),)),
        "filelock": BasePackage("filelock", "3.20.0", ()),
    }
    monkeypatch.setattr(manifest, "read_base", lambda program: BaseInterpreter(Path(program), "3.11.7", packages))
    return "/opt/base/bin/python"


def test_a_stored_cell_uses_the_packages_of_the_base(tmp_path, base):
    cell = Cell(python="3.11", pins=(SMALL, TORCH), base_python="python3")
    make_manifest(
        tmp_path, StoredCell(cell=cell, text="iniconfig==2.1.0 \\\n    --hash=sha256:aa\n", from_base=("torch",))
    )
    bundle = opened_bundle({"HARNESS_BUNDLE": str(tmp_path), "HARNESS_BUNDLE_BASE": base})
    (placed,) = bundle.cells()
    assert placed.label("torch") == "installed@2.11.0"
    lock = bundle.locks([placed])[placed.id]
    assert isinstance(lock, Lock)
    assert lock.base == base
    assert lock.packages == {"filelock": "3.20.0", "iniconfig": "2.1.0", "torch": "2.11.0"}


def test_what_the_lock_installs_is_not_asked_of_the_base(tmp_path, base):
    cell = Cell(python="3.11", pins=(TORCH,), base_python="python3")
    text = "filelock==4.2.0 \\\n    --hash=sha256:aa\n"
    make_manifest(tmp_path, StoredCell(cell=cell, text=text, from_base=("torch",)))
    bundle = opened_bundle({"HARNESS_BUNDLE": str(tmp_path), "HARNESS_BUNDLE_BASE": base})
    (placed,) = bundle.cells()
    assert bundle.locks([placed])[placed.id].packages == {"filelock": "4.2.0", "torch": "2.11.0"}


def test_another_torch_than_the_bundle_was_made_for_is_refused(tmp_path, base):
    cell = Cell(python="3.11", pins=(TORCH,), base_python="python3")
    make_manifest(tmp_path, StoredCell(cell=cell, text="", from_base=("torch",)), base={"torch": "2.10.0"})
    with pytest.raises(ConfigError, match=r"made for torch 2\.10\.0, and .* has 2\.11\.0"):
        opened_bundle({"HARNESS_BUNDLE": str(tmp_path), "HARNESS_BUNDLE_BASE": base}).cells()


def test_a_cell_without_a_resolution_keeps_its_sentence(tmp_path):
    cell = Cell(python="3.11", pins=(SMALL,))
    make_manifest(tmp_path, StoredCell(cell=cell, sentence="because"))
    assert opened_bundle({"HARNESS_BUNDLE": str(tmp_path)}).locks([cell]) == {cell.id: Unsolvable("because")}


def test_a_cell_that_the_bundle_lacks_is_one_sentence(tmp_path):
    make_manifest(tmp_path)
    with pytest.raises(ConfigError, match="the bundle has no lock for cell-"):
        opened_bundle({"HARNESS_BUNDLE": str(tmp_path)}).locks([Cell(python="3.11", pins=(SMALL,))])


def test_a_search_finds_a_stored_lock_by_its_pins_and_knows_when_there_is_none(tmp_path, base):
    varied = Cell(python="3.11", pins=(SMALL, TORCH), axes=("iniconfig",), base_python="python3")
    make_manifest(
        tmp_path, StoredCell(cell=varied, text="iniconfig==2.1.0 \\\n    --hash=sha256:aa\n", from_base=("torch",))
    )
    bundle = opened_bundle({"HARNESS_BUNDLE": str(tmp_path), "HARNESS_BUNDLE_BASE": base})
    (placed,) = bundle.cells()
    same = replace(placed, axes=("iniconfig", "torch"), pins=placed.pins[::-1])
    other = replace(placed, pins=(Pin("iniconfig", "2.0.0", "iniconfig==2.0.0"), placed.pins[1]))
    assert same.id != placed.id
    locks = bundle.locks_by_pins([same, other])
    assert locks[same.id].packages["iniconfig"] == "2.1.0"
    assert "no cell with these pins" in locks[other.id].sentence


def test_no_bundle_is_opened_where_none_is_named():
    assert opened_bundle({}) is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is not an unpacked bundle"),
        ("{}", r"bundle\.json: .*: Field required"),
        ({"schema_version": 99}, "has schema 99, newer than 1"),
    ],
)
def test_a_folder_that_is_no_bundle_is_one_sentence(content, sentence, tmp_path):
    if isinstance(content, dict):
        whole = json.loads(make_manifest(tmp_path).model_dump_json())
        content = json.dumps({**whole, **content})
    if content is not None:
        (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(ConfigError, match=sentence):
        read_manifest(tmp_path)


def test_the_other_machine_uses_the_bundle_only(tmp_path):
    own = {"PIP_INDEX_URL": "https://a", "UV_DEFAULT_INDEX": "https://b", "PYTHONPATH": "/x", "PATH": "/bin"}
    found = launcher.environment(own, "/base/python", tmp_path, {"builder": {}})
    assert not {"PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PYTHONPATH"} & found.keys()
    assert (found["PIP_NO_INDEX"], found["UV_OFFLINE"], found["PATH"]) == ("1", "1", "/bin")
    assert found["PIP_FIND_LINKS"].startswith("file://")
    assert found["HARNESS_CACHE"] == str(tmp_path / "cache")
    assert "HARNESS_BUILDER_PYTHON" not in found


def test_the_base_builds_checkpoints_where_no_builder_came_along_and_none_is_named(tmp_path):
    alone = launcher.environment({}, "/base/python", tmp_path, {"builder": None})
    assert alone["HARNESS_BUILDER_PYTHON"] == "/base/python"
    named = launcher.environment({"HARNESS_BUILDER_PYTHON": "/mine"}, "/base/python", tmp_path, {"builder": None})
    assert named["HARNESS_BUILDER_PYTHON"] == "/mine"


def test_the_other_machine_refuses_another_python_in_one_sentence(capsys, monkeypatch, tmp_path):
    make_manifest(tmp_path).model_copy(update={"python": "3.1"}).write(tmp_path)
    monkeypatch.setattr(launcher, "HERE", tmp_path)
    assert launcher.main(["--base", "python3"]) == 2
    printed = capsys.readouterr().err
    assert "the bundle is for Python 3.1, and" in printed
    assert printed.count("\n") == 1


def test_a_base_that_is_not_there_is_one_sentence(capsys):
    assert launcher.main(["--base", "/nowhere/python"]) == 2
    assert "neither a file nor a command" in capsys.readouterr().err


def test_the_newest_run_is_packed_and_missing_tables_are_reported(tmp_path, capsys):
    for number, name in enumerate(("old", "new")):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "run.json").touch()
        os.utime(tmp_path / "reports" / name / "run.json", (number, number))
    run = launcher.newest_run(tmp_path / "reports")
    launcher.finish(run, tmp_path / "out" / "run.tar.gz")
    with tarfile.open(tmp_path / "out" / "run.tar.gz") as tar:
        assert tar.getnames() == ["new", "new/run.json"]
    assert "`harness report new` writes them at home" in capsys.readouterr().err
    launcher.finish(launcher.newest_run(tmp_path / "nothing"), None)
    assert not capsys.readouterr().err


def test_scenarios_of_a_bundle_are_given_unless_others_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").touch()
    manifest = {"matrix": "matrices/x.toml", "selection": ["scenarios/0-own/case.py"]}
    start = ["run", "matrices/x.toml", "--reports", "/r"]
    given = launcher.run_arguments(manifest, [], Path("/r"), ["--jobs", "2"])
    assert given == [*start, "--scenarios", "scenarios/0-own/case.py", "--jobs", "2"]
    given = launcher.run_arguments(manifest, ["mine.py::test_x", "scenarios/split"], Path("/r"), [])
    assert given == [*start, "--scenarios", f"{tmp_path}/mine.py::test_x", "--scenarios", "scenarios/split"]


def test_checkpoints_of_a_bundle_are_put_where_the_harness_looks_once(tmp_path, monkeypatch):
    (tmp_path / "b" / "checkpoints" / "m-tiny-abc").mkdir(parents=True)
    (tmp_path / "b" / "checkpoints" / "m-tiny-abc" / "config.json").write_text("{}")
    monkeypatch.setattr(launcher, "HERE", tmp_path / "b")
    for _ in range(2):
        launcher.link_checkpoints(tmp_path / "cache")
    assert (tmp_path / "cache" / "checkpoints" / "m-tiny-abc" / "config.json").read_text() == "{}"
