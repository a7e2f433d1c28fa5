"""What all tests with real releases share: the order in which they begin, and programs that cells find."""

import os

import pytest

LONG = ("catalogue", "bundle", "bisect", "workflows", "checkpoints", "real_releases", "nightly")  # minutes each


def pytest_collection_modifyitems(items):
    """Begin with the longest files: two processes share the files, and one that gets the longest last ends alone."""
    rank = {f"test_{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def pip_of_no_cell(tmp_path_factory):
    """Answer the `pip list` that bitsandbytes runs at each import, to look for a plugin: it takes most of a second.

    A cell has no pip of its own, so what would answer is one beside the cell, about packages that the cell has not.
    """
    folder = tmp_path_factory.mktemp("programs")
    (folder / "pip").write_text("#!/bin/sh\n")
    (folder / "pip").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=os.pathsep)
        yield
