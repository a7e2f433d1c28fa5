"""Write the views of a run, redacted: table, HTML, Markdown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from harness.matrix.paths import short_path
from harness.redact.private import Private
from harness.redact.text import redact, redact_value
from harness.report import html, markdown, scan_html
from harness.report.context import build
from harness.report.model import ReportContext
from harness.search.conclusions import conclude, title
from harness.search.records import SearchRecord, read_search
from harness.search.scan import Scan, read_scan
from harness.session.private import private_of
from harness.store.files import write_text
from harness.store.records import AttemptRecord
from harness.store.run_folder import RunFolder
from harness.verdict.known_issues import KnownIssue, parse


@dataclass(frozen=True)
class Views:
    """The files of the views, and the context from which they were rendered."""

    html: Path
    markdown: Path
    context: ReportContext
    chart: Path | None = None  # of a scan

    @property
    def lines(self) -> list[str]:
        """Return the paths of the views, for a terminal."""
        chart = [f"Chart     {short_path(self.chart)}"] if self.chart is not None else []
        return [f"HTML      {short_path(self.html)}", f"Markdown  {short_path(self.markdown)}", *chart]


def write_views(folder: RunFolder) -> Views:
    """Rebuild ``results.parquet``, ``results.csv``, ``matrix.html``, ``matrix.md``, and ``scan.html`` of a scan.

    The views are redacted: see :func:`harness.redact.text.redact`. The journal is not.

    Without pandas, which a machine that only runs bundles may lack, the two tables are not written.

    Raises:
        ConfigError: the folder is not a run, or its known issues or its search cannot be read.
    """
    record, journal = folder.read(AttemptRecord)
    private = private_of(record, folder.path)
    if find_spec("pandas") and find_spec("pyarrow"):
        from harness.verdict.table import write_table

        redacted = tuple(_redacted(each, private) for each in journal.attempts)
        write_table(record, replace(journal, attempts=redacted), folder)

    search = read_search(folder)
    context = _with_search(build(record, journal, known_issues(folder)), search)
    context = redact_value(context, private)
    scan = read_scan(folder, search) if search is not None else None
    chart = write_scan(folder, scan) if scan is not None else None
    views = Views(folder.path / "matrix.html", folder.path / "matrix.md", context, chart)
    write_text(views.html, html.render(context))
    write_text(views.markdown, markdown.render(context))
    return views


def _with_search(context: ReportContext, search: SearchRecord | None) -> ReportContext:
    if search is None:
        return context
    return replace(context, title=title(search.question), conclusion=conclude(search))


def write_scan(folder: RunFolder, scan: Scan) -> Path:
    """Write ``scan.html`` into the run folder of a scan."""
    run = folder.read_record()
    shown = redact_value(scan_html.page(scan, run), private_of(run, folder.path))
    path = folder.path / "scan.html"
    write_text(path, scan_html.render(shown))
    return path


def _redacted(attempt: AttemptRecord, private: Private) -> AttemptRecord:
    texts = {name: getattr(attempt, name) for name in ("detail", "signature", "simulated")}
    return attempt.model_copy(update={name: redact(text, private) for name, text in texts.items() if text})


def known_issues(folder: RunFolder) -> tuple[KnownIssue, ...]:
    """Return the known issues as of the start of the run; none without the file.

    Raises:
        ConfigError: an entry is wrong, which only an edit by hand can cause.
    """
    try:
        text = folder.known_issues_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return parse(text, folder.known_issues_file.name)
