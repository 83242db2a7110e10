"""Where uv alone refuses a source, pip decides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.pip_wheels import refused_by_uv
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

NAME = """\
error: No solution found when resolving dependencies
  cause: Because babelgladeextractor==0.7.0 has a non-PEP 625-compliant source distribution filename and you require \
babelgladeextractor==0.7.0, we can conclude that your requirements are unsatisfiable.
"""
ARCHIVE = """\
error: Failed to download and build `pypdf2==1.26.0`
  cause: Failed to extract archive: pypdf2==1.26.0
  cause: Invalid tar file
  cause: at byte 0: invalid tar identity: found [0, 0, 0, 0, 0, 0, 0, 0]
"""
BACKEND = """\
error: Failed to build `fakec==1.0`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)
"""
GIT = "error: Failed to download and build `x==1`\n  cause: Git operation failed\n"
NETWORK = "error: Failed to download and build `x==1`\n  cause: Failed to fetch: `https://x`\n"


@pytest.mark.parametrize(
    ("stderr", "refused"),
    [
        (NAME, ("babelgladeextractor", "0.7.0")),
        (ARCHIVE, ("pypdf2", "1.26.0")),
        (BACKEND, None),
        (GIT, None),
        (NETWORK, None),
        ("error: Failed to build `x @ file:///x`\n  cause: Invalid tar file\n", None),
        ("error: Failed to build `x==1`\n  cause: No space left on device\n", None),
    ],
)
def test_refusals_of_uv_itself_are_no_failed_builds(stderr: str, refused: tuple[str, str] | None) -> None:
    assert refused_by_uv(stderr) == refused


@given(st.text())
def test_no_output_breaks_it(stderr: str) -> None:
    assert refused_by_uv(stderr) is None


def failed(text: str) -> CommandResult:
    return command_run_of(stderr=text, exit_code=1)


def resolver(folder: Path, answers: Sequence[CommandResult]) -> tuple[UvResolver, FakeRunner]:
    runner = FakeRunner(answers=list(answers))
    return UvResolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=24.0), runner


REQUEST = ResolutionRequest(lines=("pypdf2==1.26.0", "six"))


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_the_wheel_that_pip_builds_is_what_is_locked(tmp_path: Path, interpreter: str) -> None:
    """Only its own pin names the folder, so that the others are installed as always."""
    answers = [failed(ARCHIVE), command_run_of(), command_run_of(), command_run_of("pypdf2==1.26.0\nsix==1.16.0\n")]
    uv, runner = resolver(tmp_path, answers)

    pypdf2, six = uv.resolve(REQUEST, build_of(interpreter)).pins

    (folder,) = (path for path in (tmp_path / "pip-wheels").glob("*/*") if path.is_dir())
    assert (pypdf2.index, pypdf2.from_source, six.index) == (f"--find-links {folder}", False, "")
    assert {"wheel", "--no-deps", "pypdf2"} <= set(runner.tools[2])
    assert runner.tools[3][runner.tools[3].index("--find-links") + 1] == str(folder)
    again, more = resolver(tmp_path, [failed(ARCHIVE), command_run_of("pypdf2==1.26.0\n")])
    again.resolve(replace(REQUEST, lines=("pypdf2==1.26.0",)), build_of(interpreter))
    assert len(more.tools) == 2


def test_what_pip_does_not_build_either_is_blocked(tmp_path: Path) -> None:
    answers = [failed(ARCHIVE), command_run_of(), failed("ModuleNotFoundError: No module named 'distutils'")]

    with pytest.raises(Unresolvable, match=r"pypdf2==1.26.0: .* fails to build: .*distutils"):
        resolver(tmp_path, answers)[0].resolve(REQUEST, build_of("3.12"))


def test_hashes_are_those_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(Undetermined, match="its wheel would have another hash"):
        resolver(tmp_path, [failed(ARCHIVE)])[0].resolve(replace(REQUEST, hashes=True), build_of("3.12"))
