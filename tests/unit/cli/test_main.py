"""``py312``, as it is typed."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from pytest_py312 import __version__
from pytest_py312.cli import main as cli
from pytest_py312.cli.main import main
from pytest_py312.core.directories import default_cache
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.runner import CellUnavailable

PLAN = 'target = "3.12"\ninterpreters = ["3.9", "3.10", "3.12"]\n[[stage]]\nnumber = 1\nservices = ["api"]\n'


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other run of this machine gets in the way."""
    monkeypatch.setattr("pytest_py312.gate.run.cache_pruning.live_runs", list)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two services, of which the plan knows one."""
    root = tmp_path / "repository"
    for name, version in (("api", "3.9"), ("worker", "3.10")):
        (root / "services" / name).mkdir(parents=True)
        (root / "services" / name / "requirements.txt").write_text("attrs\n")
        (root / "services" / name / "Dockerfile").write_text(f"FROM python:{version}-slim\n")
    (root / "py312.toml").write_text(PLAN)
    return root


def said(capsys: pytest.CaptureFixture[str], *argv: str | Path, code: int = 0) -> str:
    """What a command prints; its end is checked."""
    assert main([str(word) for word in argv]) == code
    out, err = capsys.readouterr()
    return err if code == 4 else out


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """And that the gate is pytest's."""
    text = said(capsys)
    assert all(command in text for command in cli.COMMANDS)
    assert "pytest --py312" in text


def test_its_version_is_the_plugins(capsys: pytest.CaptureFixture[str]) -> None:
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
def test_a_mistake_is_answered_in_words(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On stderr, with pytest's exit code of a usage error, and without a traceback."""
    text = said(capsys, *argv, *(["--cache-dir", str(tmp_path)] if argv[0] == "cache" else []), code=4)
    assert text.startswith("py312: ")
    assert expected in text
    assert "Traceback" not in text


def test_the_inventory_has_every_form(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same services in each."""
    assert "worker" in said(capsys, "inventory", repository)
    document = json.loads(said(capsys, "inventory", repository, "--format=json"))
    rows = list(csv.DictReader(io.StringIO(said(capsys, "inventory", repository, "--format", "csv"))))
    assert {service["name"]: service["baseline"] for service in document["services"]} == {
        "api": "3.9",
        "worker": "3.10",
    }
    assert [row["name"] for row in rows] == [service["name"] for service in document["services"]]
    assert "| api" in said(capsys, "inventory", repository, "--format=markdown")


def test_the_inventory_of_a_folder_is_what_is_there(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the plan of the repository, which is looked for upwards, and only its own assumptions."""
    document = json.loads(said(capsys, "inventory", repository / "services" / "api", "--format=json"))
    assert [(service["name"], service["stage"]) for service in document["services"]] == [("api", 1)]
    assert not any(text.startswith("worker") for text in document["assumptions"])


def test_a_folder_without_a_service_is_a_mistake(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "docs").mkdir()
    assert "there is no service at" in said(capsys, "inventory", repository / "docs", code=4)


def test_a_plan_with_a_mistake_is_named_with_its_line(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "py312.toml").write_text("target = 3.12\n")
    assert "py312.toml:1: target" in said(capsys, "inventory", repository, code=4)


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1"}])
def test_what_does_not_go_to_a_terminal_has_no_colours(
    environ: dict[str, str], repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert "\x1b" not in said(capsys, "inventory", repository)


@pytest.mark.parametrize(
    ("environ", "coloured"), [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colours_unless_they_are_unwanted(environ: dict[str, str], coloured: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert cli._color(Terminal(), environ) is coloured
    assert not cli._color(io.StringIO(), environ)


def test_the_cache_is_where_it_was_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "cache", "dir", "--cache-dir", tmp_path) == f"{tmp_path}\n"
    assert said(capsys, "cache", "dir").strip() == str(default_cache())


def test_the_cache_tells_its_size_and_is_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 days is asked for, so what is young goes as well."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "a.json").write_text("{}")
    assert "locks                1 entries" in said(capsys, "cache", "--cache-dir", tmp_path)
    assert "removed 0 entries" in said(capsys, "cache", "prune", "--max-size=0", "--cache-dir", tmp_path)
    assert "removed 1 entries" in said(capsys, "cache", "prune", "--older-than=0", "--cache-dir", tmp_path)
    assert list((tmp_path / "locks").iterdir()) == []


def test_the_cache_is_not_pruned_under_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked."""
    monkeypatch.setattr("pytest_py312.gate.run.cache_pruning.live_runs", lambda: ["20261125T000000Z-7-abc"])
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "a.json").write_text("{}")
    assert "has not ended" in said(capsys, "cache", "prune", "--older-than=0", "--cache-dir", tmp_path, code=4)
    assert (tmp_path / "locks" / "a.json").exists()


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("10", 10), ("1KB", 1000), ("1.5KiB", 1536), ("2GiB", 2 * 1024**3), ("1 TB", 10**12)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert cli._bytes(text) == size


def test_interpreters_are_listed_and_missing_ones_explained(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line each, in the order of versions; the end says whether all are there."""

    def find(interpreter: Interpreter, **_: object) -> InterpreterBuild:
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

    monkeypatch.setattr(cli, "find_local", find)
    argv = ("interpreters", repository, "--cache-dir", tmp_path)
    lines = said(capsys, *argv, code=1).splitlines()
    assert [line.split()[:2] for line in lines] == [["3.9", "3.9.1"], ["3.10", "missing"], ["3.12", "3.12.1"]]
    assert "uv python install 3.10" in lines[1]
    (repository / "py312.toml").write_text("fetch-interpreters = true\n" + PLAN)
    assert "fetches it with uv" in said(capsys, *argv)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("test", []),
        ("test --services a b,c d", ["--py312-services=a,b,c,d"]),
        ("test --stage 2 -- -x --lf", ["--py312-stage=2", "-x", "--lf"]),
        ("test --plan other.toml", ["--py312-plan=other.toml"]),
    ],
)
def test_the_gate_can_be_typed_as_a_command(monkeypatch: pytest.MonkeyPatch, line: str, expected: list[str]) -> None:
    """``test --services a b c``, as older scripts had it."""
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, argv: became.append(argv))
    main(line.split())
    assert became == [[sys.executable, "-m", "pytest", "--py312", *expected]]


def test_the_gate_is_run_where_the_path_leads(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr("os.execv", lambda program, argv: None)
    main(["test", "services/api"])
    assert Path.cwd() == repository / "services" / "api"


def test_only_the_gate_has_words_of_another_program(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "means nothing here" in said(capsys, "inventory", repository, "--", "-x", code=4)
    assert "not both" in said(capsys, "test", repository, "--plan", "x", code=4)
