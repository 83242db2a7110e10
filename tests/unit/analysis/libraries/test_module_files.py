"""Which files of a distribution are modules, and of what part of it."""

from pathlib import Path

import pytest

from pytest_py312.analysis.libraries.module_files import classify, list_files, part_of
from pytest_py312.analysis.libraries.summary import Part


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("nose/core.py", Part.OWN),
        ("nose/test.py", Part.OWN),
        ("werkzeug/testing/client.py", Part.OWN),
        ("numpy/tests/test_scripts.py", Part.TESTS),
        ("twisted/test/proto_helpers.py", Part.TESTS),
        ("pandas/conftest.py", Part.TESTS),
        ("redis/test_client.py", Part.TESTS),
        ("pip/_vendor/six.py", Part.VENDORED),
        ("botocore/vendored/requests/tests/test_it.py", Part.VENDORED),
        ("pkg_resources/extern/packaging.py", Part.VENDORED),
    ],
)
def test_parts_are_told_apart_by_their_folders(path: str, part: str) -> None:
    assert part_of(path) == part


def test_a_module_is_what_can_be_imported() -> None:
    found = classify(
        ["six.py", "yaml/__init__.py", "yaml/_yaml.cpython-312-x86_64-linux-gnu.so", "yaml/py.typed", "yaml/not-one.py"]
    )
    assert [(one.name, one.path) for one in found.modules] == [("six", "six.py"), ("yaml", "yaml/__init__.py")]
    assert found.compiled == ("yaml._yaml",)


def test_only_folders_that_can_be_packages_are_looked_into(tmp_path: Path) -> None:
    for path in ("a/b.py", "a-1.0.dist-info/METADATA", "a/__pycache__/b.pyc", "a/project-template/setup.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "elsewhere").symlink_to("/usr", target_is_directory=True)
    assert list_files(tmp_path) == ["a/b.py"]
