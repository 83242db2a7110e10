"""The recipes of docs/how-to/ci.md: their files are valid, and their commands run in a clean clone of a small fleet."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_py312.cli.main import main, parse_arguments
from tests.integration.cloned_fleets import git
from tests.plugin.gate_helpers import REAL_FLEET
from tests.support.fakes import service_tree

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"<!-- recipe: ([a-z-]+) -->\n```[a-z]+\n(.*?)```", PAGE, re.DOTALL))
FLEET = REAL_FLEET | {"py312.toml": f'runner = "local"\n{REAL_FLEET["py312.toml"]}'}
"""auth-service in stage 1 is ready, user-service in stage 2 is not; there is no stage 3."""


def commands_in(recipe: str) -> list[str]:
    """Return what a recipe runs in a shell."""
    if recipe == "jenkins":
        return re.findall(r"sh '([^']+)'", RECIPES[recipe])
    document: dict[str, Any] = yaml.safe_load(RECIPES[recipe])
    if recipe == "azure":
        return [step["script"] for step in document["steps"] if "script" in step]
    return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clean clone of the fleet."""
    origin = service_tree(tmp_path / "origin", FLEET | {".gitignore": ".py312/\n.tox/\n"})
    git(origin, "init", "-q")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "first")
    git(tmp_path, "clone", "-q", str(origin), str(tmp_path / "clone"))
    return tmp_path / "clone"


def variables(**more: str) -> dict[str, str]:
    """Return the environment of a job: the programs of this environment are installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_", "CI"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", **more}


def run(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder, env=variables(**more), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


# ---- the files


def checked_by_schema(schema: str, text: str, folder: Path) -> str:
    file = folder / "file.yml"
    file.write_text(text, encoding="utf-8")
    options = ["--builtin-schema", schema, "--regex-variant", "nonunicode"]
    options += ["--data-transform", "azure-pipelines"] if "azure" in schema else []
    command = [sys.executable, "-m", "check_jsonschema", *options, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "recipe"),
    [
        ("vendor.github-workflows", "github"),
        ("vendor.github-workflows", "action"),
        ("vendor.github-workflows", "soak"),
        ("vendor.azure-pipelines", "azure"),
    ],
)
def test_a_file_is_valid_by_its_published_schema(schema: str, recipe: str, tmp_path: Path) -> None:
    assert checked_by_schema(schema, RECIPES[recipe], tmp_path) == ""


def test_the_action_is_valid_by_its_published_schema(tmp_path: Path) -> None:
    assert checked_by_schema("vendor.github-actions", (ROOT / "action.yml").read_text(encoding="utf-8"), tmp_path) == ""


def test_the_hook_is_one_of_pre_commit() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")]

    assert subprocess.run(command, check=False, timeout=120).returncode == 0


def test_the_workflow_is_the_one_that_is_emitted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "github", "--by-stage", "--stage=1,2,3", "--sarif", "--comment"]) == 0

    assert capsys.readouterr().out == RECIPES["github"]


def test_the_action_has_the_inputs_that_the_page_names() -> None:
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    named = re.search(r"Its inputs are (.*?)\(", PAGE, re.DOTALL)
    used = yaml.safe_load(RECIPES["action"])["jobs"]["py312"]["steps"][1]["with"]

    assert named is not None
    assert re.findall(r"`([a-z-]+)`", named[1]) == list(inputs)
    assert set(used) <= set(inputs)


def test_every_recipe_is_tested() -> None:
    assert sorted(RECIPES) == ["action", "azure", "github", "jenkins", "pre-commit", "soak", "tox"]


# ---- the commands


def without_installation(commands: list[str]) -> list[str]:
    assert "pip install pytest-py312" in commands[0]
    return commands[1:]


def stages_run(commands: list[str], clone: Path, variable: str) -> Iterator[int]:
    """Yield the exit status of the command that checks a stage, for stages 1 and 2."""
    check = next(command for command in without_installation(commands) if "--py312-stage" in command)
    for stage in ("1", "2"):
        yield run(check.replace(variable, stage).replace(".py312/venv/bin/", ""), clone).returncode


@pytest.mark.network
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("recipe", "report"), [("jenkins", "report-1.html"), ("azure", "report.html")])
def test_a_job_of_a_stage_is_green_only_if_it_is_proven(recipe: str, report: str, clone: Path) -> None:
    assert list(stages_run(commands_in(recipe), clone, "$STAGE")) == [0, 1]
    assert (clone / report).is_file()


@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_workflow_of_github_from_its_jobs_to_the_comment(clone: Path, tmp_path: Path) -> None:
    """Each job of a stage has its reports in a folder of an artifact; the comment is made of them."""
    commands = commands_in("github")
    last = tmp_path / "last"
    statuses = []
    for stage in ("1", "2"):
        check = commands[1].replace("${{ matrix.stage }}", stage)
        summary = tmp_path / f"summary-{stage}"
        statuses.append(run(check, clone, GITHUB_STEP_SUMMARY=str(summary)).returncode)
        artifact = last / f"py312-stage-{stage}"
        artifact.mkdir(parents=True)
        for file in ("report.xml", "report.html", "report.json", "report.md", "report.sarif"):
            shutil.move(clone / file, artifact / file)
        assert summary.read_text(encoding="utf-8") == (artifact / "report.md").read_text(encoding="utf-8")
    assert statuses == [0, 1]

    gh = service_tree(tmp_path, {"bin/gh": '#!/bin/sh\nprintf "%s\\n" "$@" > arguments\n'}) / "bin" / "gh"
    gh.chmod(0o755)
    path = f"{gh.parent}{os.pathsep}{variables()['PATH']}"
    for command in commands[2:5]:
        assert run(command, last, PATH=path, NUMBER="7").returncode == 0
    comment = (last / "comment.md").read_text(encoding="utf-8")
    assert comment.count("# Python 3.12: ") == 2
    assert "| auth-service | 1 |" in comment
    assert (last / "arguments").read_text().split()[:3] == ["pr", "comment", "7"]
    assert [run(commands[5], last, RESULT=result).returncode for result in ("success", "failure", "skipped")] == [
        0,
        1,
        1,
    ]


@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_action_runs_what_its_inputs_say(clone: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    install, check = (step["run"] for step in action["runs"]["steps"] if "run" in step)
    inputs = {"STAGE": "1", "SERVICES": "", "ARGUMENTS": "--py312-runner=local  -k auth-service"}

    assert install == 'python -m pip install "$GITHUB_ACTION_PATH"'
    assert run(check, clone, **inputs).returncode == 0
    assert all((clone / f"report.{ending}").is_file() for ending in ("xml", "html", "json", "md", "sarif"))
    assert run(check, clone, STAGE="", SERVICES="user-service", ARGUMENTS="").returncode == 1


@pytest.mark.network
@pytest.mark.timeout(900)
def test_tox_runs_stages_side_by_side(clone: Path) -> None:
    """With the programs of this environment, as the package need not be on the index."""
    text = RECIPES["tox"].replace("deps = pytest-py312\n", "allowlist_externals = pytest\n")
    (clone / "tox.ini").write_text(text, encoding="utf-8")

    done = run("python -m tox -q -p all -e stage1,stage2", clone)

    assert done.returncode != 0
    assert re.search(r"stage1: OK", done.stdout), done.stdout + done.stderr
    assert re.search(r"stage2: FAIL", done.stdout), done.stdout


@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_hook_checks_the_services_that_changed(clone: Path) -> None:
    """By pre-commit itself, with the program of this environment."""
    hook = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))[0]
    assert yaml.safe_load(RECIPES["pre-commit"])["repos"][0]["hooks"] == [{"id": hook["id"]}]
    config = {"repos": [{"repo": "local", "hooks": [{**hook, "language": "unsupported"}]}]}
    (clone / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    statuses, outputs = [], []
    for file, text in (
        ("README.md", "new"),
        ("services/auth-service/more.py", "A = 1\n"),
        ("services/user-service/x.py", ""),
    ):
        service_tree(clone, {file: text})
        git(clone, "add", "-A")
        done = run("python -m pre_commit run --verbose", clone, PRE_COMMIT_HOME=str(clone.parent / "pre-commit"))
        statuses.append(done.returncode)
        outputs.append(done.stdout)
        git(clone, "commit", "-qm", file)
    assert statuses == [0, 0, 1], outputs
    assert "none of these files belongs to a service: nothing was checked" in outputs[0]
    assert ["services/auth-service" in output for output in outputs] == [False, True, False]
    assert ["services/user-service" in output for output in outputs] == [False, False, True]


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (75, 0), (1, 1), (4, 1)])
def test_a_sample_that_is_not_over_does_not_fail_the_job(tmp_path: Path, code: int, expected: int) -> None:
    command = commands_in("soak")[1]
    program = service_tree(tmp_path, {"bin/py312": f"#!/bin/sh\nexit {code}\n"}) / "bin" / "py312"
    program.chmod(0o755)

    assert run(command, tmp_path, PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}").returncode == expected


def test_the_commands_of_the_soak_are_commands() -> None:
    lines = [*commands_in("soak")[1:], *re.findall(r"^py312 .*$|(?<=&& )py312 .*$", PAGE, re.MULTILINE)]
    words = [re.sub(r" \|\| .*| > .*|\$\(.*\)", "", line).split()[1:] for line in lines]

    assert {parse_arguments(line).command for line in words} == {"sample", "deploy", "emit", "test"}
