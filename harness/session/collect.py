"""Ask a cell's own pytest which scenarios there are, and keep to those that a resumed run was narrowed to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.envs.build import Environment
from harness.envs.lock import Lock
from harness.matrix.paths import ScenarioFile
from harness.runner.isolation import Isolation
from harness.runner.process import Finished, Request
from harness.session.attempt_record import not_started, read_events, uncollected
from harness.session.context import RunContext
from harness.session.plan import PlannedCell
from harness.store.events import ProbeEvents
from harness.store.files import write_text
from harness.store.records import Outcome, Reason, ScenarioInfo, Stage, Status


def journal_unimported(context: RunContext, cell: str, failures: Mapping[str, str]) -> None:
    """Journal each module that the matrix file names and that could not be imported; ``failures`` maps it to why.

    The attempts run all the same: those that need it fail with their own frames, the others do without.
    """
    for module, why in failures.items():
        if module in context.named:
            text = f"{context.named[module]} could not be imported in {cell}: {why}"
            context.journal.write("preload_failed", cell=cell, module=module, text=text)


REFUSED = {3, 4}  # pytest's codes for an error of its own, and for an expression or a test that it cannot make out


Ask = Callable[[Request], Finished]


@dataclass(frozen=True)
class Collection:
    """The collections of one cell in one isolation."""

    context: RunContext
    planned: PlannedCell
    built: Environment
    isolation: Isolation
    under_test: frozenset[str]  # import names of the pinned packages

    def scenarios(self, ask: Ask) -> list[ScenarioInfo]:
        """Journal what the run's own selection has in this cell; return what of it is to be run now.

        A file that cannot be collected becomes a row. What a resumed run was narrowed to is never journalled as if it
        were all there is: results that it leaves out stay missing.
        """
        options = self.context.options
        folder = self.folder / f"collect-{self.isolation}"
        finished = ask(self._request(folder, options.keyword, options.markers))
        events = _read(folder, finished)
        self._journal(events, finished, folder)
        self._write_env(events)
        journal_unimported(self.context, self.planned.cell.id, events.unimported)
        found = [collected_info(event) for event in events.collected]
        if options.only_keyword or options.only_markers:
            kept = self._kept(ask)
            found = [info for info, event in zip(found, events.collected, strict=True) if event["nodeid"] in kept]
        return [info for info in found if covered(info, self.context.only)]

    def _kept(self, ask: Ask) -> set[str]:
        """Return the node ids that ``-k`` and ``-m`` keep this time, and say where pytest cannot tell."""
        options = self.context.options
        folder = self.folder / f"narrow-{self.isolation}"
        finished = ask(self._request(folder, options.only_keyword, options.only_markers))
        events = _read(folder, finished)
        if not events.finished and not finished.exit.interrupted:
            cell, why = self.planned.cell.id, _ending(finished, folder)
            text = f"nothing is run in {cell}, for what -k and -m name could not be listed ({why})"
            self.context.journal.write("not_narrowed", cell=cell, text=text)
        return {event["nodeid"] for event in events.collected}

    @property
    def folder(self) -> Path:
        """The cell's folder."""
        return self.context.folder.cell(self.planned.cell.id)

    def _request(self, folder: Path, keyword: str, markers: str) -> Request:
        (folder / "events.jsonl").unlink(missing_ok=True)  # of a run that is gone on with
        selection = self.context.selection
        root = str(Path(selection[0].split("::", 1)[0]).parent)
        timeout = self.context.timeout
        return Request("collect", folder, root, timeout, files=selection, keyword=keyword, markers=markers)

    def _journal(self, events: ProbeEvents, finished: Finished, folder: Path) -> None:
        if finished.exit.interrupted and not events.finished:
            return  # nobody knows what there is: a run that is gone on with collects again
        relative = folder.relative_to(self.context.folder.path).as_posix()
        journal, cell = self.context.journal, self.planned.cell.id
        for failure, file in zip(events.failures, events.failed_files, strict=True):
            journal.attempt(uncollected(cell, file, failure, self.under_test, relative))
        if not events.finished:
            detail = f"the collection did not end ({_ending(finished, folder)})"
            journal.attempt(not_started(cell, "*", _uncollectable(finished), detail, folder=relative))
        expected = [collected_info(event).model_dump(mode="json") for event in events.collected]
        journal.write("collected", cell=cell, isolation=self.isolation, scenarios=expected)

    def _write_env(self, events: ProbeEvents) -> None:
        lock, cell = self.planned.lock, self.planned.cell
        facts = {
            "lock": lock.hash if isinstance(lock, Lock) else None,
            "reused": self.built.reused,
            "seconds": self.built.seconds,
            "versions": events.versions,
            "variables": dict(cell.variables),
        }
        write_text(self.folder / "env.json", json.dumps(facts, indent=1))
        if events.versions:
            self.context.journal.write("versions", cell=cell.id, versions=events.versions)


def collected_info(event: dict[str, Any]) -> ScenarioInfo:
    """Return a collected scenario; its id leaves the folder out, its node id has it in full."""
    test = event["nodeid"].partition("::")[2]
    path = Path(event["path"])
    return ScenarioInfo(
        id=f"{path.stem}::{test}",
        nodeid=f"{path}::{test}",
        **{name: event[name] for name in ("row", "title", "tracker", "needs", "checkpoints", "timeout")},
    )


def covered(info: ScenarioInfo, only: Sequence[ScenarioFile]) -> bool:
    """Tell whether a scenario is one of those named, every parameter where none is named; all are where none is."""
    path, _, test = info.nodeid.partition("::")
    named = (None, test, test.split("[", 1)[0])
    return not only or any(str(file.path) == path and file.test in named for file in only)


def _read(folder: Path, finished: Finished) -> ProbeEvents:
    """Read what a collection found; one that pytest refuses lists what it did not select, and has not ended."""
    events = read_events(folder)
    if finished.exit.code in REFUSED:
        events.finished = False
        events.collected.clear()
    return events


def _uncollectable(finished: Finished) -> Outcome:
    """Blame the software for a crash or a hang, the probe for an end of its own making."""
    if finished.exit.code is not None or finished.exit.note:
        return Outcome(Status.ERROR, Stage.COLLECT, Reason.EXCEPTION)
    return Outcome(Status.FAIL, Stage.COLLECT, Reason.TIMEOUT if finished.exit.timed_out else Reason.CRASH)


def _ending(finished: Finished, folder: Path) -> str:
    ended = finished.exit
    if ended.code in REFUSED:
        lines = (folder / "output.log").read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line.partition(" ")[2] for line in lines if line.startswith(("ERROR: ", "INTERNALERROR> "))]
        return said[-1] if said else f"exit status {ended.code}"
    if ended.timed_out:
        return f"killed after {finished.seconds:.0f} s"
    return ended.note or (f"signal {ended.signal}" if ended.signal else f"exit status {ended.code}")
