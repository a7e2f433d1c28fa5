"""Locks, requirements, listings and environment files: every package is a pin, open, or in a note."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from harness.envs.requirements import exact_pin, is_implicit, read_pinned
from harness.errors import ConfigError

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("transformers==5.6.2", "transformers==5.6.2"),
        ("Huggingface_Hub==1.3.0  # the hub", "huggingface-hub==1.3.0"),
        ("accelerate[rich,testing]==1.13.0", "accelerate[rich,testing]==1.13.0"),
        ("numpy===2.3.5", "numpy==2.3.5"),
        ('numpy==1.26.4 ; python_version < "3.10"', 'numpy==1.26.4; python_version < "3.10"'),
        (
            f"peft @ git+https://github.com/huggingface/peft@{SHA}",
            f"peft @ git+https://github.com/huggingface/peft@{SHA}",
        ),
        ("safetensors==0.5.3 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd", "safetensors==0.5.3"),
        ("tokenizers   0.22.1", "tokenizers==0.22.1"),
        ("tokenizers   0.22.1   pypi_0   pypi", "tokenizers==0.22.1"),
        ("tokenizers=0.22.1=pypi_0", "tokenizers==0.22.1"),
        ("torch==2.11.0+cu130", "torch==2.11.0"),
        ("torch                2.11.0+cu130", "torch==2.11.0"),
    ],
)
def test_an_exact_version_or_an_address_is_a_pin(line, requirement):
    found = read_pinned(line)
    assert [pin.requirement for pin in found.pins] == [requirement]
    assert not found.open


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-e /home/me/mine", "left out, installed from a working copy"),
        ("--editable=git+https://github.com/me/x#egg=x", "left out, installed from a working copy"),
        ("editable-one   0.1   /home/me/editable-one", "left out, installed from a working copy"),
        (
            "certifi @ file:///croot/certifi_1707229174982/work/certifi",
            "left out, a file of another machine (`pip list --format=freeze` prints its version)",
        ),
        ("numpy                     1.26.4          py311h64a7726_0    conda-forge", "left out, installed by conda"),
        ("zlib                      1.2.13               h5eee18b_1", "left out, installed by conda"),
        ("./wheels/mine-1.0-py3-none-any.whl", "left out, not a requirement"),
        ("nvidia-cublas-cu12==12.4.5.8", "left out, comes with torch"),
        ("triton==3.5.0", "left out, comes with torch"),
        ("pytest==8.0.0", "left out, comes with the harness"),
        ("pip==24.0", "left out, comes with the harness"),
        ("_libgcc_mutex=0.1=main", "left out, installed by conda"),
        ("-r other.txt", "left out, an option of pip (the index is the one that pip is configured to use)"),
        (
            "--index-url https://example.org/simple",
            "left out, an option of pip (the index is the one that pip is configured to use)",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_its_reason(line, reason):
    found = read_pinned(f"app==1\n{line}\n")
    assert [pin.package for pin in found.pins] == ["app"]
    assert found.notes == (f"{reason}: {line}",)


def test_what_has_no_exact_version_is_left_to_the_resolver_with_a_note():
    found = read_pinned("accelerate>=1.0,<2\nnumpy\ntqdm==4.*\n")
    assert [pin.requirement for pin in found.open] == ["accelerate<2,>=1.0", "numpy", "tqdm==4.*"]
    assert found.notes == ("no exact version, resolved now: accelerate>=1.0,<2, numpy, tqdm==4.*",)


def test_another_build_of_a_version_is_a_note():
    assert read_pinned("torch==2.11.0+cu130").notes == (
        "the build that fits this machine is used: torch==2.11.0+cu130",
    )


def test_comments_headings_and_empty_lines_are_nothing():
    text = "\ufeff# a comment\n\nPackage    Version\n---------- -------\n    # indented\n"
    assert read_pinned(text) == read_pinned("")


def test_lines_of_one_reason_are_one_note():
    found = read_pinned("nvidia-cublas-cu12==1\nnvidia-nccl-cu12==2\n")
    assert found.notes == ("left out, comes with torch: nvidia-cublas-cu12==1, nvidia-nccl-cu12==2",)


ENVIRONMENT = """\
name: train
channels:
  - conda-forge
dependencies:
  - python=3.11.9=hb806964_0_cpython
  - numpy=1.26.4
  - pip
  - pip:
      - transformers==4.57.6  # as it was
      - "accelerate==1.13.0"
      - torch==2.13.0+cu130
      - -e ../mine
  - zlib
prefix: /home/me/conda/envs/train
"""


@pytest.mark.parametrize("text", [ENVIRONMENT, ENVIRONMENT.replace("\n  ", "\n"), ENVIRONMENT.replace("\n", "\r\n")])
def test_of_a_conda_environment_pips_packages_are_read_and_the_others_are_named(text):
    found = read_pinned(text)
    assert [pin.requirement for pin in found.pins] == ["transformers==4.57.6", "accelerate==1.13.0", "torch==2.13.0"]
    assert not found.open
    assert found.conda == ("python=3.11.9=hb806964_0_cpython", "numpy=1.26.4", "pip", "zlib")
    assert found.notes == (
        "left out, installed by conda: python=3.11.9=hb806964_0_cpython, numpy=1.26.4, pip, zlib",
        "the build that fits this machine is used: torch==2.13.0+cu130",
        "left out, installed from a working copy: -e ../mine",
    )


@pytest.mark.parametrize(
    "text",
    [
        "dependencies:  # mine\n  - python=3.11\n  - pip:\n    - torch==2.13.0\n    - transformers==4.57.6\n",
        "dependencies: [python=3.11, {pip: [torch==2.13.0, transformers==4.57.6]}]\n",
        "{name: x, dependencies: [python=3.11, {pip: [torch==2.13.0, transformers==4.57.6]}]}\n",
        "dependencies:\n  - python=3.11\n  - pip: &p\n    - torch==2.13.0\n    - transformers==4.57.6\n",
        "x: &p [torch==2.13.0, transformers==4.57.6]\ndependencies: [python=3.11, pip: *p]\n",
        "dependencies:\n  - python=3.11\n  -\n    pip:\n      - torch==2.13.0\n      - transformers==4.57.6\n",
        "\"dependencies\":\n- python=3.11\n- 'pip':\n  - >-\n    torch==2.13.0\n  - transformers==4.57.6\n",
        "dependencies:\n- python=3.11\n- pip: [torch==2.13.0]\n- pip: [transformers==4.57.6]\n- pip:\n",
        "a: &a {b: 1}\n<<: {<<: *a, b: 2}\ndependencies: [python=3.11, pip: [torch==2.13.0, transformers==4.57.6]]\n",
    ],
    ids=["comment", "flow", "all-flow", "anchor", "alias", "dash", "quotes", "pip-twice", "merge"],
)
def test_legal_yaml_means_the_same_in_every_form(text):
    found = read_pinned(text)
    assert [pin.requirement for pin in found.pins] == ["torch==2.13.0", "transformers==4.57.6"]
    assert found.notes == ("left out, installed by conda: python=3.11",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("dependencies:\n- pip: [torch==2.13.0\n", r"^e\.yml: invalid YAML in line 3: expected ',' or '\]'"),
        (
            "dependencies: [pip]\ndependencies: []\n",
            r"^e\.yml: invalid YAML in line 2: the key dependencies occurs twice$",
        ),
        ("dependencies: !mine []\n", r"^e\.yml: invalid YAML in line 1: could not determine a constructor"),
        ("dependencies: torch==2.13.0\n", r"^e\.yml: dependencies = 'torch==2\.13\.0' is not a list$"),
        ("dependencies:\n- pip: torch==2.13.0\n", r"^e\.yml: pip = 'torch==2\.13\.0' is not a list$"),
        ("dependencies:\n- pip:\n  - torch: 2.13\n", r"^e\.yml: pip = \{'torch': 2\.13\} is not a requirement$"),
        ("dependencies:\n- 3.11\n", r"^e\.yml: dependencies = 3\.11 is not a requirement$"),
    ],
)
def test_a_conda_environment_that_cannot_be_read_is_one_sentence(text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_pinned(text, "e.yml")


def test_what_another_installer_of_conda_installed_is_named():
    assert read_pinned("dependencies: [{npm: [left-pad]}]").notes == ("left out, installed by npm: left-pad",)


@pytest.mark.parametrize("text", ["# dependencies\nsix==1.16.0\n", "six==1.16.0  # 'dependencies: {' \n"])
def test_a_comment_about_dependencies_makes_no_conda_environment(text):
    assert [pin.requirement for pin in read_pinned(text).pins] == ["six==1.16.0"]


UV_LOCK = f"""\
version = 1
requires-python = ">=3.11"

[[package]]
name = "mine"
source = {{ editable = "." }}
dependencies = [
    {{ name = "numpy", version = "1.26.4", marker = "python_full_version < '3.12'" }},
    {{ name = "peft" }},
    {{ name = "pywin32", marker = "sys_platform == 'win32'" }},
    {{ name = "torch" }},
]

[package.optional-dependencies]
dev = [{{ name = "six", marker = "extra == 'extra-4-mine-cpu'" }}]

[[package]]
name = "numpy"
version = "1.26.4"
source = {{ registry = "https://pypi.org/simple" }}
resolution-markers = ["python_full_version < '3.12' and sys_platform == 'linux'", "sys_platform == 'darwin'"]

[[package]]
name = "peft"
version = "0.18.0.dev0"
source = {{ git = "https://github.com/huggingface/peft?subdirectory=src&rev=main#{SHA}" }}

[[package]]
name = "pywin32"
version = "311"
source = {{ registry = "https://pypi.org/simple" }}

[[package]]
name = "six"
version = "1.17.0"
source = {{ registry = "https://pypi.org/simple" }}

[[package]]
name = "torch"
version = "2.13.0+cu130"
source = {{ registry = "https://download.pytorch.org/whl/cu130" }}
"""


def test_a_uv_lock_is_read_with_its_markers():
    found = read_pinned(UV_LOCK)
    assert [pin.requirement for pin in found.pins] == [
        'numpy==1.26.4; (python_full_version < "3.12" and sys_platform == "linux") or sys_platform == "darwin"',
        f"peft @ git+https://github.com/huggingface/peft@{SHA}#subdirectory=src",
        'pywin32==311; sys_platform == "win32"',
        "six==1.17.0",
        "torch==2.13.0",
    ]
    assert found.notes == (
        "left out, installed from a working copy: mine",
        "the build that fits this machine is used: torch==2.13.0+cu130",
    )


POETRY_LOCK = f"""\
[[package]]
name = "accelerate"
version = "1.12.0"
groups = ["main"]
markers = "sys_platform == 'linux'"
files = []

[package.dependencies]
numpy = ">=1.17,<3.0.0"

[[package]]
name = "peft"
version = "0.18.0.dev0"
[package.source]
type = "git"
url = "https://github.com/huggingface/peft"
reference = "main"
resolved_reference = "{SHA}"

[[package]]
name = "mine"
version = "1.0"
[package.source]
type = "directory"
url = "../mine"

[[package]]
name = "transformers"
version = "4.57.6"
groups = ["main", "dev"]
[package.markers]
main = "python_version >= '3.11'"
dev = "python_version >= '3.12'"
"""


def test_a_poetry_lock_is_read_with_its_markers():
    found = read_pinned(POETRY_LOCK)
    assert [pin.requirement for pin in found.pins] == [
        'accelerate==1.12.0; sys_platform == "linux"',
        f"peft @ git+https://github.com/huggingface/peft@{SHA}",
        'transformers==4.57.6; python_version >= "3.11" or python_version >= "3.12"',
    ]
    assert found.notes == ("left out, installed from a working copy: mine==1.0",)


PYLOCK = f"""\
lock-version = "1.0"
created-by = "a tool"
default-groups = ["default"]
dependency-groups = ["dev"]

[[packages]]
name = "accelerate"
version = "1.12.0"
marker = "sys_platform == 'linux'"
wheels = [{{ url = "https://example.org/accelerate-1.12.0-py3-none-any.whl", hashes = {{ sha256 = "00" }} }}]

[[packages]]
name = "mine"
directory = {{ path = "." }}

[[packages]]
name = "peft"
vcs = {{ type = "git", url = "https://github.com/huggingface/peft", commit-id = "{SHA}" }}

[[packages]]
name = "ruff"
version = "0.12.0"
marker = "'dev' in dependency_groups"
sdist = {{ name = "ruff-0.12.0.tar.gz", url = "https://example.org/r", hashes = {{ sha256 = "00" }} }}

[[packages]]
name = "six"
marker = "'default' in dependency_groups"
sdist = {{ name = "six-1.17.0.tar.gz", url = "https://example.org/s", hashes = {{ sha256 = "00" }} }}

[[packages]]
name = "transformers"
version = "4.57.6"
marker = "'default' in dependency_groups"
sdist = {{ name = "transformers-4.57.6.tar.gz", url = "https://example.org/t", hashes = {{ sha256 = "00" }} }}
"""


def test_a_pylock_is_read_without_extras_and_with_its_default_groups():
    found = read_pinned(PYLOCK)
    assert [pin.requirement for pin in found.pins] == [
        'accelerate==1.12.0; sys_platform == "linux"',
        f"peft @ git+https://github.com/huggingface/peft@{SHA}",
        "transformers==4.57.6",
    ]
    assert found.notes == (
        "left out, installed from a working copy: mine",
        "left out, of an extra or a dependency group that is not installed by default: ruff==0.12.0",
        "left out, the lock names no version: six",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[package]]\nname = 3\n", r"^x\.lock: package = \{'name': 3\} is not a table with a name$"),
        ("[[package]]\nname = 'a'\nversion = 3\n", r"^x\.lock: version = 3 of the package a is not a string$"),
        ("[[package]]\nname = 'a'\nsource = 'git'\n", r"^x\.lock: source = 'git' of the package a is not a table$"),
        ("[[package]]\nname = 'a\n", r"^x\.lock: invalid TOML: "),
        (PYLOCK.replace('"1.0"', '"2.0"', 1), r"^x\.lock: lock-version: pylock version 2\.0 is not supported$"),
        (PYLOCK.replace('"mine"', '"Mine"', 1), r"^x\.lock: packages\[1\]\.name: Name 'Mine' is not normalized$"),
    ],
)
def test_a_lock_that_cannot_be_read_is_one_sentence(text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_pinned(text, "x.lock")


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}[a-z0-9]", fullmatch=True).filter(lambda name: name != "package")
FORMS = st.sampled_from(
    [
        "{}",
        "{}==1",
        "{}>=1",
        "{}  1.0",
        "{} 1.0 /src",
        "{} @ file:///x",
        "{}=1=h0",
        "-e {}",
        "./{}",
        "{} ==",
        "{}!",
        "nvidia-{}==1",
    ]
)


@given(st.lists(st.tuples(NAMES, FORMS), max_size=8))
def test_every_line_is_a_pin_open_or_in_a_note(drawn):
    """Each is a pin, or left to the resolver, or in a note."""
    found = read_pinned("\n".join(form.format(name) for name, form in drawn))
    pinned = {pin.package for pin in (*found.pins, *found.open)}
    for name, form in drawn:
        line = form.format(name)
        assert canonicalize_name(name) in pinned or any(line in note for note in found.notes), line


@given(
    st.lists(NAMES, min_size=1, unique_by=canonicalize_name),
    st.sampled_from([None, True, False]),
    st.integers(2, 6),
    st.booleans(),
)
def test_an_environment_reads_the_same_however_it_is_dumped(names, flow, indent, sort):
    lines = [f"{name}==1" for name in names]
    content = {"name": "x", "dependencies": ["pip", {"pip": lines}]}
    dumped = yaml.safe_dump(content, default_flow_style=flow, indent=indent, sort_keys=sort)
    assert read_pinned(dumped).pins == read_pinned("\n".join(lines)).pins


def test_a_label_is_what_a_person_reads():
    assert exact_pin("torch", "2.13.0+cpu").label == "2.13.0"
    assert exact_pin("peft", f"git+https://github.com/huggingface/peft@{SHA}").label == "git@01234567"
    assert exact_pin("mine", "https://example.org/mine-1.0-py3-none-any.whl").label == "mine-1.0-py3-none-any.whl"
    assert is_implicit("nvidia-nccl-cu12")
    assert not is_implicit("nvidia")
    assert not is_implicit("nvidia-ml-py")
