"""Make the searches of docs/findings.md on a GPU node and print what they answered, in how many probes and seconds.

``python3 benchmarks/gpu_searches.py --harness "b/run --" --reports DIR --json FILE``, with the standard library alone.
``--harness`` is how the harness is called: ``b/run --`` in an unpacked bundle of ``matrices/searches.toml``,
``harness`` where there is an index. After each search the scripts that ``harness repro`` makes of the two cells at the
border are run in these cells' environments: the red one must end with 1, the green one with 0.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESERVED = "scenarios/load_4bit.py::test_reserved"
SPILL = "scenarios/split.py::test_auto_map_spills_to_the_cpu[False]"
FULL = ("--matrix", "reserved-memory", "--scenario", RESERVED)
BISECTS = {
    "reserved memory: the first bad release": ("transformers", "--good", "4.57.5", "--bad", "5.2.0", *FULL),
    "reserved memory: the fix": ("transformers", "--bad", "5.2.0", "--good", "5.23.0", "--find-fix", *FULL),
    "reserved memory: the first bad release, by figure": (
        *("transformers", "--good", "4.57.5", "--bad", "5.2.0", "--metric", "cuda_reserved.load", "--above", "1.5x"),
        *FULL,
    ),
}
CELL = "transformers-5.23.0-accelerate-{}-bitsandbytes-{}-peft-{}-*"
HF_INIT = (
    *("--bad", CELL.format("1.13.0", "0.49.2", "0.19.1"), "--matrix", "searches", "--scenario", SPILL),
    *("--signature", "bnb-params4bit-hf-init", "--good-signature", "meta-without-data", "--bisect"),
)
BLAMES = {
    "Params4bit refuses _is_hf_initialized: the accelerate release": (
        *("--good", CELL.format("1.15.0", "0.49.2", "0.20.0"), *HF_INIT),
    ),
    "the same, where bitsandbytes was upgraded too": ("--good", CELL.format("1.15.0", "0.50.2", "0.20.0"), *HF_INIT),
}


@dataclass(frozen=True)
class Answer:
    """One search: what it said, its probes (cells that were run) and the seconds from start to end."""

    question: str
    command: str
    code: int
    answer: str
    probes: int
    seconds: float
    run: str


@dataclass(frozen=True)
class Script:
    """One generated script: the cell it is made of, how it ended and the last line it printed."""

    question: str
    cell: str
    red: bool
    code: int
    line: str
    lines: int
    seconds: float


def main() -> None:
    """Search, make and run the scripts, write everything down."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--harness", default="harness", help="how the harness is called")
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    parser.add_argument("--jobs", default="1", help="releases at once")
    parser.add_argument("--gpu-busy", default="1GiB", help="as in harness run: more than 1GiB where jobs share a card")
    parser.add_argument("--json", type=Path, help="write the answers to this file too")
    options = parser.parse_args()
    program = Harness(shlex.split(options.harness), options.reports.absolute())
    flags = ("--jobs", options.jobs, "--gpu-busy", options.gpu_busy)
    answers: list[Answer] = []
    scripts: list[Script] = []
    for verb, questions in (("bisect", BISECTS), ("blame", BLAMES)):
        for question, words in questions.items():
            found = program.search(question, (verb, *words, *flags))
            answers.append(found)
            print(f"{found.question}\n  {found.answer}\n  {found.probes} probes, {found.seconds:.0f} s", flush=True)
            had = {script.cell for script in scripts}
            for script in program.scripts(found, had) if found.code == 0 else ():
                scripts.append(script)
                colour = "red" if script.red else "green"
                print(f"  {colour} {script.cell}: {script.lines} lines, exit {script.code}, {script.line}", flush=True)
    if options.json:
        content = {"answers": list(map(asdict, answers)), "scripts": list(map(asdict, scripts))}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class Harness:
    """The harness as it is called here, and where its run folders lie."""

    command: list[str]
    reports: Path

    def search(self, question: str, words: tuple[str, ...]) -> Answer:
        """Make one search."""
        before, started = self._runs(), time.monotonic()
        done = self._call(*words, "--reports", str(self.reports), "--json")
        seconds = time.monotonic() - started
        said: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}
        new = sorted(self._runs() - before)
        probes = sum(len(json.loads((run / "run.json").read_text(encoding="utf-8"))["cells"]) for run in new)
        answer = said.get("answer") or (done.stderr.strip() or "nothing").splitlines()[-1]
        run = Path(said["run"]).name if "run" in said else ""
        return Answer(question, shlex.join(words), done.returncode, answer, probes, round(seconds, 1), run)

    def scripts(self, found: Answer, had: set[str]) -> list[Script]:
        """Make a script of a red and of a green cell of the run, and run each in its cell's environment.

        Cells in ``had`` have had theirs.
        """
        made = []
        for red, (cell, scenario) in self._border(self.reports / found.run).items():
            if cell in had:
                continue
            path = self.reports / found.run / f"repro-{'red' if red else 'green'}.py"
            self._call("repro", found.run, cell, scenario, "-o", str(path), "--reports", str(self.reports))
            if not path.exists():
                made.append(Script(found.question, cell, red, -1, "no script was made", 0, 0.0))
                continue
            started = time.monotonic()
            place = ("--run", found.run, "--reports", str(self.reports))
            done = self._call("env", *place, cell, "--", "python", str(path))
            said = (done.stdout.strip() or done.stderr.strip() or "nothing").splitlines()[-1]
            lines = len(path.read_text(encoding="utf-8").splitlines())
            seconds = round(time.monotonic() - started, 1)
            made.append(Script(found.question, cell, red, done.returncode, said, lines, seconds))
        return made

    def _border(self, run: Path) -> dict[bool, tuple[str, str]]:
        """Return red → (cell, scenario) of neighbours: the last failing attempt and the last passing one."""
        events = [json.loads(line) for line in (run / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
        ended = [event["record"] for event in events if event["event"] == "attempt"]
        red = [one for one in ended if one["outcome"].startswith("fail:") and one["attempt"]]
        result = json.loads((run / "search.json").read_text(encoding="utf-8"))["result"]
        if "probes" in result:  # of a blame: some failures are not the one that was asked for
            bad = {probe["cell"] for probe in result["probes"] if probe["bad"]}
            red = [one for one in red if one["cell"] in bad]
        green = [one for one in ended if one["outcome"].startswith("pass:")]
        return {
            colour: (found[-1]["cell"], found[-1]["scenario"])
            for colour, found in ((True, red), (False, green))
            if found
        }

    def _runs(self) -> set[Path]:
        return {path.parent for path in self.reports.glob("*/run.json")}

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *words], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
