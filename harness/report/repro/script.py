"""One script as text: header with its pins, the judge, the checkpoint, the scenario, the call."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.report.repro.judging import (
    CHILD,
    CLOSE,
    CLOSE_ANY,
    CLOSE_OTHER,
    END,
    JUDGE,
    JUDGE_ANY,
    JUDGE_OTHER,
    JUDGE_TYPE,
)
from harness.report.repro.lines import WIDTH, filled, source, wrapped
from harness.report.repro.matching import Wanted
from harness.report.repro.slicing import Slice

OWN = frozenset(  # names that a script has for itself
    """WORK SIGNATURE PATTERN FRAME FILES LAYOUT end judge expand tensors draw write_checkpoint checkpoint Probe Cuda
    probe main contextlib json math os re shutil sys tempfile traceback zlib metadata Requirement save_file Path
    subprocess torch tmp_path monkeypatch said code""".split()  # noqa: SIM905 - a list would be thirty lines
)


@dataclass(frozen=True)
class Parts:
    """What a script is put together from; texts are lines."""

    dependencies: Sequence[str]
    python: str
    header: Sequence[str]
    variables: Sequence[tuple[str, str]]
    wanted: Wanted
    crash_code: str
    checkpoint: Sequence[str]
    program: Sequence[str]
    probe: Sequence[str]
    imports: Sequence[str]
    slice: Slice
    main: Sequence[str]
    cuda: int = 0  # devices that are needed
    timeout: float = 0.0


@dataclass(frozen=True)
class Style:
    """How short a script must be: each of these makes it shorter and less pleasant to read."""

    dense_frame: bool = False  # several statements in a line: in what every script has
    blank_lines: bool = True
    dense: bool = False  # in the scenario too, and no figures that are only written down
    bare: bool = False  # no details behind the sentences of expectations
    cut: bool = False  # nothing of what comes after the line that raised
    packed: bool = False  # the checkpoint's layout compressed


STYLES = (
    Style(),
    Style(dense_frame=True),
    Style(dense_frame=True, blank_lines=False),
    Style(dense_frame=True, blank_lines=False, dense=True),
    Style(dense_frame=True, blank_lines=False, dense=True, cut=True),
    Style(dense_frame=True, blank_lines=False, dense=True, packed=True),
    Style(dense_frame=True, blank_lines=False, dense=True, bare=True, packed=True),
    Style(dense_frame=True, blank_lines=False, dense=True, bare=True, cut=True, packed=True),
)


def compose(parts: Parts, style: Style) -> str:
    """Return the text of a script."""
    dense = style.dense_frame
    wanted = parts.wanted
    known = wanted.id is not None
    first = [line for line in parts.imports if _is_standard(line)]
    own = [f"import {name}" for name in ("os", "re", "shutil", "sys", "tempfile", "traceback")]
    own += ["from pathlib import Path", *(["import subprocess"] if wanted.crash else [])]
    others = [line for line in parts.imports if not _is_standard(line)]
    constants = [f"SIGNATURE = {wanted.id!r}"] if known else []
    constants += [f"PATTERN = {wanted.pattern!r}"] if wanted.pattern else []
    constants += [f"FRAME = {wanted.frame!r}"] if wanted.frame else []
    said = wanted.pattern.startswith("expectation: ")
    raised = bool(wanted.pattern) and not said
    judge = JUDGE if wanted.frame else JUDGE_TYPE if raised else JUDGE_OTHER if known else JUDGE_ANY
    close = CLOSE if said else CLOSE_OTHER if known else CLOSE_ANY
    blocks = [
        _lines(constants, dense=dense),
        _lines([*_environment(parts.variables), 'WORK = Path(tempfile.mkdtemp(prefix="repro-"))'], dense=dense),
        _lines(END.splitlines(), dense=dense),
        [*_lines(judge.splitlines(), dense=dense), *([] if dense else ["sys.excepthook = judge"])],
        others,
        list(parts.checkpoint),
        *_functions(parts.program, dense=dense),
        _lines(parts.probe, dense=dense),
        _constants(parts.slice.constants, dense=style.dense),
        *([source([each], dense=style.dense) for each in parts.slice.definitions]),
        _lines(_guarded(parts, close), dense=dense),
    ]
    imports = sorted({*own, *first})
    if dense:
        imports = filled(_short_imports(imports))
        blocks[4] = filled(["sys.excepthook = judge", *_short_imports(others)])
    head = [*_metadata(parts, fill=style.bare), *parts.header, *imports]
    between = [""] if style.blank_lines else []
    body = [line for block in blocks if block for line in [*between, *block]]
    return "\n".join([*head, *body]) + "\n"


def _constants(statements: Sequence[ast.stmt], *, dense: bool) -> list[str]:
    lines = ["probe = Probe()", *source(statements, dense=dense)]
    return filled(lines, top=True) if dense else lines


def _guarded(parts: Parts, close: str) -> list[str]:
    lines = []
    if parts.wanted.crash:
        seconds = f"{parts.timeout:.0f}" if parts.wanted.crash == "timeout" else "None"
        lines += CHILD.format(seconds=seconds, code=parts.crash_code).splitlines()
    if parts.cuda:
        lines += [
            f"if torch.cuda.device_count() < {parts.cuda}:",
            f'    end(2, "this needs {parts.cuda} CUDA device(s)")',
        ]
    call = ["try:", *(f"    {line}" for line in source([ast.Expr(parts.slice.call)]))]
    call += ["except BaseException:  # SystemExit too", "    judge(*sys.exc_info())"]
    lines += [*parts.main, *call, *close.splitlines()]
    return ['if __name__ == "__main__":', *(f"    {line}" for line in lines)]


def _metadata(parts: Parts, *, fill: bool) -> list[str]:
    """Write the block of PEP 723, several pins in a line; with ``fill`` in whatever order needs the fewest lines."""
    lines: list[str] = []
    for each in sorted(parts.dependencies, key=lambda pin: (-len(pin), pin)) if fill else parts.dependencies:
        text = f'"{each}",'
        candidates = range(len(lines)) if fill else range(len(lines))[-1:]
        place = next((n for n in candidates if len(lines[n]) + len(text) + 5 <= WIDTH), None)
        if place is None:
            lines.append(text)
        else:
            lines[place] += f" {text}"
    pins = [f"#   {line}" for line in lines]
    return ["# /// script", f'# requires-python = "=={parts.python}.*"', "# dependencies = [", *pins, "# ]", "# ///"]


def _environment(variables: Iterable[tuple[str, str]]) -> list[str]:
    return [f"os.environ[{name!r}] = {value!r}" for name, value in variables]


def _functions(lines: Sequence[str], *, dense: bool) -> list[list[str]]:
    statements = ast.parse("\n".join(lines)).body
    return [_texts([each], dense=dense) for each in statements]


def _lines(lines: Sequence[str], *, dense: bool) -> list[str]:
    return (
        _texts(ast.parse("\n".join(lines)).body, dense=True)
        if dense
        else [part for line in lines for part in wrapped(line)]
    )


def _texts(statements: Sequence[ast.stmt], *, dense: bool) -> list[str]:
    """Write the script's own functions again; dense ones lose their docstrings."""
    for statement in statements if dense else ():
        if isinstance(statement, ast.FunctionDef) and ast.get_docstring(statement):
            statement.body = statement.body[1:]
    return source(statements, dense=dense)


def _is_standard(line: str) -> bool:
    return line.split()[1].partition(".")[0] in sys.stdlib_module_names


def _short_imports(lines: Iterable[str]) -> list[str]:
    """Write plain imports as one."""
    plain = [line.removeprefix("import ") for line in lines if line.startswith("import ")]
    return ([f"import {', '.join(plain)}"] if plain else []) + [line for line in lines if line.startswith("from ")]
