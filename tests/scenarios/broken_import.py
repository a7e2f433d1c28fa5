"""A scenario file that no interpreter can collect."""

import a_package_that_is_not_there  # noqa: F401


def test_never_collected():
    raise AssertionError
