"""What is imported of servers and workers beside their top-level modules."""

from pathlib import Path

import pytest

from pytest_py312.distributions import Entry
from pytest_py312.programs import PROGRAMS, owner_of, started_modules


def entry(folder: Path, name: str, *files: str) -> Entry:
    for file in files:
        (folder / name / "lib" / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / "lib" / file).write_text("")
    return Entry(name=name, version="1.0", folder=folder / name)


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("celery/bin/celery.py", ("celery.bin.celery",)),
        ("celery/bin/celery/__init__.py", ("celery.bin.celery",)),
        ("celery/bin.py", ()),
    ],
)
def test_those_that_are_installed_are_imported(tmp_path: Path, file: str, found: tuple[str, ...]) -> None:
    entries = [entry(tmp_path, "celery", file), entry(tmp_path, "other", "celery/apps/worker.py")]
    assert started_modules("celery", entries) == found
    assert started_modules("other", entries) == ()


def test_a_failure_is_the_distributions() -> None:
    for project, modules in PROGRAMS.items():
        assert {owner_of(module) for module in modules} == {project}
    assert owner_of("celery") is None
