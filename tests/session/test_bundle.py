"""The contents of a bundle, the packages that it leaves to the target, and its errors."""

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.envs.bundle.resolve import Target
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Unsolvable
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.paths import find_scenarios
from harness.matrix.schema import load_matrix
from harness.session.bundle import (
    BundleOptions,
    _check_lock,
    copy_matrix,
    copy_scenarios,
    make_bundle,
    plan_target_cells,
)

LINUX = Target("3.12", "linux-x86_64")


def write(folder: Path, text: str = "", *, scenarios: str = '["case.py"]', top: str = "") -> Path:
    (folder / "case.py").write_text("def test_one():\n    pass\n")
    path = folder / "mine.toml"
    path.write_text(f'name = "mine"\nscenarios = {scenarios}\n{top}\n[axes]\niniconfig = ["2.0.0", "2.1.0"]\n{text}')
    return path


def plan(folder: Path, options: BundleOptions, *arguments, **words):
    return plan_target_cells(load_matrix(write(folder, *arguments, **words)), options, CacheDir(folder / "cache"))[0]


def test_cells_are_planned_for_the_python_of_the_target(tmp_path):
    assert [cell.python for cell in plan(tmp_path, BundleOptions(LINUX))] == ["3.12", "3.12"]


def test_a_matrix_for_another_python_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"wants Python 3\.11, and the bundle is for 3\.12"):
        plan(tmp_path, BundleOptions(LINUX), top='python = "3.11"')


def test_an_excluded_package_is_taken_from_the_base_in_spite_of_a_pin(tmp_path):
    options = BundleOptions(LINUX, base={"torch": "2.11.0", "numpy": "2.5.2"}, exclude=("torch", "numpy"))
    (cell, _) = plan(tmp_path, options, '[pins]\ntorch = "2.13.0"\n')
    assert {pin.package: pin.label for pin in cell.pins if pin.installed} == {
        "numpy": "installed@2.5.2",
        "torch": "installed@2.11.0",
    }


def test_a_pinned_torch_is_taken_from_the_base_unless_included(tmp_path):
    matrix = load_matrix(write(tmp_path, '[pins]\ntorch = "2.13.0"\n'))
    (left, _), notes = plan_target_cells(matrix, BundleOptions(LINUX), CacheDir(tmp_path / "cache"))
    assert left.label("torch") == "installed@unknown"
    assert notes == ("torch is taken from the other machine: the pin of the matrix is ignored",)
    (kept, _), notes = plan_target_cells(matrix, BundleOptions(LINUX, torch=True), CacheDir(tmp_path / "cache"))
    assert (kept.label("torch"), notes) == ("2.13.0", ())


def test_without_a_freeze_the_versions_of_the_base_are_unknown(tmp_path):
    (cell, _) = plan(tmp_path, BundleOptions(LINUX), '[pins]\ntorch = "installed"\n')
    assert cell.label("torch") == "installed@unknown"


def test_a_freeze_without_an_installed_package_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="has no torch"):
        plan(tmp_path, BundleOptions(LINUX, base={"numpy": "1"}), '[pins]\ntorch = "installed"\n')


def test_an_axis_cannot_be_excluded(tmp_path):
    with pytest.raises(ConfigError, match="--exclude iniconfig: it is an axis of mine"):
        plan(tmp_path, BundleOptions(LINUX, exclude=("iniconfig",)))


def test_a_folder_of_weights_is_refused(tmp_path):
    (tmp_path / "weights").mkdir()
    matrix = load_matrix(write(tmp_path, '[checkpoints]\nweights = "weights"\n'))
    with pytest.raises(ConfigError, match="carries no folder of weights"):
        make_bundle(matrix, BundleOptions(LINUX), tmp_path / "x.tar.xz", CacheDir(tmp_path / "cache"), print)


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (
            Unsolvable("docopt==0.6.2 has no usable wheels"),
            ConfigError,
            r"c: a bundle holds wheels only.*docopt==0\.6\.2",
        ),
        (Unsolvable("dns error", network=True), InfrastructureError, "c cannot be locked: dns error"),
        (
            "torch==2.13.0 \\\n    --hash=sha256:aa\nnvidia-cublas==1 \\\n    --hash=sha256:bb\n",
            ConfigError,
            r"c would include torch 2\.13\.0 and 1 CUDA packages: leave it .* --exclude torch",
        ),
    ],
)
def test_a_lock_that_cannot_be_bundled_is_one_sentence(answer, error, sentence):
    with pytest.raises(error, match=sentence):
        _check_lock("c", answer, BundleOptions(LINUX))


def test_torch_may_be_included_and_a_cell_may_be_unsolvable():
    _check_lock("c", "torch==2.13.0 \\\n    --hash=sha256:aa\n", BundleOptions(LINUX, torch=True))
    _check_lock("c", Unsolvable("six==9 was not found"), BundleOptions(LINUX))


def test_own_scenarios_are_copied_with_modules_and_checkpoints_only(tmp_path):
    matrix = write(tmp_path)
    (tmp_path / "shared.py").touch()
    (tmp_path / "secrets.txt").touch()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.toml").touch()
    files = find_scenarios(["case.py::test_one", "scenarios/load_4bit"], matrix)
    out = tmp_path / "out"
    place = f"scenarios/0-{tmp_path.name}"
    assert copy_scenarios(files, out, chosen=False) == (f"{place}/case.py::test_one", "app/scenarios/load_4bit.py")
    copied = sorted(path.relative_to(out / place).as_posix() for path in (out / place).rglob("*") if path.is_file())
    assert copied == ["case.py", "checkpoints/mine.toml", "shared.py"]


def test_scenarios_of_the_harness_need_no_selection(tmp_path):
    files = find_scenarios(["scenarios/load_4bit"], tmp_path / "m.toml")
    assert copy_scenarios(files, tmp_path, chosen=False) == ()
    assert copy_scenarios(files, tmp_path, chosen=True) == ("app/scenarios/load_4bit.py",)


def test_known_issues_of_the_matrix_are_copied(tmp_path):
    matrix = load_matrix(write(tmp_path))
    (tmp_path / "known_issues.toml").write_text("# none\n")
    out = tmp_path / "out"
    out.mkdir()
    assert copy_matrix(matrix, "# none\n", out) == "matrices/mine.toml"
    assert (out / "matrices" / "known_issues.toml").read_text() == "# none\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "x.zip"], "must be a file that ends with .tar.xz"),
        (["--platform", "beos"], '--platform "beos" is not one of'),
        (["--base-freeze", "nothing.txt"], "nothing.txt cannot be read"),
        (["--python", "three"], '--python "three" is not a version'),
    ],
)
def test_a_usage_error_is_one_sentence(arguments, sentence, tmp_path, capsys):
    assert main(["bundle", str(write(tmp_path)), *arguments]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1


def test_an_unknown_cuda_version_is_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as exited:
        main(["bundle", str(write(tmp_path)), "--cuda", "latest"])
    assert exited.value.code == 2
    assert "latest is not a CUDA version" in capsys.readouterr().err


def test_a_plan_reads_cells_and_locks_from_the_bundle(tmp_path, monkeypatch):
    """The index is not queried: the stored lock is used although such a release does not exist."""
    from harness.envs.bundle.manifest import Manifest, StoredCell
    from harness.matrix.cell import Cell, Pin
    from harness.session.plan import make_plan

    cell = Cell(python="3.11", pins=(Pin("iniconfig", "99.0", "iniconfig==99.0"),), axes=("iniconfig",))
    manifest = Manifest(
        harness_version="1",
        python="3.11",
        platform="linux-x86_64",
        matrix="mine.toml",
        needs_base=False,
        cells=(StoredCell(cell=cell, text="iniconfig==99.0 \\\n    --hash=sha256:aa\n"),),
    )
    manifest.write(tmp_path)
    monkeypatch.setenv("HARNESS_BUNDLE", str(tmp_path))
    made = make_plan(load_matrix(write(tmp_path)), CacheDir(tmp_path / "cache"))
    (planned,) = made.cells
    assert planned.cell == cell
    assert json.dumps(planned.record().versions) == '{"iniconfig": "99.0"}'


@pytest.mark.parametrize("named", [False, True])
def test_no_builder_is_locked_if_an_interpreter_is_named(named, tmp_path, monkeypatch):
    from harness.session import bundle

    builders = []

    def lock(cells, options, cache_dir, builder):
        builders.append(builder)
        raise InfrastructureError("stop")

    monkeypatch.setattr(bundle, "_lock_all", lock)
    monkeypatch.setenv("HARNESS_BUILDER_PYTHON", "python3" if named else "")
    matrix = load_matrix(write(tmp_path, scenarios='["scenarios/load_4bit"]'))
    with pytest.raises(InfrastructureError, match="stop"):
        make_bundle(matrix, BundleOptions(LINUX), tmp_path / "x.tar.xz", CacheDir(tmp_path / "cache"), print)
    assert [folder and folder.name for folder in builders] == ([None] if named else ["checkpoints"])
