"""Mistakes of the user: one line that names the mistake and its place, exit code 4, no traceback."""

import pytest

from tests.plugin.gate_helpers import PLAN, Faked, Real
from tests.support.fakes import service_tree


def mistake(faked: Faked, *arguments: str) -> str:
    """The one line that a wrong command line is answered with."""
    result = faked.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    everything = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in everything
    assert "INTERNALERROR" not in everything
    lines = [line for line in result.errlines if line.strip()]
    assert len(lines) == 1, lines
    assert lines[0].startswith("ERROR: ")
    return lines[0].removeprefix("ERROR: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--py312-stage=7"], "stage 7 does not exist; the plan has 1, 2"),
        (["--py312-stage=two"], "--py312-stage=two: a stage is a number"),
        (["--py312-stage=-1"], "--py312-stage=-1: a stage is a number"),
        (["--py312-stage=" + "9" * 5000], "9999 ...: a stage is a number"),
        (["--py312", "--py312-jobs=" + "9" * 5000], "9999 ...: expected a number of at least 1"),
        (["--py312-services=usr-service"], 'perhaps you meant "user-service"'),
        (["--py312-services=nothing/*"], '"nothing/*" matches no service'),
        (["--py312-stage=1", "--py312-services=user-service"], "user-service is in stage 2"),
        (["--py312-python=2.7"], "--py312-python: '2.7' is not a Python version"),
        (["--py312-python=latest"], "--py312-python: 'latest' is not a Python version"),
        (["--py312-python=3.8"], "no chosen service runs on Python 3.8"),
        (["--py312-runner=dokcer"], 'perhaps you meant "docker"'),
        (["--py312-isolation=none"], "--py312-isolation=none: expected one of cell, interpreter"),
        (["--py312", "-m", "py312_suit"], 'the gate has no marker py312_suit, perhaps you meant "py312_suite"'),
        (["--py312", "-m", "smoke or not py312_souce"], 'perhaps you meant "py312_source"'),
        (["--py312-jobs=0"], "--py312-jobs=0"),
        (["--py312-jobs=many"], "--py312-jobs=many"),
        (["--py312-plan=nowhere.toml"], "nowhere.toml: there is no such plan file"),
        (["--py312-report=all.pdf"], "--py312-report=all.pdf"),
        (["--py312-report=all.pyperf.json"], "has to be one of .html, .md, .sarif.json"),
        (["--py312-report=nowhere/all.json"], "there is no folder"),
        (["--py312-report=folder.json"], "folder.json"),
        (["--py312-cache-dir=py312.toml"], "py312.toml"),
        (["services/nowhere"], "services/nowhere: there is no such file or folder"),
        (["docs"], "no chosen service is at"),
        (["services/user-service::py3.12::suit"], "there is no such item"),
        (["services/user-service::py3.8"], "there is no such item"),
        (["services/user-service::py3.12::suite::test_name"], "there is no such item"),
    ],
)
def test_on_the_command_line(faked: Faked, arguments: list[str], says: str) -> None:
    faked.root.joinpath("docs").mkdir()
    faked.root.joinpath("folder.json").mkdir()
    assert says in mistake(faked, *arguments)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("target = 3.12\n", "py312.toml:1"),
        ("target = \n", "py312.toml:1: is not valid TOML"),
        ('tarhet = "3.12"\n', 'perhaps you meant "target"'),
        (PLAN + '[[stage]]\nnumber = 3\nservices = ["usr-service"]\n', 'perhaps you meant "user-service"'),
        (PLAN + '[service.nobody]\nbaseline = "3.9"\n', "nobody"),
        (
            PLAN + '[[waiver]]\nservice = "user-service"\ncode = "PY401"\nreason = "r"\nowner = "o"\n'
            "until = 2020-01-31\n",
            "2020-01-31",
        ),
        ('services = ["nowhere/*"]\n', '"nowhere/*" fits no folder'),
    ],
)
def test_in_the_plan(faked: Faked, plan: str, says: str) -> None:
    faked.root.joinpath("py312.toml").write_text(plan)
    message = mistake(faked)
    assert message.startswith("py312.toml")
    assert says in message


def test_paths_of_two_plans(faked: Faked) -> None:
    service_tree(faked.root / "services/user-service", {"py312.toml": 'target = "3.12"\n'})
    message = mistake(faked, "services/auth-service", "services/user-service")
    assert "different plans" in message


def test_two_plans_in_one_folder(faked: Faked) -> None:
    faked.root.joinpath("pyproject.toml").write_text('[tool.pytest-py312]\ntarget = "3.12"\n')
    assert "second plan" in mistake(faked)


def test_a_repository_without_services(faked: Faked, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    faked.pytester.chdir()
    assert "no Python service was found" in mistake(faked, str(empty), f"--rootdir={empty}")


@pytest.mark.parametrize("options", [[], ["-q"], ["--no-header"]])
def test_a_runner_that_cannot_work(real: Real, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    """It is known before the first item, with a header or without; a mere list does not ask for it."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{real.root}/no-engine.sock")
    run = real.run("--py312-runner=docker", *options)
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --py312-runner=docker: no Docker engine answers. Start one" in run.err
    assert "Traceback" not in run.out + run.err
    assert "INTERNALERROR" not in run.out + run.err
    assert real.run("--py312-runner=docker", "--collect-only", *options).code == pytest.ExitCode.OK


def test_a_state_file_that_cannot_be_used(real: Real) -> None:
    real.root.joinpath(".py312").write_text("in the way")
    run = real.run()
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "the state file cannot be used" in run.err
    assert "Traceback" not in run.out + run.err
    assert "INTERNALERROR" not in run.out + run.err


def test_the_plan_is_checked_against_the_fleet_once(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    monkeypatch.setattr(
        "pytest_py312.repository.services.discovery.check_against_fleet", lambda plan, _: checked.append(plan)
    )
    faked.run("--collect-only", "-q")
    assert len(checked) == 1
