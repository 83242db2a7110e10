"""Which files run in production, and which are tests or copies of other projects."""

import pytest

from pytest_py312.analysis.files.file_kinds import ModuleKind, is_runtime_file, module_kind


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("nose/core.py", ModuleKind.OWN),
        ("nose/test.py", ModuleKind.OWN),
        ("werkzeug/testing/client.py", ModuleKind.OWN),
        ("numpy/tests/test_scripts.py", ModuleKind.TESTS),
        ("twisted/test/proto_helpers.py", ModuleKind.TESTS),
        ("pandas/conftest.py", ModuleKind.TESTS),
        ("redis/test_client.py", ModuleKind.TESTS),
        ("pip/_vendor/six.py", ModuleKind.VENDORED),
        ("botocore/vendored/requests/tests/test_it.py", ModuleKind.VENDORED),
        ("pkg_resources/extern/packaging.py", ModuleKind.VENDORED),
    ],
)
def test_module_kinds_are_recognized_by_their_folders(path: str, part: str) -> None:
    assert module_kind(path) == part


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("services/a/app/main.py", True),
        ("services/a/test_main.py", False),
        ("services/a/tests/helpers.py", False),
        ("services/a/scripts/seed.py", False),
        ("services/a/setup.py", False),
        ("services/a/conftest.py", False),
        ("services/a/app/tasks/clean.py", True),
    ],
)
def test_tests_and_tools_are_not_run_time_files(path: str, expected: bool) -> None:
    assert is_runtime_file(path, "services/a") is expected
