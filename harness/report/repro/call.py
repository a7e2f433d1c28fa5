"""How a script calls its test: fixtures, parameters, and the part of the file that the call needs."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from harness.errors import ConfigError
from harness.matrix.paths import short_path
from harness.report.repro.modules import Module
from harness.report.repro.parameters import arguments
from harness.report.repro.script import OWN
from harness.report.repro.slicing import Slice, slice_test
from harness.report.repro.target import Target

FIXTURES = {
    "tmp_path": 'tmp_path = Path(tempfile.mkdtemp(dir=WORK, prefix="tmp-"))',
    "monkeypatch": "monkeypatch = pytest.MonkeyPatch()",
}


def call_of(module: Module, target: Target) -> tuple[Slice, list[str]]:
    """Return the slice of the target's test, and the fixtures it asks for.

    Raises:
        ConfigError: it asks for a fixture that a script does not have.
    """
    outer, _, name = target.test.rpartition("::")
    given = arguments(module, target.test, target.parameters)
    function = _function(module, target.test)
    spare = len(function.args.defaults)
    asked = [each.arg for each in function.args.args if each.arg != "self"]
    optional = {each.arg for each in function.args.args[len(function.args.args) - spare :]} if spare else set()
    fixtures = [each for each in asked if each not in given and each not in optional]
    strange = [each for each in fixtures if each not in {"probe", "checkpoint", *FIXTURES}]
    if strange:
        raise ConfigError(f"{target.scenario} asks for the fixture {strange[0]}, which a script has no stand-in for")
    words = [ast.keyword(each, ast.Name(each, ast.Load())) for each in fixtures]
    values = [ast.keyword(each, value) for each, value in given.items()]
    root = outer or name
    head: ast.expr = ast.Name(root, ast.Load())
    if outer:
        head = ast.Attribute(ast.Call(head, [], []), name, ast.Load())
    call = ast.Call(head, [], [*words, *values])
    return slice_test(module, root, call, list(given.values()), OWN), fixtures


def _function(module: Module, test: str) -> ast.FunctionDef:
    outer, _, name = test.rpartition("::")
    places: Sequence[ast.stmt] = module.defined.get(outer or name, [])
    if outer:
        places = [each for place in places if isinstance(place, ast.ClassDef) for each in place.body]
    found = [each for each in places if isinstance(each, ast.FunctionDef) and each.name == name]
    if not found or "::" in outer:
        raise ConfigError(f"{short_path(module.path)} has no test {test} that a script could call")
    return found[-1]
