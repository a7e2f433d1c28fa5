"""What is read of a user's lock, requirements, ``pip freeze`` and ``pip list``; nothing goes without a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from harness.envs.requirements import exact_pin, is_implicit, read_pinned

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
            "left out, a file of the machine it was on (pip list --format=freeze names its version)",
        ),
        ("numpy                     1.26.4          py311h64a7726_0    conda-forge", "left out, conda's and not pip's"),
        ("zlib                      1.2.13               h5eee18b_1", "left out, conda's and not pip's"),
        ("./wheels/mine-1.0-py3-none-any.whl", "left out, no requirement of a package"),
        ("nvidia-cublas-cu12==12.4.5.8", "left out, torch brings its own"),
        ("triton==3.5.0", "left out, torch brings its own"),
        ("pytest==8.0.0", "left out, the harness brings its own"),
        ("pip==24.0", "left out, the harness brings its own"),
        ("_libgcc_mutex=0.1=main", "left out, conda's and not pip's"),
        ("-r other.txt", "left out, an option of pip (the index is the one that pip is set to use)"),
        (
            "--index-url https://example.org/simple",
            "left out, an option of pip (the index is the one that pip is set to use)",
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
    assert found.notes == ("names no exact version, the index decides now: accelerate>=1.0,<2, numpy, tqdm==4.*",)


def test_another_build_of_a_version_is_a_note():
    assert read_pinned("torch==2.11.0+cu130").notes == (
        "taken in the build that fits this machine: torch==2.11.0+cu130",
    )


def test_comments_headings_and_empty_lines_are_nothing():
    text = "\ufeff# a comment\n\nPackage    Version\n---------- -------\n    # indented\n"
    assert read_pinned(text) == read_pinned("")


def test_lines_of_one_reason_are_one_note():
    found = read_pinned("nvidia-cublas-cu12==1\nnvidia-nccl-cu12==2\n")
    assert found.notes == ("left out, torch brings its own: nvidia-cublas-cu12==1, nvidia-nccl-cu12==2",)


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
def test_of_conda_s_environment_file_the_pip_section_is_read_and_the_rest_is_named(text):
    found = read_pinned(text)
    assert [pin.requirement for pin in found.pins] == ["transformers==4.57.6", "accelerate==1.13.0", "torch==2.13.0"]
    assert not found.open
    assert found.notes == (
        "left out, conda's and not pip's: python=3.11.9=hb806964_0_cpython, numpy=1.26.4, pip, zlib",
        "taken in the build that fits this machine: torch==2.13.0+cu130",
        "left out, installed from a working copy: -e ../mine",
    )


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
def test_no_line_goes_without_a_word(drawn):
    """Each is a pin, or left to the resolver, or in a note."""
    found = read_pinned("\n".join(form.format(name) for name, form in drawn))
    pinned = {pin.package for pin in (*found.pins, *found.open)}
    for name, form in drawn:
        line = form.format(name)
        assert canonicalize_name(name) in pinned or any(line in note for note in found.notes), line


def test_a_label_is_what_a_person_reads():
    assert exact_pin("torch", "2.13.0+cpu").label == "2.13.0"
    assert exact_pin("peft", f"git+https://github.com/huggingface/peft@{SHA}").label == "git@01234567"
    assert exact_pin("mine", "https://example.org/mine-1.0-py3-none-any.whl").label == "mine-1.0-py3-none-any.whl"
    assert is_implicit("nvidia-nccl-cu12")
    assert not is_implicit("nvidia")
