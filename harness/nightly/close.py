"""Close a night: its claims, searches, drafts and views, written down whole at the very end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.matrix.places import short
from harness.nightly import record as records
from harness.nightly import summary
from harness.nightly.claim import Claim
from harness.nightly.claims import Night, conclude
from harness.nightly.held import held
from harness.nightly.morning import exit_code
from harness.nightly.record import ENDED, LEDGER, CarriedCount, Ended, Searched
from harness.nightly.situation import Situation
from harness.report.conceal import conceal
from harness.report.private import Private, private_of
from harness.report.write import write_views
from harness.store.folder import RunFolder
from harness.store.lines import lines_of
from harness.store.records import RunRecord

MARKDOWN = "nightly.md"


@dataclass(frozen=True)
class Closing:
    """What is known of a night beside its claims. ``why`` maps a cell to the reason why it was run."""

    reports: Path
    previous: str
    strict: bool = False
    why: dict[str, str] | None = None
    searches: tuple[Searched, ...] = ()
    drafts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def claims_of(now: Situation) -> tuple[Night, list[Claim]]:
    """Return what a night claims, and the new regressions among it."""
    night = conclude(now)
    return night, [claim for claim in night.claims if claim.regression] if now.control.trusted else []


def close(folder: RunFolder, now: Situation, night: Night, about: Closing) -> Ended:
    """Render the run's views, then write ``nightly.md``, the ledger and, last of all, ``nightly.json``.

    Raises:
        OSError: the disk does not take it; the night then counts as torn.
    """
    write_views(folder)
    record = folder.read_record()
    ended = _concealed(_ended(record, folder, now, night, about), private_of(record, folder.path))
    (folder.path / MARKDOWN).write_text(summary.markdown(ended), encoding="utf-8")
    if night.ledger is not None:
        records.write(night.ledger, folder.path / LEDGER)
    records.write(ended, folder.path / ENDED)
    return ended


def _ended(record: RunRecord, folder: RunFolder, now: Situation, night: Night, about: Closing) -> Ended:
    code = exit_code(night.claims, now.control, strict=about.strict)
    lines = lines_of(record.cells, record.name)
    words = Counter(look.word.value for look in now.looks.values())
    against = held(folder, about.reports, record.name, now.issues)
    tested = {line: cell for cell in record.cells for line in [lines[cell.id]]}
    return Ended(
        night=folder.path.name,
        matrix=record.name,
        title=record.title,
        started=record.started,
        finished=datetime.now(UTC),
        previous=about.previous,
        baseline=against.run,
        code=code,
        verdict=summary.verdict(code, now.control.state, night.claims),
        gpus=tuple(gpu.name for gpu in record.host.gpus),
        control=now.control.state,
        moved=now.control.moved,
        machine=now.control.facts,
        counts=dict(sorted(words.items())),
        carried=_carried(now),
        resolved={
            line: {name: cell.built.get(name) or cell.versions.get(name, label) for name, label in cell.pins.items()}
            for line, cell in tested.items()
        },
        ran={line: (about.why or {}).get(cell.id, "") for line, cell in tested.items()},
        claims=night.claims,
        against_baseline=against.said,
        searches=about.searches,
        drafts=about.drafts,
        notes=(*about.notes, *night.notes),
    )


def _carried(now: Situation) -> tuple[CarriedCount, ...]:
    """Group what was carried by the night in which it was seen."""
    nights = sorted({one.night for one in now.carried.values()})
    groups = {night: sorted(place for place, one in now.carried.items() if one.night == night) for night in nights}
    return tuple(CarriedCount(night=night, count=len(mine), places=tuple(mine)) for night, mine in groups.items())


def _concealed(ended: Ended, private: Private) -> Ended:
    """Hide in every text what must not leave the machine: the night is sent to a hook and put into pages."""
    return Ended.model_validate(_walk(ended.model_dump(mode="json"), private))


def _walk(value: Any, private: Private) -> Any:
    if isinstance(value, str):
        return conceal(value, private)
    if isinstance(value, list):
        return [_walk(each, private) for each in value]
    if isinstance(value, dict):
        return {_walk(name, private): _walk(each, private) for name, each in value.items()}
    return value


def end_lines(folder: RunFolder, ended: Ended) -> Sequence[str]:
    """Return where the night lies, and its summary, the verdict last."""
    views = [f"HTML      {short(folder.path / 'matrix.html')}", f"Markdown  {short(folder.path / MARKDOWN)}"]
    said = summary.lines(ended)
    return [*said[:-1], *views, said[-1]]
