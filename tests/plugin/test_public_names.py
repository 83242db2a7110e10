"""The names that `pytest_py312` gives to authors of checks."""

import subprocess
import sys
from pathlib import Path

import pytest

import pytest_py312
from tests.plugin.gate_helpers import Real

PAGE = Path(__file__).parents[2] / "docs/reference/plugin-api.md"


@pytest.mark.parametrize("name", [name for name in pytest_py312.__all__ if name != "__version__"])
def test_a_public_name_is_the_class_of_that_name(name: str) -> None:
    assert getattr(pytest_py312, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_py312' has no attribute 'Chek'"):
        _ = pytest_py312.Chek


def test_importing_the_package_imports_no_other_module_of_it() -> None:
    code = "import sys, pytest_py312; print([name for name in sys.modules if name.startswith('pytest_py312.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.timeout(120)
def test_the_check_of_the_page_runs(real: Real) -> None:
    """As it is printed there, in the conftest.py of a repository."""
    example = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    real.root.joinpath("conftest.py").write_text(example, encoding="utf-8")
    real.root.joinpath("services/auth-service/OWNERS").write_text("identity\n", encoding="utf-8")
    run = real.run("-m", "py312_owner", "--py312-no-cache")
    assert run.code == pytest.ExitCode.TESTS_FAILED, run.out + run.err
    assert run.statuses == {"services/auth-service::owner": "passed", "services/user-service::owner": "failed"}
    assert "OWN001 user-service has no owner" in run.out
