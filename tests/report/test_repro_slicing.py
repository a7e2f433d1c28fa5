"""A script takes from a scenario file what one test needs, and nothing else."""

import ast
import textwrap

import pytest

from harness.errors import ConfigError
from harness.report.repro.lines import source
from harness.report.repro.modules import Reading, read_module
from harness.report.repro.parameters import arguments
from harness.report.repro.scopes import module_names
from harness.report.repro.slicing import slice_test

CASE = '''
"""A case of a user."""
from __future__ import annotations

import json
import numpy as np
from typing import Any
import pytest
from beside import LIMIT, measure, size
from harness.probe import scenario

WIDTH = 3
OTHER = 4
SIZES = {"small": WIDTH, "large": OTHER * 100}


@scenario(checkpoints=["tiny"])
@pytest.mark.parametrize("kind", list(SIZES))
@pytest.mark.parametrize(("rows", "exact"), [(1, True), pytest.param(2, False, id="two-rows")])
def test_case(probe, checkpoint, kind: str, rows: int, exact: bool) -> None:
    """It holds."""
    size = measure(checkpoint("tiny"), kind)
    probe.record("size", size)
    probe.placement(size, "load")
    if probe.device != "cpu":
        only_on_a_gpu(probe)
    probe.expect("it is small", size < LIMIT * rows, json.dumps(size))


def only_on_a_gpu(probe: Any) -> None:
    np.zeros(OTHER)


def unused() -> int:
    return size("x")
'''
PLAIN = Reading()
BESIDE = '''
LIMIT = 10
WIDTH = 7  # another one than in the case


def measure(folder: str, kind: str = "small") -> int:
    """Measure."""
    return WIDTH + sum(size(folder) for size in [len]) + size(folder)


def size(folder: str) -> int:
    return len(folder)
'''


@pytest.fixture
def case(tmp_path):
    (tmp_path / "beside.py").write_text(BESIDE)
    file = tmp_path / "case.py"
    file.write_text(CASE)
    return file


def sliced(file, reading=PLAIN, test="test_case"):
    call = ast.parse(f"{test}(probe, checkpoint)", mode="eval").body
    found = slice_test(read_module(file, reading), test, call, [], {"probe", "checkpoint"})
    return found, "\n".join([*found.imports, *source([*found.constants, *found.definitions])])


def test_only_what_is_used_is_taken_and_names_that_clash_are_told_apart(case):
    found, text = sliced(case)
    assert found.imports == ("import json", "import numpy as np")
    assert "unused" not in text
    assert "SIZES" not in text, "the parameters are not looked up when it runs"
    assert "WIDTH = 7" in text
    assert "def size(folder)" in text
    assert "return WIDTH + sum((size(folder) for size in [len])) + size(folder)" in text, "a local name is left alone"
    compile(text, "text", "exec")


def test_two_names_of_two_files_both_stay(tmp_path):
    (tmp_path / "beside.py").write_text("LIMIT = 1\ndef check(x):\n    return x < LIMIT\n")
    file = tmp_path / "case.py"
    file.write_text("from beside import check\nLIMIT = 2\ndef test_it(probe):\n    probe.expect('x', check(LIMIT))\n")
    _, text = sliced(file, test="test_it")
    assert "LIMIT = 2" in text
    assert "LIMIT_of_beside = 1" in text
    assert "return x < LIMIT_of_beside" in text


def test_docstrings_annotations_and_readings_that_nobody_uses_are_left_out(case):
    _, text = sliced(case)
    assert "def test_case(probe, checkpoint, kind, rows, exact):" in text
    assert "It holds" not in text
    assert "placement" not in text


def test_what_another_device_would_do_is_left_out(case):
    assert "only_on_a_gpu" in sliced(case)[1]
    text = sliced(case, Reading(device="cpu"))[1]
    assert "only_on_a_gpu" not in text
    assert "numpy" not in text
    assert "    only_on_a_gpu(probe)" in sliced(case, Reading(device="cuda:0"))[1].splitlines(), "without its condition"


def test_figures_and_details_can_be_left_out(case):
    text = sliced(case, Reading(device="cpu", records=False, details=False))[1]
    assert "record" not in text
    assert "probe.expect('it is small', size < LIMIT * rows, json.dumps(size))" in text, "dumps might do anything"


def test_what_comes_behind_the_line_that_raised_can_be_left_out(tmp_path):
    file = tmp_path / "case.py"
    text = textwrap.dedent("""
        def test_it(probe):
            first()
            steps(probe)
            last()
        def steps(probe):
            with probe.phase("load"):
                load()
                more()
            after()
        def first(): ...
        def last(): ...
        def load(): ...
        def more(): ...
        def after(): ...
        """)
    file.write_text(text)
    lines = text.splitlines()
    at = (
        ("case.py", "test_it", lines.index("    steps(probe)") + 1),
        ("case.py", "steps", lines.index("        load()") + 1),
    )
    found, _ = sliced(file, Reading(raised_at=at), test="test_it")
    assert [each.name for each in found.definitions] == ["first", "load", "steps", "test_it"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("from harness.store import folder", "uses harness.store, which a script without the harness cannot have"),
        ("import beside", "imports beside as a whole"),
        ("from .beside import folder", "line 1: a script cannot have this import from .beside"),
        ("from beside import folder", "imports folder from .*beside.py, which has no such name"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_one_sentence(tmp_path, line, sentence):
    (tmp_path / "beside.py").write_text("")
    file = tmp_path / "case.py"
    file.write_text(f"{line}\ndef test_it(probe):\n    print({line.split()[-1]})\n")
    with pytest.raises(ConfigError, match=sentence):
        sliced(file, test="test_it")


def test_scopes_are_pythons():
    text = """
    def f(a, *b, c=d, **e):
        global g
        g = [h for h in a if h + i]
        def inner(): return j, k
        k = 1
        class L:
            m = n
            def o(self): return m
        try: pass
        except p as q: q
        with r() as (s, t): pass
        return lambda u: u + v
    """
    assert set(module_names(ast.parse(textwrap.dedent(text)))) == {*"fdgijnmprv"}, "m of L is not seen"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("1-True-small", {"rows": "1", "exact": "True", "kind": "'small'"}),
        ("two-rows-large", {"rows": "2", "exact": "False", "kind": "'large'"}),
        (None, {"rows": "1", "exact": "True", "kind": "'small'"}),
    ],
)
def test_the_parameters_between_the_brackets_become_arguments(case, wanted, found):
    assert {k: ast.unparse(v) for k, v in arguments(read_module(case), "test_case", wanted).items()} == found


@pytest.mark.parametrize(
    ("decorator", "wanted", "value"),
    [
        ("'x', [False, True], ids=['plain', 'offload-allowed']", "offload-allowed", "True"),
        ("'x', [torch.float16, torch.bfloat16]", "x1", "torch.bfloat16"),
        ("'x', [load, save]", "save", "save"),
        ("'x', range(2, 4)", "3", "3"),
        ("'x', [None, 1.5, {}]", "x2", "{}"),
        ("'x', ['a', 'b'], ids=repr", "'b'", "'b'"),
        ("argnames='x', argvalues=('a-b', 'c')", "a-b", "'a-b'"),
    ],
)
def test_ids_are_those_that_pytest_gives(tmp_path, decorator, wanted, value):
    file = tmp_path / "case.py"
    file.write_text(f"import pytest\n@pytest.mark.parametrize({decorator})\ndef test_it(probe, x):\n    pass\n")
    assert ast.unparse(arguments(read_module(file), "test_it", wanted)["x"]) == value


@pytest.mark.parametrize(
    ("decorator", "sentence"),
    [
        ("'x', [1, 2]", r"the parameters \[9\] of test_it cannot be read from its decorators"),
        ("'x', find()", r"line 2: find\(\) cannot be read without running the file"),
        ("'x', NAMES", "line 2: NAMES cannot be read without running the file"),
        ("'x', [1], indirect=True", "a script cannot tell the arguments of this parametrize"),
        ("'x, y', [1]", "has not one value for each of x, y"),
    ],
)
def test_parameters_that_cannot_be_told_are_refused(tmp_path, decorator, sentence):
    file = tmp_path / "case.py"
    file.write_text(f"import pytest\n@pytest.mark.parametrize({decorator})\ndef test_it(probe, x):\n    pass\n")
    with pytest.raises(ConfigError, match=sentence):
        arguments(read_module(file), "test_it", "9")
