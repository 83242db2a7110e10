"""Output of pip-compile becomes a lock, a finding, or an undetermined result."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.pip_tools_resolver import PIP_TOOLS_VERSION, PipToolsResolver
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

TOGETHER = ("3.9", "3.10", "3.12")
DEEP = 'Traceback (most recent call last):\n  File "/x/piptools/__main__.py", line 19, in <module>\n    cli()\n'
CONFLICT = (
    "  ERROR: Cannot install -r /x/requirements.in (line 2) and starlette==0.27.0 because these package versions have "
    f"conflicting dependencies.\n{DEEP}pip._internal.exceptions.DistributionNotFound: ResolutionImpossible: for help"
)
NOT_FOUND = (
    "  ERROR: Could not find a version that satisfies the requirement numpy==1.24.3 (from versions: 1.26.0)\n"
    f"{DEEP}pip._internal.exceptions.DistributionNotFound: No matching distribution found for numpy==1.24.3"
)
NO_BUILD = (
    "  error: subprocess-exited-with-error\n  \n  ModuleNotFoundError: No module named 'distutils'\n  [end of output]\n"
    f"{DEEP}pip._internal.exceptions.build.InstallationSubprocessError: Getting requirements exited with 1"
    "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    f"{DEEP}pip._internal.exceptions.FailedToPrepareCandidate: Failed to build 'numpy' when getting requirements"
)
NO_COMPILER = NO_BUILD.replace("ModuleNotFoundError: No module named 'distutils'", "pg_config executable not found.")
UNREACHABLE = (
    "WARNING: Retrying (Retry(total=1, connect=None)) after connection broken by 'NewConnectionError'\n" + NOT_FOUND
)


class Answering(FakeRunner):
    """uv, which always fails, and pip-compile, which returns ``results`` in turn."""

    pip: str = "26.3"
    compiled: list[tuple[str, ...]]
    results: list[CommandResult]
    inputs: list[str]

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        if "piptools" in argv:
            self.compiled.append(tuple(argv))
            self.inputs.append(Path(argv[-1]).read_text())
            return self.results.pop(0)
        if "venv" in argv:
            Path(argv[-1]).mkdir()
        if "-c" in argv:
            return command_run_of(f'["{PIP_TOOLS_VERSION}", "{self.pip}"]')
        return command_run_of(stderr="error: no answer", exit_code=int("pip" in argv and "compile" in argv))


def resolver_and_runner(
    folder: Path, *results: CommandResult, offline: bool = False
) -> tuple[PipToolsResolver, Answering]:
    runner = Answering()
    runner.compiled, runner.results, runner.inputs = [], list(results), []
    uv = UvResolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=1.0)
    return PipToolsResolver(uv=uv, cache=folder, runner=runner, lock_hours=1.0, offline=offline), runner


def failed(text: str) -> CommandResult:
    return command_run_of(stderr=text, exit_code=1)


REQUEST = ResolutionRequest(
    lines=("starlette==0.27.0", "fastapi==0.110.0", "numpy==1.24.3"),
    direct=tuple((name, Location(path="a.txt", line=at)) for at, name in enumerate(("starlette", "fastapi", "numpy"))),
)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_pip_compile_runs_under_the_interpreter_and_its_lock_is_stored(tmp_path: Path, interpreter: str) -> None:
    resolver, runner = resolver_and_runner(tmp_path, command_run_of("six==1.16.0\n"))
    request = ResolutionRequest(
        lines=("six",), constraints=("six<2",), options=("--pre",), exclude_newer="2024-01-01T00:00:00Z"
    )

    lock = resolver.resolve(request, build_of(interpreter))

    assert lock.versions == {"six": "1.16.0"}
    assert resolver.cached_lock(request, build_of(interpreter)) == lock
    assert resolver.cached_lock(replace(request, lines=("six>1",)), build_of(interpreter)) is None
    (argv,) = runner.compiled
    assert argv[0].endswith(f"local-digest-{interpreter}/pip-tools-{PIP_TOOLS_VERSION}-tool/bin/python")
    assert argv[1:6] == ("-I", "-B", "-m", "piptools", "compile")
    pip_args = argv[argv.index("--pip-args") + 1]
    assert pip_args.startswith("--only-binary :all: ")
    assert pip_args.endswith("--uploaded-prior-to 2024-01-01T00:00:00Z")
    assert "--constraint" in argv
    assert runner.inputs == ["six\n--pre\n"]
    assert not list((tmp_path / "tmp").iterdir())


def test_a_project_without_a_wheel_may_be_built_and_no_other(tmp_path: Path) -> None:
    resolver, runner = resolver_and_runner(tmp_path, failed(NOT_FOUND), command_run_of("numpy==1.24.3\nsix==1.16.0\n"))

    lock = resolver.resolve(REQUEST, build_of())

    assert [(pin.name, pin.from_source) for pin in lock.pins] == [("numpy", True), ("six", False)]
    assert "--no-binary numpy" in runner.compiled[1][runner.compiled[1].index("--pip-args") + 1]


@pytest.mark.parametrize(
    ("errors", "code", "names", "line"),
    [
        ([CONFLICT], "PY101", ("fastapi", "starlette"), 1),
        ([NOT_FOUND, NOT_FOUND], "PY102", ("numpy",), 2),
        ([NOT_FOUND, NO_BUILD], "PY104", ("numpy",), 2),
    ],
)
def test_a_finding_names_the_projects_to_blame_and_their_line(
    tmp_path: Path, errors: list[str], code: str, names: tuple[str, ...], line: int
) -> None:
    resolver, _ = resolver_and_runner(tmp_path, *map(failed, errors))

    with pytest.raises(Unresolvable) as caught:
        resolver.resolve(REQUEST, build_of())

    (finding,) = caught.value.findings
    assert (finding.code, finding.names) == (code, names)
    assert finding.location == Location(path="a.txt", line=line)
    assert "Traceback" not in finding.message + finding.detail


def test_the_message_of_a_failed_build_is_reported(tmp_path: Path) -> None:
    resolver, _ = resolver_and_runner(tmp_path, failed(NO_BUILD))

    refusal = resolver.explain(REQUEST, build_of("3.12"), ["numpy"])

    assert isinstance(refusal, Finding)
    assert "no wheel for 3.12" in refusal.message
    assert "No module named 'distutils'" in refusal.detail


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (failed(UNREACHABLE), "the index does not answer pip-compile"),
        (failed(NO_COMPILER), "cannot be built here: pg_config is missing"),
        (failed("Usage: pip-compile\nError: No such option"), "could not resolve the set: Error: No such option"),
        (failed(""), "no reason given"),
        (command_run_of(exit_reason=ExitReason.TIMED_OUT, exit_code=-2), "time limit reached"),
        (command_run_of(exit_reason=ExitReason.CANCELLED, exit_code=-9), "cancelled"),
    ],
)
def test_an_undetermined_result_is_no_finding(tmp_path: Path, result: CommandResult, message: str) -> None:
    resolver, _ = resolver_and_runner(tmp_path, result)

    with pytest.raises(Undetermined, match=message):
        resolver.explain(REQUEST, build_of(), ["numpy"])


def test_a_cut_off_date_that_pip_does_not_support_is_not_ignored(tmp_path: Path) -> None:
    resolver, runner = resolver_and_runner(tmp_path)
    runner.pip = "25.3"

    with pytest.raises(
        Undetermined, match=r"pip 25\.3, with which pip-tools runs on 3\.9, does not support a cut-off date"
    ):
        resolver.resolve(replace(REQUEST, exclude_newer="2024-01-01T00:00:00Z"), build_of("3.9"))
    assert runner.compiled == []


def test_offline_only_locks_of_earlier_runs_are_returned(tmp_path: Path) -> None:
    online, _ = resolver_and_runner(tmp_path, command_run_of("six==1.16.0\n"))
    lock = online.resolve(ResolutionRequest(lines=("six",)), build_of())
    offline, runner = resolver_and_runner(tmp_path, offline=True)

    assert offline.resolve(ResolutionRequest(lines=("six",)), build_of()) == lock
    with pytest.raises(
        Undetermined, match="offline, and pip-compile, which has no offline mode, has not resolved this set before"
    ):
        offline.resolve(REQUEST, build_of())
    assert runner.compiled == []


def test_an_index_that_is_configured_for_uv_only_is_passed_to_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    resolver, runner = resolver_and_runner(tmp_path, command_run_of("six==1.16.0\n"))
    monkeypatch.setattr(resolver.diagnoser, "index_url", lambda *_: "https://index.example/simple")

    resolver.resolve(ResolutionRequest(lines=("six",)), build_of())

    assert runner.inputs == ["six\n--index-url https://index.example/simple\n"]
    assert not any("index.example" in word for word in runner.compiled[0])


@given(st.text(max_size=200), st.sampled_from([CONFLICT, NOT_FOUND, NO_BUILD, UNREACHABLE, ""]), st.integers(0, 200))
def test_no_message_raises_another_exception(
    tmp_path_factory: pytest.TempPathFactory, text: str, message: str, position: int
) -> None:
    resolver, runner = resolver_and_runner(tmp_path_factory.mktemp("any"))
    runner.results = [failed(message[:position] + text + message[position:])] * 20

    with suppress(Undetermined):
        assert resolver.explain(REQUEST, build_of(), ["numpy"]) is not None
