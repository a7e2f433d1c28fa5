"""Signatures hold still: numbers, addresses and paths do not matter, names and places do."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.store.records import Failure, Frame
from harness.verdict.signature import LONGEST, Rule, normalize, recognise, rules, signal_name, signature

MESSAGES = (
    "CUDA out of memory. Tried to allocate {}.{} GiB. GPU {} has a total capacity of {} GiB",
    "shape mismatch: torch.Size([{}, {}]) against ({}, {})",
    "tensors on cuda:{} and cuda:{}: model.layers.{}.mlp.down_proj at index {}",
    "KeyError at {} of {}, {} and -{}",
)


@given(st.text(max_size=400))
@example("12" * 99 + "ab" * 3)
@example("x" * 198 + "12abc")
@example("f(" * 30 + ")" * 30)
@example("'" + "a" * 60 + "' can't '" + "/a/b" * 30 + "'")
@example("-1.2,3x(4, 5)/6/7 0x1f 1e5 [1] (1) N.N.1")
def test_blanking_twice_changes_nothing_more(message):
    once = normalize(message)
    assert normalize(once) == once
    assert len(once) <= LONGEST
    assert "\n" not in once


@given(st.sampled_from(MESSAGES), st.lists(st.integers(0, 10**9), min_size=8, max_size=8))
def test_numbers_do_not_matter(message, numbers):
    assert normalize(message.format(*numbers[:4])) == normalize(message.format(*numbers[4:]))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Linear4bit and bfloat16 stay, 16 does not", "Linear4bit and bfloat16 stay, N does not"),
        ("at 0x7f3a2c, on cuda:1", "at <address>, on cuda:N"),
        ("cannot open /home/me/models/x.safetensors: gone", "cannot open <path>: gone"),
        ("in C:\\Users\\me\\x.bin here", "in <path> here"),
        ("see https://huggingface.co/docs/x for more", "see <url> for more"),
        ("torch.Size([4096, 11008]) vs [3, 4]", "torch.Size(…) vs [N]"),
        ("unexpected keyword argument '_is_hf_initialized'", "unexpected keyword argument '_is_hf_initialized'"),
        ("Target module Gemma4ClippableLinear(\n  (linear): Linear4bit(in=64)\n) is not",
         "Target module Gemma4ClippableLinear(…) is not"),
        ("X.__new__() got 'a'", "X.__new__() got 'a'"),
        ("name '" + "n" * 50 + "' is long", "name '…' is long"),
    ],
)  # fmt: skip
def test_what_is_blanked(message, expected):
    assert normalize(message) == expected


def failure(kind, message, *frames):
    made = tuple(
        Frame(path=path, function=function, line=number, package=package)
        for number, (path, function, package) in enumerate(frames)
    )
    return Failure(when="call", type=kind, message=message, frames=made)


TEST = ("load_4bit.py", "test_load", None)
HELPER = ("quantized.py", "load_in_4bit", None)
ACCELERATE = ("accelerate/utils/modeling.py", "set_module_tensor_to_device", "accelerate")
TORCH = ("torch/nn/modules/linear.py", "forward", "torch")


def test_the_innermost_frame_under_test_names_the_place():
    one = signature(failure("ValueError", "no", TEST, ACCELERATE, TORCH), ["accelerate"])
    assert one.id == "ValueError: no @ accelerate/utils/modeling.py:set_module_tensor_to_device"
    other = signature(failure("ValueError", "no", TEST, ACCELERATE, TORCH), ["peft"])
    assert other.id == "ValueError: no @ torch/nn/modules/linear.py:forward"
    own = signature(failure("ValueError", "no", TEST, HELPER), ["peft"])
    assert own.id == "ValueError: no @ load_4bit.py:test_load"


def test_module_and_line_of_an_exception_do_not_matter():
    first = failure("torch.OutOfMemoryError", "CUDA out of memory", TEST, TORCH)
    second = failure("torch.cuda.OutOfMemoryError", "CUDA out of memory", TEST, TEST, TORCH)
    assert signature(first, []) == signature(second, [])


KNOWN = [
    ("bnb-params4bit-hf-init", "TypeError",
     "Params4bit.__new__() got an unexpected keyword argument '_is_hf_initialized'", ACCELERATE),
    ("bnb-quantstate-meta-item", "RuntimeError", "Tensor.item() cannot be called on meta tensors",
     ("bitsandbytes/functional.py", "as_dict", "bitsandbytes")),
    ("meta-item", "RuntimeError", "Tensor.item() cannot be called on meta tensors", TORCH),
    ("gemma4-shared-kv-keyerror", "KeyError", "22",
     ("transformers/models/gemma4/modeling_gemma4.py", "forward", "transformers")),
    ("peft-clippable-linear", "ValueError", "Target module Gemma4ClippableLinear(\n ...) is not supported.", TORCH),
    ("dequantize-no-quant-state", "AttributeError", "'Parameter' object has no attribute 'quant_state'", TEST),
    ("load-in-4bit-keyword", "TypeError",
     "Qwen2ForCausalLM.__init__() got an unexpected keyword argument 'load_in_4bit'", TORCH),
    ("peft-hybridcache", "ImportError",
     "cannot import name 'HybridCache' from 'transformers' (/x/site-packages/transformers/__init__.py)", TEST),
    ("same-device", "RuntimeError", "Expected all tensors to be on the same device, but found cpu and cuda:0", TORCH),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "kind", "message", "frame"), KNOWN, ids=[case[0] for case in KNOWN])
def test_known_failures_have_names(rule, kind, message, frame):
    found = signature(failure(kind, message, TEST, frame), ["accelerate"])
    assert found.rule == rule
    assert found.summary != found.id


def test_a_key_error_elsewhere_is_not_gemmas():
    assert recognise(failure("KeyError", "22", TEST, TORCH)) is None


def test_rules_have_distinct_names_and_say_what_they_match():
    assert len({rule.name for rule in rules()}) == len(rules())
    assert all(rule.message or rule.frame for rule in rules())
    assert all(rule.tracker is None or "#" in rule.tracker for rule in rules())


def expectations():
    """Return what the scenarios state, as far as it is written out: every text of theirs, f-strings in parts."""
    files = sorted((Path(__file__).parents[2] / "scenarios").glob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


STATED = [rule for rule in rules() if rule.type == "ExpectationFailed"]


@pytest.mark.parametrize("rule", STATED, ids=[rule.name for rule in STATED])
def test_rules_over_expectations_name_what_a_scenario_states(rule):
    """A sentence that is reworded in a scenario would lose its name without a word."""
    texts = expectations()
    unheard = [
        part for part in re.split(r"\|(?![^(]*\))", rule.message) if not any(re.search(part, text) for text in texts)
    ]
    assert unheard == []


def test_every_part_of_a_rule_has_to_match():
    seen = failure("ValueError", "text", ACCELERATE)
    assert Rule("r", "s", type="ValueError", message="te.t", frame="^accelerate/").matches(seen)
    assert not Rule("r", "s", type="KeyError", message="te.t").matches(seen)
    assert not Rule("r", "s", message="other").matches(seen)
    assert not Rule("r", "s", frame="^peft/").matches(seen)


def test_unknown_signals_have_a_name_too():
    assert signal_name(11) == "SIGSEGV"
    assert signal_name(250) == "signal-250"
