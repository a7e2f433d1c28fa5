"""Texts that say what is installed, as other systems write them."""

import pytest

from harness.search.environments import _decoded

LINE = "transformers==5.0.0\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_freeze_is_read_as_linux_and_as_powershell_write_it(encoding):
    assert _decoded(LINE.encode(encoding)) == LINE
