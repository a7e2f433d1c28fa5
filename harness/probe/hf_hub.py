"""Weights from the hub, in the cell: a name becomes the folder of its snapshot, downloaded where it is not cached."""

from __future__ import annotations

from importlib import import_module

FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")  # not the same weights again in other formats


def snapshot(name: str) -> str:
    """Return the local folder of ``organisation/name``.

    So a scenario gets a folder wherever the weights come from. The user's own settings hold: ``HF_HOME``,
    ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE``, tokens.

    Raises:
        OSError: it is neither cached nor to be had.
    """
    library = import_module("huggingface_hub")  # only the cell has it
    return str(library.snapshot_download(name, allow_patterns=list(FILES)))
