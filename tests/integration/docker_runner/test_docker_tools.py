"""The docker runner on a real engine: the interpreters of images, and tools that run beside them."""

import os

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process import ExitReason
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench

pytestmark = pytest.mark.docker


def test_the_build_of_each_image_is_found(bench: Bench) -> None:
    """Version, path and preinstalled packages are the image's own; before 3.12 there is a setuptools."""
    runner = bench.runner()
    builds = {interpreter: runner.find_interpreter(interpreter) for interpreter in INTERPRETERS}
    for interpreter, build in builds.items():
        assert build.interpreter == interpreter
        assert build.version.startswith(f"{interpreter}.")
        assert build.executable == f"/usr/local/bin/python{interpreter}"
        assert build.origin == f"image python:{interpreter}-slim"
        assert [item.partition("==")[0] for item in build.preinstalled] == (
            ["setuptools"] if interpreter.minor < 12 else []
        )
    assert len({build.digest for build in builds.values()}) == len(builds)


def test_a_build_is_cached_for_the_next_run(bench: Bench, containers: object) -> None:
    """The second runner on the same cache and image starts no container."""
    first = bench.runner()
    build = first.find_interpreter(INTERPRETERS[-1])
    first.close()
    assert bench.runner().find_interpreter(INTERPRETERS[-1]) == build
    assert callable(containers)
    assert containers(bench.run_id) == []


def test_an_image_that_cannot_be_pulled_is_reported_with_remedies(bench: Bench) -> None:
    """One attempt, the engine's own message, and three remedies."""
    runner = bench.runner(image="localhost:1/no-such-image-{version}:none")
    for _ in range(2):
        with pytest.raises(
            CellUnavailable, match=r"is missing and could not be pulled: .*; pull it manually"
        ) as caught:
            runner.find_interpreter(Interpreter(3, 12))
        assert "--py312-runner=local" in str(caught.value)


def test_an_image_with_another_python_is_refused(bench: Bench) -> None:
    """An image for 3.12 must contain 3.12."""
    runner = bench.runner(images=((Interpreter(3, 12), "python:3.10-slim"),))
    with pytest.raises(CellUnavailable, match=r"image python:3\.10-slim holds cpython 3\.10"):
        runner.find_interpreter(Interpreter(3, 12))


def test_tools_run_beside_the_build(bench: Bench) -> None:
    """{uv} and {python} are replaced, both output streams are separate, and files are written to the cache."""
    runner = bench.runner()
    build = runner.find_interpreter(INTERPRETERS[0])
    uv = runner.run_tool(build, ["{uv}", "--version"])
    assert uv.ok, uv
    assert uv.stdout.startswith("uv ")
    place = runner.path_inside(bench.cache / "made")
    script = "import sys; print(sys.stdin.read(), end=''); sys.stderr.write('aside'); open(sys.argv[1], 'w').close()"
    run = runner.run_tool(build, ["{python}", "-c", script, place], stdin="h\u00e9llo; $(exit 1)\n")
    assert (run.ok, run.stdout, run.stderr) == (True, "h\u00e9llo; $(exit 1)\n", "aside"), run
    made = (bench.cache / "made").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (os.getuid(), 0o644)


def test_uv_creates_an_environment_that_a_cell_can_use(bench: Bench) -> None:
    """A virtual environment that uv created with the image's interpreter starts in a cell."""
    runner = bench.runner()
    for interpreter in INTERPRETERS:
        build = runner.find_interpreter(interpreter)
        folder = bench.cache / "envs" / f"real-{interpreter}"
        made = runner.run_tool(build, ["{uv}", "venv", "--python", "{python}", runner.path_inside(folder)])
        assert made.ok, made
        run = bench.run(runner, "import sys; say(prefix=sys.prefix)", on=interpreter, environment=folder)
        assert run.records[0] == {"prefix": runner.path_inside(folder)}, run


def test_a_failing_tool_keeps_its_exit_code_and_message(bench: Bench) -> None:
    """There is no shell in between: code and text are the tool's."""
    runner = bench.runner()
    run = runner.run_tool(
        runner.find_interpreter(INTERPRETERS[0]), ["{python}", "-c", "import sys; sys.exit('no such lock')"]
    )
    assert (run.exit_reason, run.exit_code, run.stderr) == (ExitReason.EXITED, 1, "no such lock\n")


def test_a_tool_that_takes_too_long_is_killed(bench: Bench) -> None:
    """Its output until then is kept, its process is gone, and the next tool runs."""
    runner = bench.runner()
    build = runner.find_interpreter(INTERPRETERS[0])
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    run = runner.run_tool(build, ["{python}", "-c", script], time_limit=2.0)
    assert run.exit_reason is ExitReason.TIMED_OUT
    gone = runner.run_tool(
        build, ["{python}", "-c", "import os, sys; os.kill(int(sys.argv[1]), 0)", run.stdout.strip()]
    )
    assert "ProcessLookupError" in gone.stderr, gone


def test_a_uv_that_does_not_run_in_the_image_is_reported(bench: Bench) -> None:
    """A binary for another C library fails with a missing loader, and the message names the image."""
    runner = bench.runner()
    foreign_uv = bench.folder / "uv"
    foreign_uv.write_text("#!/lib/ld-of-another-libc.so\n")
    foreign_uv.chmod(0o755)
    runner._uv = foreign_uv
    for variables in ([], ["env", "PYTHONHOME=/none"]):
        with pytest.raises(CellUnavailable, match=r"does not run in image python:3\.12-slim"):
            runner.run_tool(runner.find_interpreter(INTERPRETERS[-1]), [*variables, "{uv}", "--version"])


def test_variables_of_a_command_need_no_program_of_the_image(bench: Bench) -> None:
    """They are set by what starts the command."""
    runner = bench.runner()
    argv = ["env", "ONE=1=1", "TWO=", "{python}", "-c", "import os; print(os.environ['ONE'], repr(os.environ['TWO']))"]
    assert runner.run_tool(runner.find_interpreter(INTERPRETERS[-1]), argv).stdout == "1=1 ''\n"


def test_the_header_names_engine_and_isolation(bench: Bench) -> None:
    """The first lines of a run."""
    assert bench.runner(isolation="interpreter").describe().endswith("answers; a container for each interpreter)")
