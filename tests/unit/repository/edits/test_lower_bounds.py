"""The oldest Python that a project declares to support."""

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.edits.version_ranges import oldest_supported
from pytest_py312.repository.edits.version_ranges import tests_lower_bound as is_kept


@pytest.mark.parametrize(
    ("path", "text", "oldest"),
    [
        ("pyproject.toml", '[project]\nrequires-python = ">=3.8"\n', Interpreter(3, 8)),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.9"\n', Interpreter(3, 9)),
        ("setup.py", 'setup(python_requires="!=3.9.*,>=3.8,<4")\n', Interpreter(3, 8)),
        ("pyproject.toml", '[project]\nrequires-python = "<4"\n', None),  # no lower bound
        (
            "pants.toml",
            '[python]\ninterpreter_constraints = [">=3.8,<3.11"]\n',
            None,
        ),
        ("Dockerfile", "FROM python:3.9\n", None),
    ],
)
def test_the_lower_bound_of_the_metadata(path: str, text: str, oldest: Interpreter | None) -> None:
    declarations = read_declarations(text, path)
    newer = read_declarations("python-version: [3.8, 3.11]\n", ".github/workflows/a.yml")
    assert oldest_supported((*declarations, *newer)) == oldest
    same = read_declarations("python-version: 3.8\n", ".github/workflows/a.yml")
    assert oldest_supported((*declarations, *same)) is None  # the only test of all


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".github/workflows/a.yml", "python-version: 3.8\n", True),
        (".github/workflows/a.yml", "python-version: 3.9\n", False),
        (".github/workflows/a.yml", "python-version: [3.8]\n", False),  # a matrix gets the target as well
        (".pre-commit-config.yaml", "default_language_version: {python: python3.8}\n", True),
        ("Dockerfile", "FROM python:3.8\n", False),
        (".python-version", "3.8\n", False),
    ],
)
def test_only_jobs_and_tools_test_it(path: str, text: str, expected: bool) -> None:
    (declaration,) = read_declarations(text, path)
    assert is_kept(declaration, Interpreter(3, 8), Interpreter(3, 11)) is expected
    assert not is_kept(declaration, Interpreter(3, 8), Interpreter(3, 8))
    assert not is_kept(declaration, None, Interpreter(3, 11))
