"""The measures of the structure: on small packages whose answers are known, and on this one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def measured(*arguments):
    command = [sys.executable, "-m", "tests.structure", "--json", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def package(tmp_path):
    """Return what writes the modules of a package and returns those that its flow enters."""

    def package(**modules):
        (tmp_path / "harness").mkdir()
        for name, text in modules.items():
            (tmp_path / "harness" / f"{name}.py").write_text(text)
        flow = measured("--flow", "it=harness/a.py:start:value", tmp_path)["flows"]["it"]
        return {name.removeprefix("harness.") for name in flow}

    return package


def test_a_value_is_followed_through_arguments_and_assignments(package):
    flow = package(
        a="from harness import b\ndef start(value):\n    x = value.name\n    b.go(x)\n",
        b="from harness.c import go\ndef go(x):\n    for part in x:\n        go(y := [part])\n    print(y)\n",
        c="from harness.d import go as on\ndef go(x):\n    on(key=x[0])\ndef other(x):\n    on(x)\n",
        d="import harness.e\ndef go(*, key):\n    harness.e.go(1)\n",
        e="def go(number):\n    pass\n",
    )
    assert flow == {"a", "b"}  # the go of b calls itself: it does not mean the one that it imports


def test_module_attributes_aliases_and_keywords_are_resolved(package):
    flow = package(
        a="from harness.c import go as run\ndef start(value):\n    run(key=(value, 1))\n",
        c="import harness.d as d\ndef go(*, key):\n    first, second = key\n    d.go(first)\n",
        d="from harness import e\ndef go(x):\n    e.go(str(x))\n    e.other(1)\n",
        e="def go(x):\n    pass\ndef other(x):\n    pass\n",
    )
    assert flow == {"a", "c", "d"}  # str gives a new value


HOLDER = """\
from dataclasses import dataclass
from harness import d, e
@dataclass
class Holder:
    kept: str
    other: int
    def work(self):
        d.go(self.kept)
        e.go(self.other)
    @property
    def half(self):
        return self.kept
"""


def test_what_holds_the_value_is_followed_by_what_it_stores(package):
    flow = package(
        a="from harness.b import make\ndef start(value):\n    made = make(value)\n    made.work()\n",
        b="from harness.c import Holder\ndef make(x):\n    return Holder(x, 1)\n",
        c=HOLDER,
        d="def go(x):\n    pass\n",
        e="def go(x):\n    pass\n",
    )
    assert flow == {"a", "b", "c", "d"}


def test_a_holder_is_followed_through_annotations_subclasses_and_callbacks(package):
    flow = package(
        a=(
            "from harness.b import Base\nfrom harness.c import Made\nfrom harness import d\n"
            "def start(value):\n    use(Made(value), d.call)\n"
            "def use(base: Base, call):\n    base.run()\n    call(base)\n"
        ),
        b="class Base:\n    def run(self):\n        raise NotImplementedError\n",
        c=(
            "from harness.b import Base\nfrom harness import e\n"
            "class Made(Base):\n    def __init__(self, x):\n        self.x = x\n"
            "    def run(self):\n        self.again()\n    def again(self):\n        e.go(self.x)\n"
        ),
        d="def call(base):\n    pass\n",
        e="def go(x):\n    pass\n",
        f="def go(x):\n    pass\n",
    )
    assert flow == {"a", "b", "c", "d", "e"}


def test_asking_the_value_is_not_passing_it_on(package):
    flow = package(
        a="from harness.b import Thing\nfrom harness.c import go\ndef start(value: Thing):\n    go(value.read())\n",
        b="class Thing:\n    def read(self):\n        return open('x').read()\n",
        c="def go(text):\n    pass\n",
    )
    assert flow == {"a", "c"}


def test_lines_imports_functions_and_importers_are_counted(tmp_path):
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text('"""A package."""\n')
    (tmp_path / "harness" / "a.py").write_text(
        "import os\nfrom harness import (\n    b,\n)\n\n\ndef f():\n    return b\n"
    )
    (tmp_path / "harness" / "b.py").write_text("def f():\n    def g():\n        return 1\n    return g\n")
    measures = measured("--flow", "none=harness/a.py:missing:x", tmp_path)
    since = next(name for name in measures if name.startswith("longest commit subject"))
    assert measures.pop(since).startswith("not measured: ")
    assert measures == {
        "modules": 3,
        "lines": 13,
        "lines a module, mean": 4,
        "lines a module, median": 4,
        "import lines, percent": 30.8,
        "modules with one importer": 2,  # harness itself, of which a takes b
        "lines a function, median": 2,
        "characters a line, median": 12,
        "blank lines, percent": 15.4,
        "flows": {"none": None},
    }


def test_this_tree_has_every_flow_and_its_known_modules():
    measures = measured()
    flows = measures["flows"]
    assert [name for name, modules in flows.items() if not modules] == []
    assert measures["modules"] == len(list((ROOT / "harness").rglob("*.py")))
    assert {"harness.session.plan", "harness.matrix.plan", "harness.matrix.expand"} <= set(flows["matrix → plan"])
    assert {"harness.report.context", "harness.report.html"} <= set(flows["run folder → HTML"])
    assert len(flows["a whole nightly run"]) < measures["modules"] / 2
