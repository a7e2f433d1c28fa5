"""What a reader of a script is told first: how to run it, which versions, what is expected, what happens."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from harness.report.repro.lines import WIDTH
from harness.report.repro.matching import Wanted
from harness.report.repro.target import Target
from harness.report.templates import tracker_url
from harness.store.records import RunRecord
from harness.verdict.signature import recognise


def header(run: RunRecord, target: Target, wanted: Wanted, *, bare: bool = False) -> list[str]:
    """Return the comment lines of a script; ``bare`` ones fill each line."""
    cell, red = target.cell, target.red
    versions = {name: cell.versions.get(name, label) for name, label in cell.pins.items()}
    said = ", ".join(f"{name} {_plain(version)}" for name, version in versions.items())
    happens = wanted.id or "nobody has seen it fail: any failure counts"
    rule = recognise(red.failure) if red is not None and red.failure is not None else None
    trackers = [rule.tracker if rule else None, target.info.tracker]
    links = ", ".join(dict.fromkeys(link for each in trackers if each and (link := tracker_url(each))))
    here = "1: it fails in this way" if target.is_red else "0: it does not fail in this way"
    if not target.is_red and red is not None:
        others = {each.id: each for each in run.cells}[red.cell]
        here += f" (it does in {_differences(cell.pins, others.pins)})"
    hardware = f"; a GPU is needed ({target.host.gpus[0].name} there)" if target.device == "cuda:0" else ""
    facts = [
        "Run it by: uv run repro.py",
        "Exit code 1 and the signature: the failure is here. 0: it is not. 2: something else happened.",
        f"Versions: {said}, Python {cell.python}{hardware}",
        f"Expected: {target.info.title or target.info.id}",
        f"Happens: {happens}",
        f"Seen with these versions: {here}",
        *([f"Tracker: {links}"] if links else []),
    ]
    texts = [". ".join(fact.removesuffix(".") for fact in facts)] if bare else facts
    return [f"# {line}" for text in texts for line in _filled(text)]


def _filled(text: str) -> Iterable[str]:
    plain = " ".join(text.split())
    return textwrap.wrap(plain, WIDTH - 2, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _plain(version: str) -> str:
    return version.rpartition("@")[2][:12] if "://" in version else version.partition("+")[0]


def _differences(pins: dict[str, str], others: dict[str, str]) -> str:
    """Write what another cell has instead."""
    found = [f"{name} {label}" for name, label in others.items() if pins.get(name) != label]
    return ", ".join(found) or "a cell with the same pins"
