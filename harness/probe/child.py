"""One attempt, or one collection, inside its own process: ``python -m harness.probe.child REQUEST.json``."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from harness.probe.events import EventFile
from harness.probe.plugin import CollectPlugin, ProbePlugin, read_request
from harness.probe.preload import preload

INI = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytest.ini")


def run(request: dict[str, Any]) -> int:
    """Run one test (``op: run``) or collect the scenarios of some files (``op: collect``); return pytest's code."""
    events = EventFile(os.path.join(request["folder"], "events.jsonl"))
    events.write("started", pid=os.getpid(), op=request["op"], isolation=request["isolation"])
    if request["isolation"] == "spawn":  # a fork server has imported them already
        failures = preload(request["preload"])["failures"]
        events.write("preloaded", failures={name: f"{why['type']}: {why['message']}" for name, why in failures.items()})
    plugin: object
    arguments = [
        "-c",
        INI,
        f"--rootdir={request['root']}",
        f"--confcutdir={request['root']}",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    if request["op"] == "collect":
        plugin = CollectPlugin(events, request["root"])
        arguments += ["--collect-only", "--continue-on-collection-errors", *_selection(request), *request["files"]]
    else:
        plugin = ProbePlugin(events, request)
        report = os.path.join(request["folder"], "report.json")
        arguments += ["-p", "pytest_metadata.plugin", "-p", "pytest_jsonreport.plugin", "--json-report"]
        arguments += [f"--json-report-file={report}", "--tb=short", "-s", request["nodeid"]]

    code = int(pytest.main(arguments, plugins=[plugin]))
    events.write("finished", code=code)
    return code


def _selection(request: dict[str, Any]) -> list[str]:
    flags = []
    for flag, value in (("-k", request.get("keyword")), ("-m", request.get("markers"))):
        flags += [flag, value] if value else []
    return flags


def main() -> int:
    """Run the request of the command line in this interpreter."""
    return run(read_request(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
