"""Statements as source again, in lines of at most 120 characters."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Sequence

WIDTH = 120
FIRST_BREAK = 40  # columns that a line has at least before it is broken
COMPOUND = (
    *("def ", "class ", "if ", "for ", "while ", "with ", "async ", "match ", "case "),
    *("elif ", "else:", "try:", "finally:", "except ", "except:"),
)
LONG_TEXT = 80  # characters of a quoted text from which it may be cut in two


def source(statements: Iterable[ast.stmt], *, dense: bool = False) -> list[str]:
    """Return the lines of some statements, without blank ones; ``dense`` puts several statements in a line."""
    found: list[str] = []
    for statement in statements:
        whole = ast.unparse(ast.fix_missing_locations(statement)).splitlines()
        lines = [line for line in whole if line.strip()]
        for chosen in (_joined(lines) if dense else lines, lines):
            wanted = [part for line in chosen for part in wrapped(line, dense=dense)]
            if _parsed(wanted) == _parsed(whole):
                break
        else:  # a text with line ends in it, as it stands
            wanted = whole
        found += wanted
    short = filled(found, top=True) if dense else found
    return short if _parsed(short) == _parsed(found) else found


def filled(lines: Sequence[str], *, top: bool = False) -> list[str]:
    """Put simple statements that follow each other into one line, as long as there is room.

    With ``top`` only those that are not indented: lines that were wrapped already stay as they are.
    """
    merged: list[str] = []
    for line in lines:
        before = merged[-1] if merged else ""
        beside = (
            merged
            and _indent(before) == _indent(line)
            and (not top or not _indent(line))
            and _is_simple(before)
            and _is_simple(line)
        )
        if beside and len(before) + len(line.strip()) + 2 <= WIDTH:
            merged[-1] = f"{before}; {line.strip()}"
        else:
            merged.append(line)
    return merged


def _parsed(lines: Sequence[str]) -> str | None:
    """Return what some lines mean to Python, None where they mean nothing."""
    try:
        return ast.dump(ast.parse("\n".join(lines)))
    except SyntaxError:
        return None


def _joined(lines: Sequence[str]) -> list[str]:
    """Put simple statements of one block into one line, and a short block behind its header."""
    merged = filled(lines)
    found: list[str] = []
    for place, line in enumerate(merged):
        before = found[-1] if found else ""
        alone = place + 1 == len(merged) or _indent(merged[place + 1]) < _indent(line)
        under = before.endswith(":") and before == merged[place - 1] and alone and _is_simple(line)
        if under and len(before) + len(line.strip()) + 1 <= WIDTH:
            found[-1] = f"{before} {line.strip()}"
        else:
            found.append(line)
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_simple(line: str) -> bool:
    return not line.endswith((":", "\\")) and not line.lstrip().startswith(("@", *COMPOUND))


def wrapped(line: str, *, dense: bool = False) -> list[str]:
    """Break one logical line where Python allows it; one that cannot be broken stays long.

    The break is where a reader expects it, or as late as can be in ``dense`` lines.
    """
    if len(line) <= WIDTH:
        return [line]
    indent = len(line) - len(line.lstrip())
    deeper = " " * (indent + (8 if line.rstrip().endswith(":") else 4))
    pieces = _pieces(line.strip())
    found, current = [], " " * indent
    while pieces:
        room, used, best = WIDTH - 2, len(current), None
        for place, (text, depth, comma) in enumerate(pieces):
            used += len(text)
            if used - (len(text) - len(text.rstrip())) > room:
                break
            if used > FIRST_BREAK + indent and place + 1 < len(pieces):
                worth = (depth > 0, not dense and comma, 0 if dense else -depth, place)
                best = max(best, worth) if best else worth
        else:
            break
        if best is None:
            break
        kept, pieces = pieces[: best[3] + 1], pieces[best[3] + 1 :]
        text = current + "".join(piece[0] for piece in kept).rstrip()
        found.append(text if best[0] else f"{text} \\")
        current = deeper
    return [*found, current + "".join(piece[0] for piece in pieces)]


Piece = tuple[str, int, bool]  # text with the space behind it, depth of brackets behind it, ends with a comma


def _pieces(text: str) -> list[Piece]:
    """Cut a line between its tokens; an f-string stays whole, a long text is cut in several."""
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.string.strip()]
    found: list[Piece] = []
    depth = inside = 0
    start = 0
    for place, token in enumerate(tokens):
        kind = tokenize.tok_name[token.type]
        inside += (kind == "FSTRING_START") - (kind == "FSTRING_END")
        if token.type == tokenize.OP and not inside:
            depth += (token.string in "([{") - (token.string in ")]}")
        end = tokens[place + 1].start[1] if place + 1 < len(tokens) else len(text)
        closes = place + 1 < len(tokens) and tokens[place + 1].string in ")]},:.[("
        if inside or (closes and end < len(text)):
            continue
        piece = text[start:end]
        if token.type == tokenize.STRING and token.string[:1] in "'\"" and len(token.string) > LONG_TEXT:
            found += [(part, depth, False) for part in _cut(piece, token.string)[:-1]]
            piece = _cut(piece, token.string)[-1]
        found.append((piece, depth, token.string == ","))
        start = end
    return found


def _cut(piece: str, literal: str) -> list[str]:
    """Write the text at the end of a piece as several, which Python joins again."""
    value = ast.literal_eval(literal)
    if not isinstance(value, str):
        return [piece]
    before, after = piece.split(literal, 1)
    parts = [value[place : place + LONG_TEXT] for place in range(0, len(value), LONG_TEXT)]
    texts = [f"{part!r} " for part in parts]
    return [before + texts[0], *texts[1:-1], texts[-1].rstrip() + after] if len(texts) > 1 else [piece]
