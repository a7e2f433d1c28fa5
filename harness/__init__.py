"""A version-matrix regression harness for the Hugging Face quantization stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["load_table"]


def load_table(run: str | Path, reports: str | Path = "reports") -> pd.DataFrame:
    """Return the table of a run as a DataFrame; see :func:`harness.verdict.table.load_table`."""
    from harness.verdict import table

    return table.load_table(run, reports)
