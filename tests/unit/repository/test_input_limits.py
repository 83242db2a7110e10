"""Limits of input: what exceeds one is reported, and never takes time that grows faster than the text.

What is measured is the work or the finding of the limit. ``tests/benchmarks/input_growth.py`` measures time.
"""

from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.declarations.declaration import DECLARATION_LIMIT, DeclarationRole, VersionDeclaration
from pytest_py312.repository.declarations.reader import LENGTH_LIMIT, read_declarations
from pytest_py312.repository.formats import dockerfile, requirements_file, version_ranges, yaml
from pytest_py312.repository.formats.commands.shell import expand_words, read_shell
from pytest_py312.repository.formats.setuptools import MAX_MODULE_LENGTH, read_setup_py_dependencies
from pytest_py312.repository.formats.text_positions import MAX_LENGTH
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.plan.loader import default_plan
from pytest_py312.repository.recipes.suites import workflow_jobs
from pytest_py312.repository.recipes.suites.gitlab_jobs import read_gitlab_jobs
from pytest_py312.repository.services.discovery import discover


def unknown_reasons(text: str, path: str) -> list[str]:
    """Return why declarations of the text are unknown."""
    found: tuple[VersionDeclaration, ...] = read_declarations(text, path)
    return [declaration.unknown_reason for declaration in found if declaration.role is DeclarationRole.UNKNOWN]


@pytest.mark.parametrize("key", ["a." * 20_000 + "a = 1", "[" + "a." * 20_000 + "a]", '"a" . ' * 100 + "b = 1"])
def test_a_key_of_many_parts_is_not_parsed(key: str) -> None:
    toml = read_toml(f"x = 1\n{key}\n")
    assert (toml.data, toml.parse_error_line) == ({}, 2)
    assert "a dotted key has more than 64 parts" in toml.parse_error


@pytest.mark.parametrize(
    "constraint", ["||" * 4_000, "^3.9 || " * 4_000 + "3.9", ">=3.9" + "," * 20_000, ">=3.9," * 1_000, "1." * 20_000]
)
def test_a_long_version_constraint_is_not_read(constraint: str) -> None:
    with pytest.raises(version_ranges.Untranslatable, match="more than 1000 characters"):
        version_ranges.to_specifier(constraint)
    assert not version_ranges.is_readable_range(constraint)
    assert not version_ranges.range_includes(constraint, Interpreter(3, 9))
    metadata = f'[project]\nname = "a"\nversion = "1"\nrequires-python = "{constraint}"\n'
    assert len(unknown_reasons(metadata, "pyproject.toml")) == 1


# ---- requirements


def problems_of(text: str) -> list[str]:
    return [problem.message for problem in requirements_file.read_requirements(text, "requirements.txt").problems]


@pytest.mark.parametrize(
    ("text", "count", "noun"),
    [
        ("".join(f"a{number}==1\n" for number in range(6_000)), 5_000, "requirements"),
        ("".join(f"-e ./a{number}\n" for number in range(600)), 500, "local paths"),
        ("".join(f"-r a{number}.txt\n" for number in range(600)), 500, "included files"),
        ("".join(f"--unknown-{number}\n" for number in range(600)), 500, "lines that cannot be read"),
    ],
)
def test_long_lists_of_requirements_end_with_a_problem(text: str, count: int, noun: str) -> None:
    assert problems_of(text)[-1] == f"It has more than {count} {noun}; the rest is not checked."


def test_a_long_marker_is_not_parsed() -> None:
    marker = " and ".join(["python_version > '3'"] * 1_000)
    assert problems_of(f"a==1; {marker}\nb==1\n") == ["It is longer than 10000 characters, so it is not checked."]


def test_a_long_setup_py_has_a_problem_instead_of_no_requirements() -> None:
    text = "from setuptools import setup\nsetup(name='a', install_requires=['b'])\n" + "x = 1\n" * MAX_MODULE_LENGTH
    (table,) = read_setup_py_dependencies(text, "setup.py")
    assert [problem.message for problem in table.requirements.problems] == [
        "It is longer than 200000 characters, so it is not checked."
    ]


# ---- Dockerfiles


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM python:3.9\n" + "RUN true\n" * 3_000, "It has more than 2000 instructions; the rest is not checked."),
        ("FROM python:3.9 AS a\n" * 200, "It has more than 100 stages; the rest is not checked."),
        ("FROM python:3.9\nRUN a \\\n" + "  b \\\n" * 30_000, "It has more than 20000 lines; the rest is not checked."),
    ],
)
def test_a_dockerfile_beyond_a_limit_says_so(text: str, reason: str) -> None:
    assert dockerfile.read_dockerfile(text, "Dockerfile").problem == reason
    assert reason in unknown_reasons(text, "Dockerfile")


def test_an_ordinary_dockerfile_has_no_problem() -> None:
    assert dockerfile.read_dockerfile("FROM python:3.9\nRUN pip install a\n", "Dockerfile").problem == ""


def test_arguments_that_double_each_other_stay_short() -> None:
    text = "ARG A0=x\n" + "".join(f"ARG A{n + 1}=$A{n}$A{n}\n" for n in range(60)) + "FROM python:$A60\n"
    found = dockerfile.read_dockerfile(text, "Dockerfile")
    assert max(len(value) for _, value in found.arguments) == MAX_LENGTH


def test_variables_of_scripts_stay_short() -> None:
    (command,) = read_shell("pip install " + "$A" * 50_000)
    assert [len(word) for word in expand_words(command.words, {"A": "x" * 4_000})] == [3, 7, MAX_LENGTH]


def test_here_documents_that_do_not_end_are_looked_up_once() -> None:
    text = "FROM python:3.9\n" + "RUN <<EOF\n" * 1_000 + "RUN cat" + " <<A" * 10_000 + "\n"
    assert len(dockerfile.read_dockerfile(text, "Dockerfile").instructions) == 1_002


def test_stages_that_build_on_each_other_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    chain = "".join(f"FROM s{n} AS s{n + 1}\nCOPY --from=s{n} / /\n" for n in range(3_000))
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc/Dockerfile").write_text(f"FROM python:3.9 AS s0\n{chain}")
    (tmp_path / "svc/requirements.txt").write_text("a\n")
    assert [service.name for service in discover(default_plan(tmp_path)).services] == ["svc"]


# ---- other files


def test_more_versions_than_a_file_can_have_are_reported() -> None:
    many = "[tox]\nenvlist =\n" + "".join(f"    py39-{number}\n" for number in range(DECLARATION_LIMIT + 10))
    assert unknown_reasons(many, "tox.ini") == ["It has more than 2000 versions; the rest is not checked."]


@pytest.mark.parametrize("path", ["setup.cfg", "tox.ini", "Makefile", "scripts/run.sh", "Dockerfile", "Jenkinsfile"])
def test_a_file_that_is_too_long_is_reported(path: str) -> None:
    (reason,) = unknown_reasons("python3.9 \n" * (LENGTH_LIMIT // 10), path)
    assert reason == "It is longer than 200000 characters."


def test_aliases_are_not_expanded() -> None:
    """The billion laughs: nodes are shared, so the work is that of the text."""
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60))
    (root,) = yaml.parse_documents(laughs)
    assert isinstance(root, yaml.YamlMapping)
    assert len(root.pairs) == 61


def test_commands_that_call_each_other_are_followed_within_a_limit() -> None:
    calls = ", ".join(["again"] * 150)
    text = f"version: 2.1\ncommands:\n  again:\n    steps: [{calls}]\njobs:\n  test:\n    steps: [{calls}]\n"
    (job,) = workflow_jobs.read_circleci_jobs(text)
    assert job.steps == ()
    visits = iter(range(workflow_jobs.VISIT_LIMIT))
    (root,) = yaml.parse_documents(text)
    commands = yaml.child_of(root, "commands")
    assert (
        list(
            workflow_jobs._circleci_steps(
                text, yaml.child_of(yaml.child_of(root, "jobs"), "test"), commands, ".", visits
            )
        )
        == []
    )
    assert next(visits, None) is None


def test_jobs_that_extend_each_other_are_followed_within_a_limit() -> None:
    text = "a:\n  extends: [a, a, a, a, a, a, a, a]\nb:\n  extends: [a, a, a]\n  script: [pytest]\n"
    assert [job.name for job in read_gitlab_jobs({".gitlab-ci.yml": text})] == ["b"]


def test_a_matrix_of_millions_of_cells_is_read_by_its_rows() -> None:
    rows = "".join(f"        m{row}: [{', '.join(f'v{row}-{n}' for n in range(50))}]\n" for row in range(6))
    text = f"jobs:\n  a:\n    strategy:\n      matrix:\n{rows}    steps: [run: pytest]\n"
    (job,) = workflow_jobs.read_workflow_jobs(text)
    assert sum(len(values) for values in job.matrix.values()) == 300
