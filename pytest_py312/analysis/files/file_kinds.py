"""Recognize by its path whether a Python file runs in production, belongs to tests, or is a vendored copy."""

import re

from pytest_py312.repository.tree import VENDORED_FOLDERS

TEST_FOLDERS = frozenset({"test", "tests"})
_TEST_MODULE = re.compile(r"conftest|tests|test_.*|.*_tests?")
_VENDORED_FOLDERS = VENDORED_FOLDERS | {"extern", "externals", "_externals"}
"""Below installed distributions, these names have the same meaning."""
NON_RUNTIME_FOLDERS = frozenset(
    {"alembic", "bench", "benchmark", "benchmarks", "ci", "demo", "demos", "deploy", "deployment", "dev", "doc", "docs",
     "example", "examples", "hack", "k8s", "migrations", "notebooks", "sample", "samples", "script", "scripts", "tool",
     "tools", "utils_dev"}
)  # fmt: skip
"""Folders of programs that do not run in production."""
TOOL_FILES = frozenset({"conftest.py", "fabfile.py", "locustfile.py", "noxfile.py", "setup.py", "tasks.py"})


class ModuleKind:
    """Which part of a distribution a module belongs to."""

    OWN = ""
    TESTS = "tests"
    """Tests that are installed with it."""
    VENDORED = "vendored"
    """A copy of another project."""


def module_kind(path: str) -> str:
    """Return whether a file belongs to the distribution itself, to its tests, or to a vendored copy."""
    *folders, name = path.split("/")
    if not _VENDORED_FOLDERS.isdisjoint(folders):
        return ModuleKind.VENDORED
    if not TEST_FOLDERS.isdisjoint(folders) or _TEST_MODULE.fullmatch(name.removesuffix(".py")):
        return ModuleKind.TESTS
    return ModuleKind.OWN


def is_test(path: str) -> bool:
    """Return whether a file of a service is part of its tests."""
    return module_kind(path) == ModuleKind.TESTS or path.rpartition("/")[2] == "conftest.py"


def is_runtime_file(path: str, service: str) -> bool:
    """Return whether a file runs in production, judged by its name and its folders."""
    relative_path = path if service == "." else path.removeprefix(f"{service}/")
    *folders, name = relative_path.split("/")
    return not is_test(relative_path) and name not in TOOL_FILES and NON_RUNTIME_FOLDERS.isdisjoint(folders)
