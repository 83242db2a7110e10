"""The order of runs in which a source is built: what has the network runs no foreign code."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.system.confined_builds import (
    NO_BUILDS,
    SourceBuild,
    as_written,
    needs_build,
    requirements_asked_for,
    run_source_build,
    source_to_build,
    without_builds,
)
from pytest_py312.runners.runner import ConfinedCommand
from tests.support.fakes import FakeRunner, build_of, command_run_of

STOPPED = f"error: Failed to build `evil==1.0`\n  PYTHONHOME = '{NO_BUILDS}'\n"
ASKS = """\
error: Failed to build `evil==1.0`
  cause: Failed to resolve requirements from `build-system.requires`
  cause: No solution found when resolving: `setuptools>=40.8.0`, `pybind11>=2.2`, `x @ file:///etc`
  cause: Because pybind11 was not found in the cache and you require pybind11>=2.2, we can conclude that ...
"""


@dataclass(kw_only=True)
class Confining(FakeRunner):
    """A runner whose confined commands return ``confined`` in turn; ``seen`` is what their inputs were."""

    confined: list[CommandResult] = field(default_factory=list)
    commands: list[ConfinedCommand] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    @property
    def confines(self) -> bool:
        return True

    def run_confined(self, build: InterpreterBuild, command: ConfinedCommand) -> CommandResult:
        self.commands.append(command)
        self.seen.append((command.folder.parent / "requirements.txt").read_text())
        (command.folder / "touched").touch()
        return self.confined.pop(0)


def run(
    folder: Path, tools: Sequence[CommandResult], confined: Sequence[CommandResult]
) -> tuple[CommandResult, Confining]:
    runner = Confining(answers=list(tools), confined=list(confined))
    (folder / "uv.toml").write_text('build-constraint-dependencies = ["cython<3"]\n')
    (folder / "requirements.txt").write_text("--index-url https://user:secret@host/simple\nevil==1.0\n")
    source = SourceBuild(
        folder=folder,
        argv=("{uv}", "pip", "install"),
        time_limit=60.0,
        options=("--index-url https://user:secret@host/simple",),
    )
    return run_source_build(source, build_of("3.12"), runner, runner), runner


def test_a_build_is_offline_and_follows_a_run_that_fetches(tmp_path: Path) -> None:
    result, runner = run(tmp_path, [command_run_of(stderr=STOPPED, exit_code=1)], [command_run_of()])

    assert result.ok
    (fetching,), (building,) = runner.tools, runner.commands
    assert fetching[:3] == ("env", f"PYTHONHOME={NO_BUILDS}", "{uv}")
    assert "--offline" not in fetching
    assert building.argv[2:4] == ("{uv}", "--offline")
    assert "npm_config_fetch_retries=0" in building.argv
    assert (building.folder, building.fetches) == (tmp_path / "scratch", False)


def test_a_build_sees_no_password(tmp_path: Path) -> None:
    """The file has it again afterwards, for the next run that fetches."""
    _, runner = run(tmp_path, [command_run_of(stderr=STOPPED, exit_code=1)], [command_run_of()])

    assert runner.seen == ["--index-url https://host/simple\nevil==1.0\n"]
    assert "user:secret@" in (tmp_path / "requirements.txt").read_text()


def test_a_build_reads_the_folder_that_is_its_index(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    runner = Confining(answers=[command_run_of(stderr=STOPPED, exit_code=1)], confined=[command_run_of()])
    (tmp_path / "requirements.txt").touch()
    options = (f"--find-links {folder} # digest", "--find-links /py312-none", "--index-url https://host")
    source = SourceBuild(folder=tmp_path, argv=("{uv}",), time_limit=60.0, options=options)

    run_source_build(source, build_of("3.12"), runner, runner)

    assert runner.commands[0].readable == (tmp_path, folder)


def test_an_error_names_files_by_their_paths_in_the_repository(tmp_path: Path) -> None:
    """The copy that is built is another folder on each machine and in each run."""
    copy = tmp_path / "copy"
    copy.mkdir()
    built = tmp_path / "build"
    built.mkdir()
    (built / "requirements.txt").touch()
    inside = built / "scratch" / "copy"
    stderr = f"error: '{inside}/bases/core.py' is not in the subpath of '{inside}'"
    runner = Confining(
        answers=[command_run_of(stderr=STOPPED, exit_code=1)], confined=[command_run_of(stderr=stderr, exit_code=1)]
    )
    source = SourceBuild(folder=built, argv=("{uv}",), time_limit=60.0, copied=copy)

    result = run_source_build(source, build_of("3.12"), runner, runner)

    assert result.stderr == "error: 'bases/core.py' is not in the subpath of '.'"


@pytest.mark.parametrize("stderr", ["error: Hash mismatch for `evil==1.0`", "error: Failed to fetch: `https://x`"])
def test_what_fails_before_the_build_is_the_result(tmp_path: Path, stderr: str) -> None:
    result, runner = run(tmp_path, [command_run_of(stderr=stderr, exit_code=1)], [])
    assert (result.stderr, runner.commands) == (stderr, [])


def test_what_a_build_asks_for_is_fetched_into_a_new_folder(tmp_path: Path) -> None:
    """Nothing that foreign code has touched is read by a run with the network; constraints hold; no paths."""
    stopped = command_run_of(stderr=STOPPED, exit_code=1)
    asks = command_run_of(stderr=ASKS, exit_code=1)

    result, runner = run(tmp_path, [stopped, command_run_of(), stopped], [asks, command_run_of()])

    assert result.ok
    fetching = runner.tools[1]
    assert fetching[:2] == ("env", f"PYTHONHOME={NO_BUILDS}")
    assert (tmp_path / "asked-for.txt").read_text().splitlines()[1:] == ["setuptools>=40.8.0", "pybind11>=2.2"]
    assert (tmp_path / "asked-for-constraints.txt").read_text() == "cython<3\n"
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == ["touched"]


def test_what_does_not_exist_is_not_taken_for_a_lack_of_network(tmp_path: Path) -> None:
    stopped = command_run_of(stderr=STOPPED, exit_code=1)
    nothing = command_run_of(stderr="No solution found: there is no version of pybind11>=2.2", exit_code=1)

    result, _ = run(tmp_path, [stopped, nothing, stopped], [command_run_of(stderr=ASKS, exit_code=1)] * 2)

    assert result.stderr == f"error: Failed to build `evil==1.0`\n{nothing.stderr}"


def test_asking_without_end_ends(tmp_path: Path) -> None:
    stopped = command_run_of(stderr=STOPPED, exit_code=1)
    asking = [command_run_of(stderr=ASKS.replace("pybind11", f"more{n}"), exit_code=1) for n in range(20)]

    result, runner = run(tmp_path, [stopped, *[command_run_of(), stopped] * 20], asking)

    assert not result.ok
    assert len(runner.commands) == 5


def test_only_a_build_needs_one() -> None:
    assert needs_build(command_run_of(stderr=STOPPED, exit_code=1))
    assert not needs_build(command_run_of(stderr=STOPPED))
    assert not needs_build(command_run_of(stderr="error: no", exit_code=1))
    assert without_builds(["{uv}"])[0] == "env"


@pytest.mark.parametrize(
    ("stderr", "source"),
    [
        (STOPPED, "evil==1.0"),
        ("error: Failed to download and build `x @ https://host/x.tar.gz`\n", "x @ https://host/x.tar.gz"),
        ("error: The build backend returned an error", ""),
    ],
)
def test_the_source_is_named(stderr: str, source: str) -> None:
    assert source_to_build(command_run_of(stderr=stderr, exit_code=1)) == source


def test_a_conflict_with_the_network_is_no_request() -> None:
    assert (
        requirements_asked_for(command_run_of(stderr=ASKS.replace("was not found in the cache", "x"), exit_code=1))
        == ()
    )


@pytest.mark.parametrize(
    ("shown", "url", "line"),
    [
        ("git+https://****@host/a", "git+https://ghp_1@host/a", "Acme[x] @ {} ; sys_platform == 'linux'"),
        ("git+https://me:****@host/a@v1#subdirectory=b", "git+https://me:word@host/a@v1#subdirectory=b", "acme@{}"),
        ("git+ssh://git@host/a", "git+ssh://git@host/a", "acme @ {}"),
        ("https://****@host/a.tar.gz", "https://x@host/a.tar.gz", "acme @ {}"),
        ("git+https://****@host/a", "git+https://****@host/a", "b @ git+https://c@host/b"),
    ],
)
def test_a_source_gets_the_password_that_uv_does_not_show(shown: str, url: str, line: str) -> None:
    """If it was written anywhere."""
    others = "--index-url https://o:p@host/\nb @ git+https://c@host/a.git2\n"
    assert as_written(f"acme @ {shown}", f"{others}{line.format(url)}\n") == f"acme @ {url}"
