"""Remove the locks that a killed compiler left inside an environment: whoever comes next waits for them for ever."""

from __future__ import annotations

from pathlib import Path

from harness.envs.inuse import alone

# torch.utils.cpp_extension takes a file as its lock (torch/utils/file_baton.py), and only who made it removes it.
# quanto has torch build its extensions at their first use, beside their sources.
BUILT = "optimum/quanto/library/extensions/*/build/lock"
PLACES = ("env/lib/python*/site-packages", "env/Lib/site-packages")  # the second on Windows


def remove_batons(folder: Path) -> tuple[Path, ...]:
    """Remove them from the environment in ``folder``, and return which; none where somebody uses it at this moment."""
    found = [path for place in PLACES for path in folder.glob(f"{place}/{BUILT}")]
    if not found:
        return ()
    with alone(folder) as free:
        if not free:
            return ()
        for path in found:
            path.unlink(missing_ok=True)
    return tuple(found)
