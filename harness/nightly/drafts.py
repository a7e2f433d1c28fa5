"""Draft an issue for each new regression, with the answer of its search where there is one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.envs.places import Places
from harness.errors import HarnessError
from harness.nightly.claim import Claim, Kind
from harness.nightly.record import Searched
from harness.report.issue.draft import draft
from harness.search.result import Ending
from harness.store.folder import RunFolder, find


def write_drafts(
    folder: RunFolder, claims: Iterable[Claim], searches: Iterable[Searched], places: Places, reports: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write one draft a signature into the night's folder; return their names, and why others could not be made."""
    made, said = list[str](), list[str]()
    answers = {place: one for one in searches for place in one.places}
    for claim in {one.signature: one for one in claims if one.kind is Kind.NEW and one.signature}.values():
        found = answers.get((claim.line, claim.scenario))
        try:
            search = find(found.run, reports) if found and _ended(found) else None  # bisect or blame
            written = draft(folder, claim.signature, places, search=search)
            (folder.path / written.name).write_text(written.text, encoding="utf-8")
        except (HarnessError, OSError) as error:
            said.append(f"no draft about {claim.scenario}: {error}")
            continue
        made.append(written.name)
    return tuple(made), tuple(said)


def _ended(search: Searched) -> bool:
    """Tell whether a search came to an end, with an answer or without; one that was interrupted can be gone on with."""
    return bool(search.run) and search.ending not in {"", Ending.INTERRUPTED}
