"""The ``harness`` command, with this interpreter as every environment and locks of the pins only.

``python harness_without_installs.py run m.toml …`` is a real process of the harness that needs no package index.
"""

import signal
import sys
import sysconfig
from pathlib import Path

from harness.cli.main import main
from harness.envs.build import STAMP, Environment
from harness.envs.lock import Unsolvable, read_lock
from harness.session import plan, resume, run

UNSOLVABLE = "six==0"


def build(lock, root, log):
    folder = root / lock.hash
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STAMP).write_text(lock.text)
    return Environment(Path(sys.executable), folder, reused=True, seconds=0.0)


def resolve_cells(cells, **_):
    return {cell.id: resolve(cell) for cell in cells}


def resolve(cell):
    text = "".join(f"{pin.requirement}\n" for pin in cell.pins)
    if UNSOLVABLE in text:
        return Unsolvable(f"there is no version of {UNSOLVABLE}")
    return read_lock(text, cell.python, None, sysconfig.get_platform())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background processes with it ignored
    run.build = build
    plan.resolve_cells = resume.resolve_cells = resolve_cells
    sys.exit(main())
