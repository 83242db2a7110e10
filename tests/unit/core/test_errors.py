"""How exceptions that nothing expects are described."""

import errno

import pytest

from pytest_py312.core.errors import describe_internal_error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_internal_error(number: int) -> None:
    error = OSError(number, "No space left on device", "/cache/locks/a.json")
    assert describe_internal_error(error) == (
        "the disk is full: /cache/locks/a.json could not be written. Free some space, and run again"
    )


def test_another_exception_is_to_be_reported() -> None:
    assert describe_internal_error(OSError(errno.EIO, "broken")).startswith(
        "internal error in pytest-py312, please report it: OSError: "
    )
