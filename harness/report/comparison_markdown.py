"""A comparison as Markdown, for an issue or the summary of a workflow's step."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.comparison import ORDER, Page, Said
from harness.report.markdown import CELL_LIMIT, LIMIT, code, escaped, tracker

FEWER = (1_000, 200, 50, 10, 3)  # rows of one kind; the first that fits is taken
END = "\n(the rest is left out)\n"


def render(shown: Page, limit: int = LIMIT) -> str:
    """Return the text, always shorter than ``limit`` characters; every kind keeps its count.

    ``shown`` has to be concealed already: nothing is hidden here.
    """
    text = ""
    for rows in FEWER:
        text = "\n".join(_lines(shown, rows)) + "\n"
        if len(text) < limit:
            return text
    return text[: max(limit - len(END) - 1, 0)] + END


def _lines(shown: Page, rows: int) -> Iterator[str]:
    yield f"**{_text(shown.summary)}**"
    yield ""
    yield f"{code(shown.old)} → {code(shown.new)}"
    for kind in ORDER:
        found = shown.of(kind)
        if found:
            yield from ("", f"### {kind} ({len(found)})", "", "| scenario | cell-line | what |", "|---|---|---|")
            yield from (_row(one) for one in found[:rows])
            if len(found) > rows:
                yield from ("", f"and {len(found) - rows} more")
    if shown.versions:
        yield from ("", "### versions that differ", "", "| cell-line | packages |", "|---|---|")
        yield from (f"| {code(line)} | {_text(changes, CELL_LIMIT * 4)} |" for line, changes in shown.versions[:rows])
        if len(shown.versions) > rows:
            yield from ("", f"and {len(shown.versions) - rows} more cell-lines")
    for note in shown.notes:
        yield from ("", _text(note))


def _row(one: Said) -> str:
    remark = f" ({' '.join(text for text in (_text(one.remark), tracker(one.tracker)) if text)})" if one.remark else ""
    return f"| {code(_cut(one.scenario))} | {code(_cut(one.line))} | {_text(one.detail)}{remark} |"


def _text(value: str, limit: int = CELL_LIMIT) -> str:
    return escaped(_cut(value, limit))


def _cut(value: str, limit: int = CELL_LIMIT) -> str:
    text = " ".join(value.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
