"""``py312 init``: a first plan, which replaces nothing unless asked to."""

from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from tests.support.fakes import service_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return service_tree(tmp_path, {".git/HEAD": "", "auth/requirements.txt": "", "auth/Dockerfile": "FROM python:3.10"})


def test_a_plan_is_written_and_what_is_unknown_is_reported(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(root)]) == 0

    output = capsys.readouterr()
    assert output.out == ""
    assert "py312.toml: 1 service in 1 stage.\nNot determined, please check:\n" in output.err
    assert main(["inventory", str(root), "--format=csv"]) == 0
    assert "auth,auth,1," in capsys.readouterr().out


def test_the_plan_can_be_printed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(root), "--output", "-", "--target", "3.13"]) == 0

    assert 'target = "3.13"' in capsys.readouterr().out
    assert not (root / "py312.toml").exists()


def test_a_plan_is_not_replaced_unless_asked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "py312.toml"
    file.write_text("reruns = 1\n", encoding="utf-8")

    assert main(["init", str(root)]) == 4
    assert "py312.toml exists; --force replaces it, --output=- only prints" in capsys.readouterr().err
    assert main(["init", str(root), f"--output={file}"]) == 4
    assert file.read_text(encoding="utf-8") == "reruns = 1\n"

    assert main(["init", str(root), "--force"]) == 0
    assert "[[stage]]" in file.read_text(encoding="utf-8")


def test_a_second_plan_beside_that_of_pyproject_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "pyproject.toml").write_text("[tool.pytest-py312]\nreruns = 1\n", encoding="utf-8")

    assert main(["init", str(root), "--force"]) == 4
    assert "pyproject.toml has a plan already" in capsys.readouterr().err
    assert not (root / "py312.toml").exists()


def test_a_folder_below_a_plan_gets_one_only_if_asked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "py312.toml").write_text("reruns = 1\n", encoding="utf-8")

    assert main(["init", str(root / "auth")]) == 4
    assert "is the plan of this folder; --force writes another one" in capsys.readouterr().err
    assert main(["init", str(root / "auth"), "--force"]) == 0


def test_a_target_that_is_no_version_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(root), "--target=new"]) == 4
    assert "--target: 'new' is not a Python version like 3.12" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(root), f"--output={root}/none/py312.toml"]) == 4
    assert "could not be written: " in capsys.readouterr().err
