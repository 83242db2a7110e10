"""What counts as a file that does not belong into a distribution (``.ci/run`` builds and installs real ones)."""

from pathlib import Path

from tests.documentation.distributions import missing_in_wheel, stray_in_sdist, stray_in_wheel


def test_a_wheel_has_the_package_and_its_metadata_only() -> None:
    names = [
        "pytest_py312/__init__.py", "pytest_py312/gate/page/page.html.j2", "pytest_py312-0.1.0.dist-info/RECORD",
        "tests/__init__.py", "pytest_py312/notes.txt", "pytest_py312/__pycache__/a.py",
    ]  # fmt: skip
    assert stray_in_wheel(names, "pytest_py312", "0.1.0") == names[3:]


def test_a_source_distribution_has_no_file_that_lies_around() -> None:
    names = [
        "p-0.1.0", "p-0.1.0/README.md", "p-0.1.0/docs/tutorial.zh.md", "p-0.1.0/examples/suoke/services/a/app.py",
        "p-0.1.0/out.log", "p-0.1.0/examples/suoke/.py312/state.sqlite", "p-0.1.0/site/index.html",
    ]  # fmt: skip
    assert stray_in_sdist(names) == names[4:]


def test_a_file_that_the_wheel_lacks_is_named(tmp_path: Path) -> None:
    package = tmp_path / "package"
    for path in ("__init__.py", "page.css", "__pycache__/a.py"):
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).touch()
    assert missing_in_wheel(["package/__init__.py"], package) == ["package/page.css"]
