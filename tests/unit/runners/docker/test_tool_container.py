"""Parsing the fingerprint of an image's interpreter."""

import pytest

from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.runners.docker.tool_container import parse_fingerprint


@pytest.mark.parametrize(
    "stdout", ["", "{}", "[]\n[]", '{"version": "3.12.1"}\n{}', "x\ny", '{"executable": "/p"}\nnull']
)
def test_other_output_is_no_fingerprint(stdout: str) -> None:
    """A banner, an incomplete answer and other JSON are rejected."""
    run = CommandResult(argv=(), exit_reason=ExitReason.EXITED, exit_code=0, stdout=stdout, stderr="", seconds=0.0)
    assert parse_fingerprint(run) is None


def test_the_images_own_setuptools_is_preinstalled() -> None:
    """The second object overrides the first."""
    stdout = 'a banner\n{"executable": "/p", "seed": ["setuptools==1"]}\n{"seed": ["setuptools==2"]}\n'
    run = CommandResult(argv=(), exit_reason=ExitReason.EXITED, exit_code=0, stdout=stdout, stderr="", seconds=0.0)
    assert parse_fingerprint(run) == {"executable": "/p", "seed": ["setuptools==2"]}
