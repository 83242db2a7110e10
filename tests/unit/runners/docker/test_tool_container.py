"""What an image's interpreter says of itself, read with care."""

import pytest

from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.runners.docker.tool_container import fingerprint_in


@pytest.mark.parametrize(
    "stdout", ["", "{}", "[]\n[]", '{"version": "3.12.1"}\n{}', "x\ny", '{"executable": "/p"}\nnull']
)
def test_what_is_no_fingerprint(stdout: str) -> None:
    """A banner, a half answer and other JSON are not taken for a build."""
    run = CommandRun(argv=(), ended=Ended.EXITED, exit_code=0, stdout=stdout, stderr="", seconds=0.0)
    assert fingerprint_in(run) is None


def test_the_images_own_setuptools_is_the_seed() -> None:
    """The second object is laid over the first."""
    stdout = 'a banner\n{"executable": "/p", "seed": ["setuptools==1"]}\n{"seed": ["setuptools==2"]}\n'
    run = CommandRun(argv=(), ended=Ended.EXITED, exit_code=0, stdout=stdout, stderr="", seconds=0.0)
    assert fingerprint_in(run) == {"executable": "/p", "seed": ["setuptools==2"]}
