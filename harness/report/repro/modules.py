"""A scenario file as its parts: what it defines, what it imports, and what of it a script does not need taken out."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from pathlib import Path

import harness
from harness.errors import ConfigError
from harness.matrix.paths import short_path
from harness.report.repro.cut import cut
from harness.report.repro.fold import Fold
from harness.report.repro.scopes import bound

PROBE = "harness.probe"
# decorators that do not look at annotations: elsewhere annotations stay
BLIND = {"contextmanager", "inference_mode", "no_grad", "wraps", "cache", "lru_cache", "property", "staticmethod"}
TEST_MARKS = ("scenario", "pytest.mark.", "pytest.fixture", "probe.scenario", "harness.probe.scenario")


@dataclass(frozen=True)
class Import:
    """One imported name: ``import module`` where ``name`` is None, else ``from module import name``."""

    module: str
    name: str | None = None


@dataclass(frozen=True)
class Reading:
    """How files are read.

    ``device`` is what ``probe.device`` is known to be; ``records`` keeps figures that are only written down,
    ``details`` what expectations add to their sentences; ``raised_at`` are the frames (path, function, line) of a
    failure: what comes behind them is left out.
    """

    device: str | None = None
    records: bool = True
    details: bool = True
    raised_at: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True)
class Module:
    """One file: name → the statements that bind it, local name → import, and statements that bind nothing."""

    path: Path
    reading: Reading = Reading()
    defined: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, tuple[Import, ...]] = field(default_factory=dict)  # several: ``import a.b``, ``import a.c``
    always: list[ast.stmt] = field(default_factory=list)
    marks: dict[str, list[ast.expr]] = field(default_factory=dict)  # test → its decorators, outermost first

    def sibling(self, found: Import) -> Path | None:
        """Return the file that an import means, if it lies beside this one or belongs to the probe.

        Raises:
            ConfigError: it is one of the harness's own that no script can have, or a whole file.
        """
        if found.module.startswith("harness"):
            parts = found.module.removeprefix(PROBE).split(".")[1:]
            path = Path(harness.__file__).parent.joinpath("probe", *parts).with_suffix(".py")
            if found.module.startswith(f"{PROBE}.") and path.is_file() and found.name is not None:
                return path
            raise ConfigError(
                f"{short_path(self.path)} uses {found.module}, which a script without the harness cannot have"
            )
        beside = self.path.parent.joinpath(*found.module.split("."))
        path = beside.with_suffix(".py")
        if (not path.is_file() and (beside / "__init__.py").is_file()) or (path.is_file() and found.name is None):
            what = f"from {found.module} import …" if path.is_file() else "a module of one file"
            raise ConfigError(f"{short_path(self.path)} imports {found.module} as a whole: a script needs {what}")
        return path if path.is_file() else None


@functools.cache
def read_module(path: Path, reading: Reading = Reading()) -> Module:
    """Read a file without running it.

    Raises:
        ConfigError: it cannot be read, is not Python, or imports ``*``.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{short_path(path)} cannot be read as Python: {error}") from error
    if reading.raised_at:
        cut(tree, [(function, line) for file, function, line in reading.raised_at if file == path.name])
    module = Module(path, reading)
    fold = Fold(path, reading.device, records=reading.records, details=reading.details)
    imports = _Imports(path)
    imports.visit(tree)
    module.imported.update(imports.found)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            module.marks.update(_marks(statement))
        for kept in _tidy(statement, fold):
            names = bound([kept]) | _changed(kept)
            for name in sorted(names):
                module.defined.setdefault(name, []).append(kept)
            if not names and isinstance(kept, ast.Expr | ast.Assign) and not _is_text(kept):
                module.always.append(kept)
    return module


class _Imports(ast.NodeTransformer):
    """Take the imports of the module's level, and those of siblings anywhere, out of a tree."""

    def __init__(self, path: Path) -> None:
        self.path, self.found = path, dict[str, tuple[Import, ...]]()
        self.inside = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.inside += 1
        self.generic_visit(node)
        self.inside -= 1
        node.body = node.body or [ast.Pass()]
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """Leave guarded imports where they are: they are part of what the file decides."""
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name | ast.Attribute) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return None
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        if self.inside:
            return node
        for alias in node.names:
            local = alias.asname or alias.name.partition(".")[0]
            self.found[local] = (*self.found.get(local, ()), Import(alias.name))
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        name = "." * node.level + (node.module or "")
        if node.level or any(alias.name == "*" for alias in node.names):
            raise ConfigError(
                f"{short_path(self.path)}, line {node.lineno}: a script cannot have this import from {name}"
            )
        imports = {alias.asname or alias.name: (Import(name, alias.name),) for alias in node.names}
        if self.inside and not self._near(name):
            return node
        if name != "__future__" and not (name == PROBE and set(imports) == {"scenario"}):
            self.found.update(imports)
        return None

    def _near(self, name: str) -> bool:
        return name.startswith(PROBE) or self.path.parent.joinpath(*name.split(".")).with_suffix(".py").is_file()


def _marks(node: ast.FunctionDef | ast.ClassDef, outer: str = "") -> dict[str, list[ast.expr]]:
    if isinstance(node, ast.FunctionDef):
        return {f"{outer}{node.name}": list(node.decorator_list)}
    inner = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    return {name: marks for each in inner for name, marks in _marks(each, f"{node.name}::").items()}


def _changed(statement: ast.stmt) -> set[str]:
    """Return the module's names that a statement changes without binding them: ``TABLE["x"] = 1``."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    places = [target.value for target in targets if isinstance(target, ast.Subscript | ast.Attribute)]
    return {place.id for place in places if isinstance(place, ast.Name)}


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _tidy(statement: ast.stmt, fold: Fold) -> list[ast.stmt]:
    found = fold.visit(_Tidy().visit(statement))
    return [] if found is None else found if isinstance(found, list) else [found]


class _Tidy(ast.NodeTransformer):
    """Drop docstrings, annotations and marks of tests."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = [each for each in node.decorator_list if not ast.unparse(each).startswith(TEST_MARKS)]
        heads = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
        if all(ast.unparse(head).rpartition(".")[2] in BLIND for head in heads):
            node.returns = None
            given = node.args
            for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
                if each is not None:
                    each.annotation = None
        self.generic_visit(node)
        return _without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [each for each in node.decorator_list if not ast.unparse(each).startswith(TEST_MARKS)]
        node.body = [each if isinstance(each, ast.AnnAssign) else self.visit(each) for each in node.body]
        return _without_docstring(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)


def _without_docstring(node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
    if node.body and _is_text(node.body[0]):
        node.body = node.body[1:]
    node.body = node.body or [ast.Pass()]
    return node
