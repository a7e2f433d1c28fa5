"""Follow one value through the calls that pass it on, and list the modules that it enters.

Followed is

- the parameter with which a flow begins, and what the function that has it asks of it by calling its methods;
- an attribute, an item or an element of what is followed, and an expression, a list, tuple or dict made of it;
- an object of the package that was made with something followed, as its *holder*: of its attributes those to which
  something followed was given, and ``self`` in its methods;
- what a call returns, where it is such a holder. Any other result of a call is a new value.

A module is entered when one of its functions gets something followed as an argument, when a method of a holder that
lies in it is called or a property read, and when a class in it is made with something followed. A method that is called
on the value itself is not entered: the value is asked, and not passed on.

The code is only read, never imported. A call is resolved by imports, by annotations of parameters, fields and results,
by constructors and what they store, through closures, callbacks, properties, subclasses, and functions handed to
``map``, ``partial`` or ``submit``. Paths are not told apart: a variable has every value that is ever assigned to it.
What cannot be resolved is not followed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.flow_types import (
    NOTHING,
    Bound,
    Class,
    Function,
    Imported,
    Instance,
    Items,
    Keyed,
    Level,
    Many,
    Module,
    Value,
    container,
    elements,
    fields,
    item,
    last_name,
    methods,
    own_and_inherited,
    union,
)

NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
SEQUENCES = {
    "Collection",
    "Future",
    "Generator",
    "Iterable",
    "Iterator",
    "Sequence",
    "deque",
    "frozenset",
    "list",
    "set",
    "tuple",
}
MAPPINGS = {"Mapping", "MutableMapping", "OrderedDict", "defaultdict", "dict"}
ADDERS = {"add", "append", "appendleft", "extend", "insert", "put", "setdefault", "update"}
COPIERS = {"chain", "frozenset", "iter", "list", "reversed", "set", "sorted", "tuple"}
CALLERS = {"apply", "call", "callback", "filter", "map", "partial", "reduce", "starmap", "submit"}


class Tree:
    """All modules of a package below a root."""

    def __init__(self, root: Path, package: str) -> None:
        """Read every file."""
        self.package = package
        self.modules: dict[str, Module] = {}
        self._assigned: dict[ast.expr, frozenset[Any]] = {}
        self._annotated: dict[tuple[ast.expr, Class | None], frozenset[Any]] = {}
        for path in sorted((root / package).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            self.modules[name] = Module(name, ast.parse(path.read_text(encoding="utf-8")))
        for module in self.modules.values():
            self._read_names(module)
        for each in self._classes():
            for base in each.node.bases:
                found = [one.of for one in self.annotated(each.module, base) if isinstance(one, Instance)]
                each.bases += found
                for one in found:
                    one.subclasses.append(each)

    def _classes(self) -> list[Class]:
        return [one for module in self.modules.values() for one in module.names.values() if isinstance(one, Class)]

    def _read_names(self, module: Module) -> None:
        for node in module.tree.body:
            match node:
                case ast.FunctionDef(name=name):
                    module.names[name] = Function(module, node)
                case ast.ClassDef(name=name):
                    module.names[name] = _read_class(module, node)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    module.names[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    module.names[name] = value
        for inside in ast.walk(module.tree):
            match inside:
                case ast.ImportFrom(module=str(origin), names=aliases):
                    for alias in aliases:
                        module.names.setdefault(alias.asname or alias.name, Imported(origin, alias.name))
                case ast.Import(names=aliases):
                    for alias in aliases:
                        name = alias.name if alias.asname else alias.name.split(".")[0]
                        module.names.setdefault(alias.asname or name, Imported(name))

    def function(self, path: str, qualified: str) -> Function | None:
        """Return the function or method that is called so, or None where the tree has none."""
        module = self.modules.get(path.removesuffix(".py").replace("/", "."))
        name, _, method = qualified.partition(".")
        found = module.names.get(name) if module else None
        if isinstance(found, Class):
            found = found.methods.get(method)
        return found if isinstance(found, Function) else None

    def lookup(self, module: Module, name: str) -> frozenset[Any]:
        """Return what a name at the top of a module is."""
        match module.names.get(name):
            case Imported(origin, wanted):
                full = f"{origin}.{wanted}" if wanted else origin
                if full in self.modules:
                    return frozenset({self.modules[full]})
                return self.lookup(self.modules[origin], wanted) if wanted and origin in self.modules else frozenset()
            case ast.expr() as node:
                if node not in self._assigned:
                    self._assigned[node] = frozenset()  # it may name itself
                    self._assigned[node] = self._types_at_top(module, node)
                return self._assigned[node]
            case None:
                return frozenset()
            case found:
                return frozenset({found})

    def _types_at_top(self, module: Module, node: ast.expr) -> frozenset[Any]:
        """Return the types of an expression outside of all functions."""
        return Reader(Flow(self), Function(module, ast.Lambda(NO_ARGUMENTS, node))).value(node).types

    def annotated(self, module: Module, node: ast.expr | None, owner: Class | None = None) -> frozenset[Any]:
        """Return the type that an annotation means."""
        if node is None:
            return frozenset()
        if (node, owner) not in self._annotated:
            self._annotated[node, owner] = self._meant(module, node, owner)
        return self._annotated[node, owner]

    def _meant(self, module: Module, node: ast.expr, owner: Class | None) -> frozenset[Any]:
        match node:
            case ast.Constant(value=str(text)):
                return self.annotated(module, ast.parse(text, mode="eval").body, owner)
            case ast.Name(id="Self") if owner is not None:
                return frozenset({Instance(owner)})
            case ast.Name() | ast.Attribute():
                found = self._types_at_top(module, node)
                classes = frozenset(Instance(one) for one in found if isinstance(one, Class))
                return classes or self._alias(module, node)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return self.annotated(module, left, owner) | self.annotated(module, right, owner)
            case ast.Subscript(value=generic, slice=inside):
                arguments = inside.elts if isinstance(inside, ast.Tuple) else [inside]
                return self._generic(
                    last_name(generic), [self.annotated(module, one, owner) for one in arguments], inside
                )
        return frozenset()

    def _alias(self, module: Module, node: ast.expr) -> frozenset[Any]:
        """Return the type that a name means which is assigned an annotation."""
        match module.names.get(last_name(node)):
            case ast.expr() as meant if last_name(meant) != last_name(node):
                return self.annotated(module, meant)
            case Imported(origin, wanted) if wanted and origin in self.modules:
                return self._alias(self.modules[origin], ast.Name(wanted))
        return frozenset()

    def _generic(self, name: str, arguments: list[frozenset[Any]], inside: ast.expr) -> frozenset[Any]:
        if name in MAPPINGS:
            return container(Keyed(arguments[0], arguments[-1]))
        endless = isinstance(inside, ast.Tuple) and isinstance(inside.elts[-1], ast.Constant)  # tuple[X, ...]
        if name == "tuple" and not endless:
            return container(Items(tuple(arguments)))
        if name in SEQUENCES:
            return container(Many(arguments[0]))
        if name == "type":
            return frozenset(one.of for one in arguments[0] if isinstance(one, Instance))
        return arguments[0] if name in {"Annotated", "ClassVar", "Final"} else frozenset()


def _read_class(module: Module, node: ast.ClassDef) -> Class:
    found = Class(module, node)
    for inside in ast.walk(node):
        match inside:
            case ast.FunctionDef(name=name) if inside in node.body:
                found.methods[name] = Function(module, inside, owner=found)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if inside in node.body:
                found.fields[name] = annotation
            case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation):
                found.fields.setdefault(name, annotation)
    return found


class Flow:
    """What is known of one followed value: whom it reaches, what variables, attributes and results may be."""

    def __init__(self, tree: Tree) -> None:
        """Begin with nothing known."""
        self.tree = tree
        self.start: Function | None = None
        self.modules: set[str] = set()
        self.functions: dict[Function, None] = {}  # in the order in which they were reached
        self.variables: dict[Function, dict[str, Value]] = {}
        self.stored: dict[Class, dict[str, Value]] = {}
        self.results: dict[Function, Value] = {}
        self.changed = False

    def follow(self, start: Function, parameter: str) -> set[str]:
        """Follow a parameter until nothing new is learnt, and return the names of the modules that it enters."""
        self.start = start
        self.enter(start, {parameter: Value(Level.VALUE)})
        while self.changed:
            self.changed = False
            for function in list(self.functions):
                Reader(self, function).read()
        return self.modules

    def enter(self, function: Function, given: Mapping[str, Value]) -> None:
        """Take a call of a function: it is reached where something followed is given to it."""
        if any(value.level for value in given.values()):
            self.enter_module(function.module)
            self.reach(function, given)

    def enter_module(self, module: Module) -> None:
        """Take that a module is entered."""
        self.changed |= module.name not in self.modules
        self.modules.add(module.name)

    def reach(self, function: Function, given: Mapping[str, Value]) -> None:
        """Take what a function's parameters may be."""
        self.changed |= function not in self.functions
        self.functions[function] = None
        arguments = function.node.args
        starred = {one.arg for one in (arguments.vararg, arguments.kwarg) if one}
        for one in (*function.positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if one is None:
                continue
            value = given.get(one.arg, NOTHING)
            types = self._self_type(function, one) or self.tree.annotated(
                function.module, one.annotation, function.owner
            )
            types = types or value.types
            if one.arg in starred:
                types = container(Many(types) if one is arguments.vararg else Keyed(frozenset(), types))
            self.assign(function, one.arg, Value(value.level, types))

    def _self_type(self, function: Function, parameter: ast.arg) -> frozenset[Any]:
        if function.owner is None or parameter not in function.positional[:1] or "staticmethod" in function.decorators:
            return frozenset()
        return frozenset({function.owner if "classmethod" in function.decorators else Instance(function.owner)})

    def assign(self, owner: Function | Class, name: str, value: Value) -> None:
        """Take that a variable of a function, or an attribute of a class's objects, may have a value too."""
        if isinstance(owner, Function):
            names = self.variables.setdefault(owner, {})
        else:
            names = self.stored.setdefault(owner, {})
        known = names.get(name)
        names[name] = value if known is None else known | value
        self.changed |= names[name] != known

    def returns(self, function: Function, value: Value) -> None:
        """Take what a function may return."""
        known = self.results.get(function, NOTHING)
        self.results[function] = known | value
        self.changed |= self.results[function] != known

    def attribute(self, of: Class, name: str) -> Value:
        """Return what was stored in an attribute."""
        return union(self.stored.get(each, {}).get(name, NOTHING) for each in own_and_inherited(of))


class Reader:
    """Reads one function: what its expressions are, whom it calls, what it stores."""

    def __init__(self, flow: Flow, function: Function) -> None:
        """Read a function for a flow, which learns from it."""
        self.tree, self.flow, self.function = flow.tree, flow, function

    def read(self) -> None:
        """Read the whole function."""
        node = self.function.node
        if isinstance(node, ast.Lambda):
            self.flow.returns(self.function, self.value(node.body))
        else:
            self._block(node.body)

    # Statements

    def _block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Read one statement."""
        STATEMENTS.get(type(node), Reader._parts_of_statement)(self, node)

    def _parts_of_statement(self, node: ast.stmt) -> None:
        """Read the expressions of a statement, then its blocks."""
        for name, part in ast.iter_fields(node):
            if isinstance(part, ast.expr):
                self.value(part)
            elif name in {"body", "orelse", "finalbody"}:
                self._block(part)
            elif name == "handlers":
                for handler in part:
                    self._block(handler.body)

    def _function(self, node: ast.FunctionDef) -> None:
        self._bind(ast.Name(node.name), Value(Level.NOT, frozenset({self._inner(node)})))

    def _unread(self, node: ast.stmt) -> None:
        """Leave out what an error says, and a class in a function."""

    def _return(self, node: ast.Return) -> None:
        self.flow.returns(self.function, self.value(node.value))

    def _assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self._bind(target, value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        types = self.tree.annotated(self.function.module, node.annotation, self.function.owner)
        self._bind(node.target, self.value(node.value) | Value(Level.NOT, types))

    def _augmented(self, node: ast.AugAssign) -> None:
        self._bind(node.target, self.value(node.value))

    def _for(self, node: ast.For) -> None:
        value = self.value(node.iter)
        self._bind(node.target, Value(value.level, elements(value.types)))
        self._block([*node.body, *node.orelse])

    def _with(self, node: ast.With) -> None:
        for each in node.items:
            value = self.value(each.context_expr)
            given = [
                self._called(method, [Value(value.level, frozenset({one}))], {})
                for one in value.types
                if isinstance(one, Instance)
                for name in ("__exit__", "__enter__")
                for method in methods(one.of, name)
            ]
            if each.optional_vars is not None:
                entered = union(given).types or value.types
                self._bind(each.optional_vars, Value(value.level, entered))
        self._block(node.body)

    def _match(self, node: ast.Match) -> None:
        value = self.value(node.subject)
        for case in node.cases:
            for pattern in ast.walk(case.pattern):
                if isinstance(pattern, ast.MatchAs | ast.MatchStar) and pattern.name:
                    self._bind(ast.Name(pattern.name), Value(value.level))
            self.value(case.guard)
            self._block(case.body)

    # What is assigned

    def _bind(self, target: ast.expr, value: Value) -> None:
        """Take that a target may have a value."""
        match target:
            case ast.Name(id=name):
                self.flow.assign(self.function, name, value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for number, one in enumerate(targets):
                    self._bind(one, Value(value.level, item(value.types, number)))
            case ast.Starred(value=inside):
                self._bind(inside, value)
            case ast.Attribute() | ast.Subscript():
                self._put(target, value)

    def _put(self, target: ast.expr, value: Value) -> None:
        """Take that an attribute or an item may have a value; what has it holds it."""
        match target:
            case ast.Attribute(value=receiver, attr=name):
                for one in self.value(receiver).types:
                    if isinstance(one, Instance):
                        self.flow.assign(one.of, name, value)
                if value.level:
                    self._put(receiver, Value(Level.HOLDER))
            case ast.Subscript(value=receiver):
                self._put(receiver, Value(value.level))
            case ast.Name(id=name) if value.level:
                function = self._variable_of(name)
                if function is not None:
                    self.flow.assign(function, name, Value(value.level))

    def _variable_of(self, name: str) -> Function | None:
        """Return the function, this one or one around it, that has the variable."""
        function: Function | None = self.function
        while function is not None and name not in self.flow.variables.get(function, {}):
            function = function.outer
        return function

    def _inner(self, node: ast.FunctionDef | ast.Lambda) -> Function:
        """Return a function in this one; it is read with it, for it may use what is followed here."""
        found = self.function.inner.get(node)
        if found is None:
            found = Function(self.function.module, node, outer=self.function)
            self.function.inner[node] = found
        self.flow.reach(found, {})
        return found

    # Expressions

    def value(self, node: ast.expr | None) -> Value:
        """Return what an expression is."""
        return EXPRESSIONS.get(type(node), Reader._parts_of_expression)(self, node)

    def _parts_of_expression(self, node: ast.expr | None) -> Value:
        """Return a new value, followed as much as any part of the expression."""
        parts = ast.iter_child_nodes(node) if node is not None else ()
        return Value(union(self.value(part) for part in parts if isinstance(part, ast.expr)).level)

    def _name(self, node: ast.Name) -> Value:
        function = self._variable_of(node.id)
        if function is not None:
            return self.flow.variables[function][node.id]
        return Value(Level.NOT, self.tree.lookup(self.function.module, node.id))

    def _compare(self, node: ast.Compare) -> Value:
        for part in (node.left, *node.comparators):
            self.value(part)
        return NOTHING

    def _attribute(self, node: ast.Attribute) -> Value:
        receiver = self.value(node.value)
        found = [self._attribute_of(one, node.attr, receiver.level) for one in receiver.types]
        known = [one for one in found if one is not None]
        value = union(known)
        if receiver.level is Level.VALUE or (receiver.level and not known):
            return Value(receiver.level, value.types)
        return value

    def _attribute_of(self, one: Any, name: str, level: Level) -> Value | None:
        """Return an attribute of one atom; None where it is not known."""
        match one:
            case Module():
                inside = self.tree.modules.get(f"{one.name}.{name}")
                return Value(Level.NOT, frozenset({inside}) if inside else self.tree.lookup(one, name))
            case Class():
                found = methods(one, name)[:1]
                if not found:
                    return Value(Level.NOT, frozenset({Instance(one)}))  # a member of an enumeration
                return Value(Level.NOT, frozenset({self._bound(found[0], one, level)}))
            case Instance(of):
                found = methods(of, name)
                return (
                    union(self._method(each, one, level) for each in found) if found else self._field(of, name, level)
                )
        return None

    def _bound(self, method: Function, receiver: Class | Instance, level: Level) -> Function | Bound:
        if "staticmethod" in method.decorators or (
            isinstance(receiver, Class) and "classmethod" not in method.decorators
        ):
            return method
        if "classmethod" in method.decorators and isinstance(receiver, Instance):
            return Bound(method, Value(Level.NOT, frozenset({receiver.of})))
        return Bound(method, Value(level, frozenset({receiver})))

    def _method(self, method: Function, receiver: Instance, level: Level) -> Value:
        if method.decorators & {"property", "cached_property"}:
            return self._called(method, [Value(level, frozenset({receiver}))], {})
        return Value(Level.NOT, frozenset({self._bound(method, receiver, level)}))

    def _field(self, of: Class, name: str, level: Level) -> Value | None:
        stored = self.flow.attribute(of, name)
        annotation = fields(of).get(name)
        if annotation is None and stored == NOTHING:
            return None
        types = self.tree.annotated(*annotation) if annotation else frozenset()
        return Value(stored.level if level else Level.NOT, stored.types | types)

    def _subscript(self, node: ast.Subscript) -> Value:
        value = self.value(node.value)
        self.value(node.slice)
        match node.slice:
            case ast.Slice():
                return value
            case ast.Constant(value=int(number)):
                return Value(value.level, item(value.types, number))
        return Value(value.level, item(value.types, None))

    def _tuple(self, node: ast.Tuple) -> Value:
        values = [self.value(one) for one in node.elts]
        return Value(union(values).level, container(Items(tuple(one.types for one in values))))

    def _list(self, node: ast.List | ast.Set) -> Value:
        value = union(map(self.value, node.elts))
        return Value(value.level, container(Many(value.types)))

    def _starred(self, node: ast.Starred) -> Value:
        value = self.value(node.value)
        return Value(value.level, elements(value.types))

    def _dict(self, node: ast.Dict) -> Value:
        keys = union(self.value(key) for key in node.keys if key is not None)
        values = union(self.value(one) for key, one in zip(node.keys, node.values, strict=True) if key is not None)
        spread = union(self.value(one) for key, one in zip(node.keys, node.values, strict=True) if key is None)
        level = max(keys.level, values.level, spread.level)
        return Value(level, container(Keyed(keys.types, values.types)) | spread.types)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
        self._generators(node.generators)
        value = self.value(node.elt)
        return Value(value.level, container(Many(value.types)))

    def _dict_comprehension(self, node: ast.DictComp) -> Value:
        self._generators(node.generators)
        key, value = self.value(node.key), self.value(node.value)
        return Value(max(key.level, value.level), container(Keyed(key.types, value.types)))

    def _generators(self, generators: Iterable[ast.comprehension]) -> None:
        for each in generators:
            value = self.value(each.iter)
            self._bind(each.target, Value(value.level, elements(value.types)))
            for condition in each.ifs:
                self.value(condition)

    def _lambda(self, node: ast.Lambda) -> Value:
        return Value(Level.NOT, frozenset({self._inner(node)}))

    def _named(self, node: ast.NamedExpr) -> Value:
        value = self.value(node.value)
        self._bind(node.target, value)
        return value

    def _conditional(self, node: ast.IfExp) -> Value:
        self.value(node.test)
        return self.value(node.body) | self.value(node.orelse)

    def _either(self, node: ast.BoolOp) -> Value:
        return union(map(self.value, node.values))

    def _operation(self, node: ast.BinOp) -> Value:
        return self.value(node.left) | self.value(node.right)

    def _yield(self, node: ast.Yield | ast.YieldFrom) -> Value:
        value = self.value(node.value)
        self.flow.returns(self.function, value)
        return NOTHING

    # Calls

    def _call(self, node: ast.Call) -> Value:
        arguments: list[Value] = []
        for one in node.args:
            value = self.value(one)
            arguments += [value] * (8 if isinstance(one, ast.Starred) else 1)  # nobody knows how many
        keywords = {one.arg: self.value(one.value) for one in node.keywords}
        called = self.value(node.func)
        results = [self._called(one, arguments, keywords, called.level) for one in called.types if callable_(one)]
        if not results:
            return self._library(node, arguments, keywords)
        result = union(results)
        if isinstance(node.func, ast.Attribute) and self.function is self.flow.start:
            asked = self.value(node.func.value).level is Level.VALUE
            return Value(Level.VALUE if asked else result.level, result.types)
        return result

    def _called(
        self, one: Any, arguments: list[Value], keywords: Mapping[str | None, Value], level: Level = Level.NOT
    ) -> Value:
        """Return what a call gives, and let it be taken."""
        match one:
            case Bound(function, receiver):
                return self._called(function, [receiver, *arguments], keywords)
            case Class():
                return self._made(one, arguments, keywords)
            case Instance(of):
                receiver = Value(level, frozenset({one}))
                return union(self._called(each, [receiver, *arguments], keywords) for each in methods(of, "__call__"))
        given = _given(one, arguments, keywords)
        self.flow.enter(one, _passed(one, given))
        return self._result(one)

    def _result(self, function: Function) -> Value:
        """Return what a call of a function gives: followed where it is a holder, and nothing else."""
        result = self.flow.results.get(function, NOTHING)
        level = result.level if result.level is Level.HOLDER else Level.NOT
        if isinstance(function.node, ast.Lambda):
            return Value(level, result.types)
        types = self.tree.annotated(function.module, function.node.returns, function.owner)
        if "contextmanager" in function.decorators:
            types = elements(types)
        return Value(level, types or result.types)

    def _made(self, one: Class, arguments: list[Value], keywords: Mapping[str | None, Value]) -> Value:
        """Return what a constructor makes: a holder, where something followed is given to it."""
        made = frozenset({Instance(one)})
        level = min(Level.HOLDER, union([*arguments, *keywords.values()]).level)
        receiver = Value(level, made)
        given = dict(zip(fields(one), arguments, strict=False)) | {name: keywords[name] for name in keywords if name}
        for name, value in given.items():
            self.flow.assign(one, name, value)
        if level:
            self.flow.enter_module(one.module)
        for method in methods(one, "__init__")[:1]:
            self._called(method, [receiver, *arguments], keywords)
        for method in methods(one, "__post_init__")[:1]:
            self._called(method, [receiver], {})
        return receiver

    def _library(self, node: ast.Call, arguments: list[Value], keywords: Mapping[str | None, Value]) -> Value:
        """Return what a call of a library gives: a new value, whose type is known in a few cases."""
        name = last_name(node.func)
        first = arguments[0].types if arguments else frozenset()
        if isinstance(node.func, ast.Attribute):
            receiver = self.value(node.func.value)
            given = union([*arguments, *keywords.values()])
            if name in ADDERS and given.level:
                self._put(node.func.value, Value(given.level))
            return Value(Level.NOT, _of_method(receiver.types, name) | self._handed(name, arguments, keywords))
        if name == "super" and self.function.owner is not None:
            bases = frozenset(Instance(base) for base in self.function.owner.bases)
            return Value(self.value(ast.Name("self")).level, bases)
        if name == "cast":
            return Value(arguments[1].level, self.tree.annotated(self.function.module, node.args[0]))
        if name == "replace":
            return union(arguments[:1]) | Value(union(keywords.values()).holder().level)
        types = self._handed(name, arguments, keywords)
        if name in COPIERS:
            types |= container(Many(frozenset().union(*(elements(one.types) for one in arguments))))
        elif name in {"next", "min", "max"}:
            types |= elements(first)
        elif name == "enumerate":
            types |= container(Many(container(Items((frozenset(), elements(first))))))
        elif name == "zip":
            types |= container(Many(container(Items(tuple(elements(one.types) for one in arguments)))))
        return Value(Level.NOT, types)

    def _handed(self, name: str, arguments: list[Value], keywords: Mapping[str | None, Value]) -> frozenset[Any]:
        """Take the calls that a library makes of functions handed to it; return what it gives back of them."""
        found: frozenset[Any] = frozenset()
        key = keywords.get("key", NOTHING)
        if key.types and arguments:
            each = Value(arguments[0].level, elements(arguments[0].types))
            for one in filter(callable_, key.types):
                self._called(one, [each], {})
        if name not in CALLERS:
            return found
        for number, value in enumerate(arguments):
            rest = arguments[number + 1 :]
            if name not in {"partial", "submit"}:
                rest = [Value(one.level, elements(one.types)) for one in rest]
            for one in filter(callable_, value.types):
                result = self._called(one, rest, keywords)
                found |= frozenset({one}) if name == "partial" else container(Many(result.types))
        return found


STATEMENTS: Mapping[type, Callable[[Reader, Any], None]] = {
    ast.AnnAssign: Reader._annotated,
    ast.Assign: Reader._assign,
    ast.AugAssign: Reader._augmented,
    ast.ClassDef: Reader._unread,
    ast.For: Reader._for,
    ast.FunctionDef: Reader._function,
    ast.Match: Reader._match,
    ast.Raise: Reader._unread,
    ast.Return: Reader._return,
    ast.With: Reader._with,
}
EXPRESSIONS: Mapping[type, Callable[[Reader, Any], Value]] = {
    ast.Attribute: Reader._attribute,
    ast.BinOp: Reader._operation,
    ast.BoolOp: Reader._either,
    ast.Call: Reader._call,
    ast.Compare: Reader._compare,
    ast.Dict: Reader._dict,
    ast.DictComp: Reader._dict_comprehension,
    ast.GeneratorExp: Reader._comprehension,
    ast.IfExp: Reader._conditional,
    ast.Lambda: Reader._lambda,
    ast.List: Reader._list,
    ast.ListComp: Reader._comprehension,
    ast.Name: Reader._name,
    ast.NamedExpr: Reader._named,
    ast.Set: Reader._list,
    ast.SetComp: Reader._comprehension,
    ast.Starred: Reader._starred,
    ast.Subscript: Reader._subscript,
    ast.Tuple: Reader._tuple,
    ast.Yield: Reader._yield,
    ast.YieldFrom: Reader._yield,
}


def callable_(one: Any) -> bool:
    """Tell whether an atom can be called."""
    return isinstance(one, Function | Bound | Class) or (
        isinstance(one, Instance) and bool(methods(one.of, "__call__"))
    )


def _given(function: Function, arguments: list[Value], keywords: Mapping[str | None, Value]) -> dict[str, Value]:
    """Return what each parameter of a function gets."""
    nodes = function.node.args
    names = [one.arg for one in function.positional]
    given = dict(zip(names, arguments, strict=False))
    if nodes.vararg:
        given[nodes.vararg.arg] = union(arguments[len(names) :])
    known = {*names, *(one.arg for one in nodes.kwonlyargs)}
    for name, value in keywords.items():
        if name in known:
            given[name] = value
        elif name is None:
            given |= {one: Value(value.level) for one in known - set(given)}
        elif nodes.kwarg:
            given[nodes.kwarg.arg] = given.get(nodes.kwarg.arg, NOTHING) | value
    return given


def _passed(function: Function, given: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return what is passed on by a call: nothing where the value itself is only asked."""
    if function.owner is None or not function.positional:
        return given
    receiver = function.positional[0].arg
    others = any(value.level for name, value in given.items() if name != receiver)
    asked = given.get(receiver, NOTHING).level is Level.VALUE
    return {} if asked and not others else given


def _of_method(types: frozenset[Any], name: str) -> frozenset[Any]:
    """Return what a method of a container or a model gives."""
    found: frozenset[Any] = frozenset()
    for one in types:
        match one, name:
            case Keyed(_, values), "get" | "pop" | "setdefault":
                found |= values
            case Keyed(_, values), "values":
                found |= container(Many(values))
            case Keyed(keys, values), "items":
                found |= container(Many(container(Items((keys, values)))))
            case Keyed(keys, _), "keys":
                found |= container(Many(keys))
            case Many(element), "pop" | "popleft" | "result":
                found |= element
            case Many(), "copy" | "union" | "intersection" | "difference":
                found |= {one}
            case Instance(), "model_copy":
                found |= {one}
            case Class(), "model_validate" | "model_validate_json" | "model_construct":
                found |= {Instance(one)}
    return found
