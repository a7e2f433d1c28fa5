"""Write every view of a run from its journal: table, HTML, Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.report import html, markdown
from harness.report.conceal import conceal
from harness.report.context import build
from harness.report.model import ReportContext
from harness.report.private import Private, private_of
from harness.report.redact import value_for_outside
from harness.store.records import AttemptRecord
from harness.store.run_folder import RunFolder
from harness.verdict.known_issues import KnownIssue, parse


@dataclass(frozen=True)
class Views:
    """Where the views lie, and the context they were rendered from."""

    html: Path
    markdown: Path
    context: ReportContext


def write_views(folder: RunFolder) -> Views:
    """Rebuild ``results.parquet``, ``results.csv``, ``matrix.html`` and ``matrix.md``.

    No view names a path, a user or another secret of this machine; the journal keeps what was really said.

    A machine that only runs a bundle may lack pandas: the two tables are then left to ``harness report`` at home.

    Raises:
        ConfigError: the folder is not a run, or its known issues cannot be read.
    """
    record, attempts = folder.read_record(), folder.attempts()
    private = private_of(record, folder.path)
    if find_spec("pandas") and find_spec("pyarrow"):
        from harness.store import table

        table.write(record, [_shown(each, private) for each in attempts], folder.path)
    context = value_for_outside(build(record, attempts, known_issues(folder)), private)
    views = Views(folder.path / "matrix.html", folder.path / "matrix.md", context)
    views.html.write_text(html.render(context), encoding="utf-8")
    views.markdown.write_text(markdown.render(context), encoding="utf-8")
    return views


def _shown(attempt: AttemptRecord, private: Private) -> AttemptRecord:
    """Return an attempt with the texts that the table takes from it concealed."""
    texts = {name: getattr(attempt, name) for name in ("detail", "signature", "simulated")}
    return attempt.model_copy(update={name: conceal(text, private) for name, text in texts.items() if text})


def known_issues(folder: RunFolder) -> tuple[KnownIssue, ...]:
    """Read the known issues as they stood when the run began; a run without the file has none.

    Raises:
        ConfigError: an entry is wrong, as only a hand's edit can make it.
    """
    try:
        text = folder.known_issues_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return parse(text, folder.known_issues_file.name)
