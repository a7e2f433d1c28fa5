"""The environments of a blame: texts that list what is installed, and what differs between two."""

import pytest

from harness.envs.requirements import exact_pin
from harness.search.environments import _decoded, diff_pins

LINE = "transformers==5.0.0\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_freeze_is_read_as_linux_and_as_powershell_write_it(encoding):
    assert _decoded(LINE.encode(encoding)) == LINE


def pins(**versions):
    return {name.replace("_", "-"): exact_pin(name.replace("_", "-"), version) for name, version in versions.items()}


GOOD = pins(
    accelerate="1.13.0", torch="2.13.0+cpu", tokenizers="0.22.1", old_one="1", pytest="8.0", nvidia_nccl_cu12="2"
)
BAD = pins(
    accelerate="1.15.0", torch="2.13.0+cu130", tokenizers="0.22.2", new_one="2", pytest="9.0", nvidia_nccl_cu12="3"
)


def test_packages_under_test_come_first_and_what_one_end_lacks_is_a_change():
    found = diff_pins(GOOD, BAD, ("torch", "tokenizers"))
    said = ["tokenizers 0.22.1 → 0.22.2", "accelerate 1.13.0 → 1.15.0", "new-one 2 added", "old-one 1 removed"]
    assert [change.words() for change in found] == said


def test_the_harnesss_own_what_torch_brings_and_another_build_are_no_changes():
    assert {change.package for change in diff_pins(GOOD, BAD, ())}.isdisjoint({"pytest", "nvidia-nccl-cu12", "torch"})


def test_a_commit_is_a_change_and_goes_by_its_beginning():
    address = "git+https://github.com/huggingface/peft@0123456789abcdef0123456789abcdef01234567"
    (found,) = diff_pins(pins(peft="0.19.1"), {"peft": exact_pin("peft", address)}, ())
    assert found.words() == "peft 0.19.1 → git@01234567"
    assert found.new.requirement == f"peft @ {address}"
