"""The command line of ``py312``."""

import csv
import io
import json
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from pytest_py312 import __version__
from pytest_py312.cli import common, gate_commands
from pytest_py312.cli.commands import COMMANDS
from pytest_py312.cli.common import escape_line, log
from pytest_py312.cli.main import main
from pytest_py312.core.directories import default_cache_folder
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.runner import CellUnavailable

PLAN = 'target = "3.12"\ninterpreters = ["3.9", "3.10", "3.12"]\n[[stage]]\nnumber = 1\nservices = ["api"]\n'


@pytest.fixture(autouse=True)
def no_live_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide other runs on this machine."""
    monkeypatch.setattr("pytest_py312.gate.run.cache_pruning.live_runs", list)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two services, one of which the plan names."""
    root = tmp_path / "repository"
    for name, version in (("api", "3.9"), ("worker", "3.10")):
        (root / "services" / name).mkdir(parents=True)
        (root / "services" / name / "requirements.txt").write_text("attrs\n")
        (root / "services" / name / "Dockerfile").write_text(f"FROM python:{version}-slim\n")
    (root / "py312.toml").write_text(PLAN)
    return root


def printed(capsys: pytest.CaptureFixture[str], *argv: str | Path, code: int = 0) -> str:
    """Run a command, check its exit code, and return its output."""
    assert main([str(word) for word in argv]) == code
    out, err = capsys.readouterr()
    return err if code == 4 else out


def test_without_a_command_all_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """And the gate is mentioned."""
    text = printed(capsys)
    assert all(command in text for command in COMMANDS)
    assert "pytest --py312" in text


def test_its_version_is_that_of_the_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"py312 {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["inventry"], 'perhaps you meant "inventory"'),
        (["inventory", "--fromat=json"], 'perhaps you meant "--format"'),
        (["inventory", "--format=jsn"], 'perhaps you meant "json"'),
        (["inventory", "nowhere"], "nowhere: there is no such file or folder"),
        (["inventory", "--plan=none.toml"], "none.toml: there is no such plan file"),
        (["inventory", "--plan"], "expected one argument"),
        (["cache", "prone"], 'perhaps you meant "prune"'),
        (["cache", "prune", "--older-than=soon"], "a number of days"),
        (["cache", "prune", "--older-than=-1"], "a number of days"),
        (["cache", "prune", "--older-than=nan"], "a number of days"),
        (["cache", "prune", "--max-size=much"], "500MB or 2GiB"),
    ],
)
def test_a_user_error_is_explained(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On stderr, with pytest's exit code of a usage error, and without a traceback."""
    text = printed(capsys, *argv, *(["--cache-dir", str(tmp_path)] if argv[0] == "cache" else []), code=4)
    assert text.startswith("py312: ")
    assert expected in text
    assert "Traceback" not in text


def test_the_inventory_has_several_formats(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same services in each."""
    assert "worker" in printed(capsys, "inventory", repository)
    document = json.loads(printed(capsys, "inventory", repository, "--format=json"))
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "inventory", repository, "--format", "csv"))))
    assert {service["name"]: service["baseline"] for service in document["services"]} == {
        "api": "3.9",
        "worker": "3.10",
    }
    assert [row["name"] for row in rows] == [service["name"] for service in document["services"]]
    assert "| api" in printed(capsys, "inventory", repository, "--format=markdown")


def test_the_inventory_of_a_folder_contains_its_services(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the plan of the repository, which is searched upwards, and only its own assumptions."""
    document = json.loads(printed(capsys, "inventory", repository / "services" / "api", "--format=json"))
    assert [(service["name"], service["stage"]) for service in document["services"]] == [("api", 1)]
    assert not any(text.startswith("worker") for text in document["assumptions"])


def test_a_folder_without_a_service_is_an_error(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "docs").mkdir()
    assert "there is no service at" in printed(capsys, "inventory", repository / "docs", code=4)


def test_an_error_in_the_plan_has_its_line(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "py312.toml").write_text("target = 3.12\n")
    assert "py312.toml:1: target" in printed(capsys, "inventory", repository, code=4)


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1"}])
def test_output_to_a_pipe_has_no_colours(
    environ: dict[str, str], repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert "\x1b" not in printed(capsys, "inventory", repository)


@pytest.mark.parametrize(
    ("environ", "coloured"), [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colours_unless_disabled(environ: dict[str, str], coloured: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert common.uses_color(Terminal(), environ) is coloured
    assert not common.uses_color(io.StringIO(), environ)


def test_the_cache_folder_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "cache", "dir", "--cache-dir", tmp_path) == f"{tmp_path}\n"
    assert printed(capsys, "cache", "dir").strip() == str(default_cache_folder())


def test_the_cache_shows_its_size_and_can_be_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With 0 days, so that new entries are removed too."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "a.json").write_text("{}")
    assert "locks                1 entries" in printed(capsys, "cache", "--cache-dir", tmp_path)
    assert "removed 0 entries" in printed(capsys, "cache", "prune", "--max-size=0", "--cache-dir", tmp_path)
    assert "removed 1 entries" in printed(capsys, "cache", "prune", "--older-than=0", "--cache-dir", tmp_path)
    assert list((tmp_path / "locks").iterdir()) == []


def test_the_cache_is_not_pruned_during_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_py312.gate.run.cache_pruning.live_runs", lambda: ["20261125T000000Z-7-abc"])
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "a.json").write_text("{}")
    assert "is active" in printed(capsys, "cache", "prune", "--older-than=0", "--cache-dir", tmp_path, code=4)
    assert (tmp_path / "locks" / "a.json").exists()


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("10", 10), ("1KB", 1000), ("1.5KiB", 1536), ("2GiB", 2 * 1024**3), ("1 TB", 10**12)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert gate_commands._parse_limit(text) == size


def test_interpreters_are_listed_and_missing_ones_explained(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line each, in the order of versions; the exit code shows whether all exist."""

    def find(interpreter: Interpreter, _: Path) -> InterpreterBuild:
        if interpreter == Interpreter(3, 10):
            raise CellUnavailable("no Python 3.10 was found on this machine. Get one with `uv python install 3.10`")
        return InterpreterBuild(
            interpreter=interpreter,
            version=f"{interpreter}.1",
            executable=f"/opt/python{interpreter}",
            origin="PATH",
            digest="0",
            flags="pgo",
        )

    monkeypatch.setattr(gate_commands, "find_installed", find)
    argv = ("interpreters", repository, "--cache-dir", tmp_path)
    lines = printed(capsys, *argv, code=1).splitlines()
    assert [line.split()[:2] for line in lines] == [["3.9", "3.9.1"], ["3.10", "missing"], ["3.12", "3.12.1"]]
    assert "uv python install 3.10" in lines[1]
    (repository / "py312.toml").write_text("fetch-interpreters = true\n" + PLAN)
    assert "downloads it with uv" in printed(capsys, *argv)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("test", []),
        ("test --services a b,c d", ["--py312-services=a,b,c,d"]),
        ("test --stage 2 -- -x --lf", ["--py312-stage=2", "-x", "--lf"]),
        ("test --plan other.toml", ["--py312-plan=other.toml"]),
    ],
)
def test_the_gate_can_be_run_as_a_command(monkeypatch: pytest.MonkeyPatch, line: str, expected: list[str]) -> None:
    """``test --services a b c``, as in older scripts."""
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, argv: became.append(argv))
    main(line.split())
    assert became == [[sys.executable, "-m", "pytest", "--py312", "-o", "filterwarnings=", *expected]]


def test_the_gate_runs_in_the_given_folder(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr("os.execv", lambda program, argv: None)
    main(["test", "services/api"])
    assert Path.cwd() == repository / "services" / "api"


def test_only_the_gate_accepts_arguments_of_pytest(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not an argument of this command" in printed(capsys, "inventory", repository, "--", "-x", code=4)
    assert "not both" in printed(capsys, "test", repository, "--plan", "x", code=4)


def test_a_line_of_a_rollout_does_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Reasons contain answers of services: their control characters are escaped, and lines stay lines."""
    assert escape_line("  user: \x1b[2Jgone\x07\u202e é\n") == "  user: gone\\x07\\u202e é\n"
    assert escape_line("a\r\n") == "a\n"
    log("first \x1b]0;title\x07\nsecond\x9b1m")
    assert capsys.readouterr().err == "first \nsecond\n"


@pytest.mark.parametrize(
    "line",
    [
        "deploy --stage 1",
        "rollback --stage 1",
        "recover",
        "sample --stage 1",
        "abort --stage 1 --reason x",
        "promote --stage 1 --reason x",
        "drill --stage 1",
    ],
)
def test_commands_that_may_wait_for_long_show_what_they_do(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless they are not to, and no other command does."""
    shown: list[object] = []

    def note(environ: object) -> AbstractContextManager[None]:
        shown.append(environ)
        return nullcontext()

    monkeypatch.setattr("pytest_py312.core.progress.display.progress_on_stderr", note)
    monkeypatch.setattr("pytest_py312.cli.command.RolloutCommand.load", lambda self: lambda *_: ("", 0))
    (tmp_path / "py312.toml").write_text('target = "3.12"\n')
    place = ["--plan", str(tmp_path / "py312.toml")]
    assert main([*line.split(), *place, "--no-progress"]) == 0
    assert main(["status", *place]) == 0
    assert shown == []
    assert main([*line.split(), *place]) == 0
    assert shown == [os.environ]
