"""The small texts of a script: tensor names, configurations, lines, patterns, pins."""

import ast
import itertools
import math
import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.report.repro.lines import WIDTH, source
from harness.report.repro.literals import literal
from harness.report.repro.matching import pattern, wanted
from harness.report.repro.pins import needed_by, pins
from harness.report.repro.tensors import groups, table
from harness.report.repro.weights import EXPAND, NAMED_LORA
from harness.store.records import AttemptRecord, Failure, Frame, Outcome
from harness.verdict.signature import normalize, signature

PARTS = st.sampled_from(["model", "layers", "0", "1", "2", "10", "007", "q_proj", "k_proj", "norm", "in_max", "in_min"])
NAMES = st.lists(PARTS, min_size=1, max_size=5).map(".".join)
ENDS = st.sampled_from([".weight", "", ".bias", ".lora_A.weight", ".lora_B.weight"])
SHAPES = st.lists(st.sampled_from([1, 4, 8]), max_size=3)
TENSORS = st.dictionaries(
    st.tuples(NAMES, ENDS).map("".join),
    st.tuples(SHAPES, st.sampled_from([0.08, 0.02]), st.sampled_from([None, None, 1.0, -30.0])).map(list),
    max_size=40,
)


def expanded(tensors):
    """Read a table back by the very program that a script has."""
    words = table(tensors)
    names = {}
    exec(EXPAND + NAMED_LORA, names)  # noqa: S102 - it is what a script runs
    return words, list(names["tensors"]("\n".join(words.lines), words.std))


@given(TENSORS)
def test_the_table_means_the_tensors_it_was_made_of(tensors):
    words, found = expanded(tensors)
    assert len(found) == len({name for name, *_ in found})
    random = {name: (list(shape), std, constant) for name, shape, std, constant in found}
    for name, (shape, std, constant) in tensors.items():
        assert random[name][0] == shape
        assert random[name][2] == constant
        assert constant is not None or random[name][1] == std
    assert random.keys() == tensors.keys()
    assert all(len(line) <= WIDTH for line in words.lines)


@given(TENSORS)
def test_the_groups_of_a_packed_table_mean_them_too(tensors):
    found = {".".join(name): list(how) for parts, how in groups(tensors) for name in itertools.product(*parts)}
    assert found == tensors


def test_a_model_of_many_layers_takes_a_few_lines():
    tensors = {
        f"model.layers.{layer}.{name}.weight": [[8, 8], 0.02, None]
        for layer in range(30)
        for name in ("mlp.gate_proj", "mlp.up_proj", "self_attn.o_proj")
    }
    assert table(tensors).lines == ("model.layers.{0..29}. mlp.{gate,up}_proj:8x8 self_attn.o_proj:8x8",)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab'\"\\"),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text("ab"), inner, max_size=4),
    max_leaves=25,
)


@given(JSON)
@example([False, False, False, 0])
@example([[0] * 4, [False] * 4, [0] * 4, [False] * 4])
def test_a_configuration_reads_back_as_it_was(value):
    found = eval(literal(value), {"__builtins__": {}})  # noqa: S307 - it is what a script evaluates
    assert found == value
    assert repr(found) == repr(value), "1 is not True, nor 1.0"


def test_layers_that_repeat_are_a_product():
    kinds = (["sliding"] * 4 + ["full"]) * 7
    assert literal(kinds) == "(['sliding'] * 4 + ['full']) * 7"


LONG = f"value = {' + '.join(f'name_{n}_of_many' for n in range(12))}"
STATEMENTS = """
def f(a, *, b=1):
    with open(a) as first, open(b) as second:
        return [{'some key': first, 'another key': second, 'a third one': [1, 2, 3], 'and one more': f(a, b=b), 'x': 1}]
    if a:
        b += 1
        del a
    elif b:
        pass
    else:
        raise ValueError(f"this text is {a!r:>10} long {b} and has braces {{}} and 'quotes' in it")
    return g('a text that is far longer than a line may be, so that it has to be cut into two', 1, not b or a) or b
@decorated(1)
class C(dict):
    x = 1
    y: int = 2
    def g(self): return self
    async def h(self): await self
TABLE = 1
TABLE += 2
for x in y: print(x)
else: print('none')
try: f()
except* ValueError as e: print(e)
finally: f()
match f:
    case [1, *rest] if rest: pass
text = '''several
lines'''
"""


@pytest.mark.parametrize("dense", [False, True])
def test_statements_written_again_mean_the_same_and_fit_in_their_lines(dense):
    tree = ast.parse(STATEMENTS + LONG)
    lines = source(tree.body, dense=dense)
    assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(tree)
    assert max(map(len, lines)) <= WIDTH
    assert len(source(tree.body, dense=True)) < len(source(tree.body))


# --- which failure it is -------------------------------------------------------------------------------------------

MESSAGES = st.lists(
    st.sampled_from(
        [
            "size",
            "N",
            "shape",
            "1.5",
            "(2, 3)",
            "[4, 5]",
            "0x7f00",
            "/home/me/x.py",
            "f(a=1)",
            "'q'",
            ".*",
            "a  b",
            "\n",
            "…",
            ":",
        ]
    ),
    max_size=8,
).map(" ".join) | st.text(max_size=300)


@given(MESSAGES)
def test_a_pattern_finds_the_message_that_it_was_made_of(message):
    text = " ".join(f"KeyError: {message}".split()).removesuffix(":")
    assert re.fullmatch(pattern(f"KeyError: {normalize(message)}".removesuffix(": ")), text)


def test_a_pattern_finds_other_numbers_and_no_other_message():
    made = pattern(normalize("tensor of 5 GiB at 0x7f on /data/x, shape (2, 3)"))
    assert re.fullmatch(made, "tensor of 27.5 GiB at 0xbeef on /other/place, shape (17, 4)")
    assert not re.fullmatch(made, "tensor of 5 GiB at 0x7f on /data/x, stride (2, 3)")


def red(signature_id, outcome="fail:run:exception", failure=None):
    return AttemptRecord(
        cell="c", scenario="case::test_it", attempt=1, outcome=Outcome.parse(outcome), signature=signature_id,
        started=datetime(2026, 3, 1, tzinfo=UTC), seconds=1.0, failure=failure,
    )  # fmt: skip


def test_an_exception_is_told_by_message_and_frame():
    frames = (
        Frame(path="case.py", function="test_it", line=3),
        Frame(path="accelerate/utils/modeling.py", function="move", line=7, package="accelerate"),
    )
    failure = Failure(when="call", type="torch.OutOfMemoryError", message="Tried to allocate 20 GiB", frames=frames)
    found = wanted(red(signature(failure, ["accelerate"]).id, failure=failure))
    assert (found.pattern, found.frame) == (
        "OutOfMemoryError: Tried to allocate .+? GiB",
        "accelerate/utils/modeling.py:move",
    )
    alone = failure.model_copy(update={"frames": frames[:1]})
    assert wanted(red(signature(alone, []).id, failure=alone)).frame == ":test_it"


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("too new\nassert 5 < 5", "AssertionError: too new"),
        ("assert 5 < 5\n +  where 5 = int('5')", "AssertionError"),
        ("too new", "AssertionError: too new"),
    ],
)
def test_an_assertion_of_the_test_s_own_is_told_without_what_pytest_adds_to_it(message, pattern):
    frames = (Frame(path="case.py", function="test_it", line=3),)
    failure = Failure(when="call", type="AssertionError", message=message, frames=frames)
    found = wanted(red(signature(failure, []).id, failure=failure))
    assert (found.pattern, found.frame) == (pattern, ":test_it")


def test_expectations_crashes_and_nothing_at_all_have_their_own_form():
    assert wanted(red("expectation: at most N times (of all)")).pattern == r"expectation: at most .+? times \(of all\)"
    assert wanted(red("crash:SIGSEGV", "fail:run:crash")).crash == "SIGSEGV"
    assert wanted(red("timeout", "fail:run:timeout")).crash == "timeout"
    assert wanted(None).id is None


@pytest.mark.parametrize(
    ("signature_id", "outcome"),
    [
        ("host_oom", "fail:run:host_oom"),
        ("gpu_busy", "error:run:gpu_busy"),
        ("harness: no report", "error:run:exception"),
        ("ConnectionError: x", "error:run:network"),
    ],
)
def test_what_no_script_can_show_is_said(signature_id, outcome):
    with pytest.raises(ConfigError, match="script"):
        wanted(red(signature_id, outcome))


# --- pins ----------------------------------------------------------------------------------------------------------

LOCK = {
    "torch": "2.13.0+cpu",
    "peft": "git+https://example.org/peft@0123abc",
    "pytest": "9.0",
    "iniconfig": "2.0",
    "pluggy": "1.6",
    "packaging": "26.0",
    "nvidia-cublas-cu12": "12.1",
    "triton": "3.5",
    "pip": "25.3",
}


def test_pins_are_public_and_without_what_only_the_harness_needs():
    assert pins(LOCK, needed_by(["torch", "peft"], LOCK, None)) == [
        "packaging==26.0",
        "peft @ git+https://example.org/peft@0123abc",
        "torch==2.13.0",
    ]


def test_what_somebody_else_needs_too_stays(tmp_path):
    for name, requires in (("torch", "pluggy"), ("pytest", "packaging"), ("pluggy", ""), ("packaging", "")):
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{needs}")
    found = needed_by(["torch"], LOCK, tmp_path)
    assert {"torch", "pluggy"} <= found
    assert not {"pytest", "packaging"} & found
    assert "pytest" in needed_by(["torch", "pytest"], LOCK, tmp_path)


def test_a_working_copy_cannot_be_pinned():
    with pytest.raises(ConfigError, match="peft was installed from a folder"):
        pins({"peft": "file:///somewhere/peft"}, {"peft"})


def test_blocks_of_odd_length_repeat_no_row():
    """Rows of any power of two, taken from a block that starts over, are never the same ones."""
    block = 4_000_037
    assert all(math.gcd(block, 2**power) == 1 for power in range(1, 20))
