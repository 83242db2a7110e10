"""Which files of a distribution are modules, and of which kind."""

from pathlib import Path

from pytest_py312.analysis.libraries.summaries.module_files import classify, list_files


def test_a_module_is_what_can_be_imported() -> None:
    files = classify(
        ["six.py", "yaml/__init__.py", "yaml/_yaml.cpython-312-x86_64-linux-gnu.so", "yaml/py.typed", "yaml/not-one.py"]
    )
    assert [(module.name, module.path) for module in files.modules] == [("six", "six.py"), ("yaml", "yaml/__init__.py")]
    assert files.compiled == ("yaml._yaml",)


def test_only_folders_that_can_be_packages_are_looked_into(tmp_path: Path) -> None:
    for path in ("a/b.py", "a-1.0.dist-info/METADATA", "a/__pycache__/b.pyc", "a/project-template/setup.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "elsewhere").symlink_to("/usr", target_is_directory=True)
    assert list_files(tmp_path) == ["a/b.py"]
