"""Write every view of a run from its journal: table, HTML, Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.report import html, markdown
from harness.report.context import build
from harness.report.views import ReportContext
from harness.store.folder import RunFolder


@dataclass(frozen=True)
class Views:
    """Where the views lie, and the context they were rendered from."""

    html: Path
    markdown: Path
    context: ReportContext


def write_views(folder: RunFolder) -> Views:
    """Rebuild ``results.parquet``, ``results.csv``, ``matrix.html`` and ``matrix.md``.

    A machine that only runs a bundle may lack pandas: the two tables are then left to ``harness report`` at home.

    Raises:
        ConfigError: the folder is not a run.
    """
    record, attempts = folder.read_record(), folder.attempts()
    if find_spec("pandas") and find_spec("pyarrow"):
        from harness.store import table

        table.write(record, attempts, folder.path)
    context = build(record, attempts)
    views = Views(folder.path / "matrix.html", folder.path / "matrix.md", context)
    views.html.write_text(html.render(context), encoding="utf-8")
    views.markdown.write_text(markdown.render(context), encoding="utf-8")
    return views
