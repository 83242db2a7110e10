"""What pip-compile says becomes a lock, a finding, or the admission that it could not be found out."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.dependencies.resolution.lock import Blocked, Unchecked, Wanted
from pytest_py312.dependencies.resolution.pip_tools_resolver import PIP_TOOLS, PipTools
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
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
AWAY = "WARNING: Retrying (Retry(total=1, connect=None)) after connection broken by 'NewConnectionError'\n" + NOT_FOUND


class Answering(FakeRunner):
    """uv, which knows no answer, and pip-compile, which answers in turn."""

    pip: str = "26.3"
    compiled: list[tuple[str, ...]]
    said: list[CommandRun]
    given: list[str]

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        if "piptools" in argv:
            self.compiled.append(tuple(argv))
            self.given.append(Path(argv[-1]).read_text())
            return self.said.pop(0)
        if "venv" in argv:
            Path(argv[-1]).mkdir()
        if "-c" in argv:
            return command_run_of(f'["{PIP_TOOLS}", "{self.pip}"]')
        return command_run_of(stderr="error: no answer", exit_code=int("pip" in argv and "compile" in argv))


def asked(folder: Path, *said: CommandRun, offline: bool = False) -> tuple[PipTools, Answering]:
    runner = Answering()
    runner.compiled, runner.said, runner.given = [], list(said), []
    uv = Resolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=1.0)
    return PipTools(uv=uv, cache=folder, runner=runner, lock_hours=1.0, offline=offline), runner


def refused(text: str) -> CommandRun:
    return command_run_of(stderr=text, exit_code=1)


WANTED = Wanted(
    lines=("starlette==0.27.0", "fastapi==0.110.0", "numpy==1.24.3"),
    direct=tuple((name, Location(path="a.txt", line=at)) for at, name in enumerate(("starlette", "fastapi", "numpy"))),
)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_lock_is_asked_for_under_the_interpreter_and_kept(tmp_path: Path, interpreter: str) -> None:
    resolver, runner = asked(tmp_path, command_run_of("six==1.16.0\n"))
    wanted = Wanted(lines=("six",), constraints=("six<2",), options=("--pre",), exclude_newer="2024-01-01T00:00:00Z")

    lock = resolver.resolve(wanted, build_of(interpreter))

    assert lock.versions == {"six": "1.16.0"}
    assert resolver.known(wanted, build_of(interpreter)) == lock
    assert resolver.known(replace(wanted, lines=("six>1",)), build_of(interpreter)) is None
    (argv,) = runner.compiled
    assert argv[0].endswith(f"local-digest-{interpreter}/pip-tools-{PIP_TOOLS}-tool/bin/python")
    assert argv[1:5] == ("-I", "-m", "piptools", "compile")
    pip_args = argv[argv.index("--pip-args") + 1]
    assert pip_args.startswith("--only-binary :all: ")
    assert pip_args.endswith("--uploaded-prior-to 2024-01-01T00:00:00Z")
    assert "--constraint" in argv
    assert runner.given == ["six\n--pre\n"]
    assert not list((tmp_path / "tmp").iterdir())


def test_a_project_without_a_wheel_may_be_built_and_no_other(tmp_path: Path) -> None:
    resolver, runner = asked(tmp_path, refused(NOT_FOUND), command_run_of("numpy==1.24.3\nsix==1.16.0\n"))

    lock = resolver.resolve(WANTED, build_of())

    assert [(pin.name, pin.from_source) for pin in lock.pins] == [("numpy", True), ("six", False)]
    assert "--no-binary numpy" in runner.compiled[1][runner.compiled[1].index("--pip-args") + 1]


@pytest.mark.parametrize(
    ("said", "code", "names", "line"),
    [
        ([CONFLICT], "PY101", ("fastapi", "starlette"), 1),
        ([NOT_FOUND, NOT_FOUND], "PY102", ("numpy",), 2),
        ([NOT_FOUND, NO_BUILD], "PY104", ("numpy",), 2),
    ],
)
def test_a_refusal_names_the_culprits_and_their_line(
    tmp_path: Path, said: list[str], code: str, names: tuple[str, ...], line: int
) -> None:
    resolver, _ = asked(tmp_path, *map(refused, said))

    with pytest.raises(Blocked) as caught:
        resolver.resolve(WANTED, build_of())

    (finding,) = caught.value.findings
    assert (finding.code, finding.names) == (code, names)
    assert finding.location == Location(path="a.txt", line=line)
    assert "Traceback" not in finding.message + finding.detail


def test_the_builds_own_words_are_told(tmp_path: Path) -> None:
    resolver, _ = asked(tmp_path, refused(NO_BUILD))

    refusal = resolver.refusal(WANTED, build_of("3.12"), ["numpy"])

    assert isinstance(refusal, Finding)
    assert "no wheel for 3.12" in refusal.message
    assert "No module named 'distutils'" in refusal.detail


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(AWAY), "the index does not answer pip-compile"),
        (refused(NO_COMPILER), "cannot be built here: pg_config executable not found"),
        (refused("Usage: pip-compile\nError: No such option"), "could not resolve the set: Error: No such option"),
        (refused(""), "it gave no reason"),
        (command_run_of(ended=Ended.TIMED_OUT, exit_code=-2), "time limit reached"),
        (command_run_of(ended=Ended.CANCELLED, exit_code=-9), "cancelled"),
    ],
)
def test_what_could_not_be_found_out_is_no_finding(tmp_path: Path, answer: CommandRun, words: str) -> None:
    resolver, _ = asked(tmp_path, answer)

    with pytest.raises(Unchecked, match=words):
        resolver.refusal(WANTED, build_of(), ["numpy"])


def test_a_cut_off_date_that_pip_does_not_know_is_not_left_out(tmp_path: Path) -> None:
    resolver, runner = asked(tmp_path)
    runner.pip = "25.3"

    with pytest.raises(Unchecked, match=r"pip 25\.3, with which pip-tools runs on 3\.9, knows no cut-off date"):
        resolver.resolve(replace(WANTED, exclude_newer="2024-01-01T00:00:00Z"), build_of("3.9"))
    assert runner.compiled == []


def test_offline_only_what_was_resolved_before_holds(tmp_path: Path) -> None:
    before, _ = asked(tmp_path, command_run_of("six==1.16.0\n"))
    lock = before.resolve(Wanted(lines=("six",)), build_of())
    offline, runner = asked(tmp_path, offline=True)

    assert offline.resolve(Wanted(lines=("six",)), build_of()) == lock
    with pytest.raises(Unchecked, match="offline, and pip-compile has not resolved this set before"):
        offline.resolve(WANTED, build_of())
    assert runner.compiled == []


def test_the_index_that_uv_alone_was_told_of_is_told_to_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    resolver, runner = asked(tmp_path, command_run_of("six==1.16.0\n"))
    monkeypatch.setattr(resolver.uv, "index_url", lambda *_: "https://index.example/simple")

    resolver.resolve(Wanted(lines=("six",)), build_of())

    assert runner.given == ["six\n--index-url https://index.example/simple\n"]
    assert not any("index.example" in word for word in runner.compiled[0])


@given(st.text(max_size=200), st.sampled_from([CONFLICT, NOT_FOUND, NO_BUILD, AWAY, ""]), st.integers(0, 200))
def test_no_message_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, text: str, known: str, at: int
) -> None:
    resolver, runner = asked(tmp_path_factory.mktemp("any"))
    runner.said = [refused(known[:at] + text + known[at:])] * 20

    with suppress(Unchecked):
        assert resolver.refusal(WANTED, build_of(), ["numpy"]) is not None
