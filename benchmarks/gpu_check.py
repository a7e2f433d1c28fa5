"""Run scenarios on a GPU node that reaches no package index, by fork and in fresh interpreters, and compare them.

The harness's install step is not used: ``--packages`` are folders of unpacked wheels that are put on the path over the
node's own torch. Run it with the node's Python, from a checkout:

    python benchmarks/gpu_check.py --packages site/transformers-5.6.2 site/bitsandbytes-0.49.2 … \
        --checkpoints checkpoints --out out/5.6.2 --spawn "load_4bit::test_four_counts_agree" …

``--checkpoints`` holds folders as the harness names them (``<name>-tiny-<hash>``). One line an attempt goes to standard
output, then how the two isolations compare.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.matrix.schema import Preload  # noqa: E402  # found only with the line above
from harness.runner.isolation import Isolation, Opened, open_launcher  # noqa: E402
from harness.runner.launch import Request, environment  # noqa: E402
from harness.runner.probe_path import probe_path  # noqa: E402
from harness.session.assemble import Attempt, assemble, read_events  # noqa: E402
from harness.session.cellrun import collected_info  # noqa: E402
from harness.session.isolation_check import isolation_differences  # noqa: E402
from harness.store.records import AttemptRecord  # noqa: E402

FILES = ("load_4bit", "multimodal", "split", "adapters", "merging")
UNDER_TEST = ("torch", "transformers", "accelerate", "bitsandbytes", "peft")
SHOWN = ("cuda_allocated.load", "cuda_allocated_peak.load", "cuda_reserved.load")
NEVER = threading.Event()
SECONDS = 180.0


def main() -> None:
    """Run all scenarios by fork, those of ``--spawn`` in fresh interpreters too, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--packages", type=Path, nargs="+", required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--spawn", nargs="*", default=[])
    options = parser.parse_args()
    out = options.out.absolute()
    checkpoints = {path.name.rsplit("-tiny-", 1)[0]: str(path.absolute()) for path in options.checkpoints.iterdir()}
    records = run(Isolation.FORK, options.packages, out, checkpoints, None)
    records += run(Isolation.SPAWN, options.packages, out, checkpoints, options.spawn)
    compare(records)


def run(
    isolation: Isolation, packages: list[Path], out: Path, checkpoints: dict[str, str], only: list[str] | None
) -> list[AttemptRecord]:
    """Make one attempt of every scenario, or of those in ``only``."""
    opened = launcher(isolation, packages, out)
    scenarios = str(ROOT / "scenarios")
    folder = out / f"collect-{isolation}"
    files = tuple(str(ROOT / "scenarios" / f"{name}.py") for name in FILES)
    opened.launcher.run(Request("collect", folder, scenarios, SECONDS, files=files), NEVER)
    records = []
    for event in read_events(folder).collected:
        info = collected_info(event)
        if only is not None and info.id not in only:
            continue
        attempt = out / opened.launcher.isolation / info.id.replace("::", ".")
        given = {name: checkpoints[name] for name in info.checkpoints}
        request = Request("run", attempt, scenarios, SECONDS, nodeid=info.nodeid, checkpoints=given)
        finished = opened.launcher.run(request, NEVER)
        record = assemble(Attempt("gpu", info, 1, UNDER_TEST), finished, attempt, out, gpu_busy=False)
        figures = {name: record.figures[name] for name in SHOWN if name in record.figures}
        print(
            record.isolation, record.scenario, record.outcome, f"{record.seconds:.1f} s", record.detail[:200], figures
        )
        records.append(record)
    opened.launcher.close()
    return records


def launcher(isolation: Isolation, packages: list[Path], out: Path) -> Opened:
    """Open a launcher with the packages on its path and say how that went."""
    variables = environment(probe_path(out / "probe"), {"HF_HUB_OFFLINE": "1"})
    paths = [variables["PYTHONPATH"], *(str(path.absolute()) for path in packages)]
    variables["PYTHONPATH"] = os.pathsep.join(paths)
    preload = Preload()
    opened = open_launcher(
        Path(sys.executable),
        variables,
        out / "server",
        wanted=isolation,
        preload=preload.modules,
        never=preload.never,
        cancel=NEVER,
    )
    print(f"opened {opened.launcher.isolation} {opened.fallback} {dict(opened.ready.seconds) if opened.ready else ''}")
    return opened


def compare(records: list[AttemptRecord]) -> None:
    """Print seconds, equality to the byte and differences beyond noise, over scenarios that ran in both isolations."""
    ways = {way: {one.scenario: one for one in records if one.isolation == way} for way in Isolation}
    both = ways[Isolation.FORK].keys() & ways[Isolation.SPAWN].keys()
    for way, found in ways.items():
        if both:
            print(f"{way}: median {median(found[name].seconds for name in both):.2f} s over {len(both)} scenarios")
    names = [
        (scenario, figure)
        for scenario in both
        for figure in ways[Isolation.FORK][scenario].figures
        if figure.startswith("cuda_") and "device_used" not in figure  # the driver counts every process on the card
    ]
    pairs = [[ways[way][scenario].figures.get(figure) for way in Isolation] for scenario, figure in names]
    print(f"{sum(fork == fresh for fork, fresh in pairs)} of {len(pairs)} allocator figures are equal to the byte")
    print(f"beyond noise: {isolation_differences(records)}")


if __name__ == "__main__":
    main()
