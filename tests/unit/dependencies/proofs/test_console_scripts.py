"""The start modules of programs, which are imported in addition to the modules of required projects."""

from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Program
from pytest_py312.dependencies.proofs.console_scripts import (
    PROGRAM_MODULES,
    importable_modules,
    installed_modules,
    project_of_module,
    start_modules_of_programs,
    start_modules_of_project,
)
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution


def entry(folder: Path, name: str, *files: str) -> StoredDistribution:
    for file in files:
        (folder / name / "lib" / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / "lib" / file).write_text("")
    return StoredDistribution(name=name, version="1.0", folder=folder / name)


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("celery/bin/celery.py", ("celery.bin.celery",)),
        ("celery/bin/celery/__init__.py", ("celery.bin.celery",)),
        ("celery/bin.py", ()),
    ],
)
def test_only_installed_start_modules_are_imported(tmp_path: Path, file: str, found: tuple[str, ...]) -> None:
    entries = [entry(tmp_path, "celery", file), entry(tmp_path, "other", "celery/apps/worker.py")]
    assert start_modules_of_project("celery", entries) == found
    assert start_modules_of_project("other", entries) == ()


def test_a_start_module_belongs_to_its_distribution() -> None:
    for project, modules in PROGRAM_MODULES.items():
        assert {project_of_module(module) for module in modules} == {project}
    assert project_of_module("celery") is None


def test_a_console_script_starts_with_the_module_of_its_entry_point(tmp_path: Path) -> None:
    """Whichever distribution provides it. A script without one (``scripts=`` in old setups) starts with its imports."""
    served = entry(tmp_path, "server", "server/cli.py", "server-1.0.dist-info/entry_points.txt")
    (served.folder / "lib/server-1.0.dist-info/entry_points.txt").write_text(
        "[console_scripts]\nServe = server.cli:main [fast]\nold = server.gone:main\n"
    )
    (served.folder / "data/bin").mkdir(parents=True)
    for name in ("Serve", "old", "plain", "shell"):
        (served.folder / "data/bin" / name).write_text('#!/bin/sh\nexec server "$@"\n' if name == "shell" else "")
    (served.folder / "data/bin/plain").write_text("import sys\nfrom server import cli\nif cli:\n    import server\n")

    programs = [Program(name=name) for name in ("Serve", "old", "shell", "ls")]

    assert start_modules_of_programs(programs, [entry(tmp_path, "other", "other.py"), served]) == ("server.cli",)
    assert start_modules_of_programs([Program(name="plain")], [served]) == ("server.cli",)
    assert project_of_module("server.cli", [served]) == "server"


def test_for_python_dash_m_the_imports_of_main_are_imported(tmp_path: Path) -> None:
    """Not ``__main__`` itself: it would start the program."""
    run = entry(tmp_path, "run", "run/__init__.py", "run/__main__.py", "run/cli.py", "run/log.py", "run/late.py")
    (run.folder / "lib/run/__main__.py").write_text(
        "import os, run.log\nfrom .cli import main\nfrom . import missing\ndef f():\n    from . import late\nmain()\n"
    )
    programs = [Program(name="run", is_module=True), Program(name="shop.main", is_module=True)]

    assert start_modules_of_programs(programs, [run]) == ("run", "run.log", "run.cli")


def test_names_are_found_in_the_modules_of_distributions(tmp_path: Path) -> None:
    """The longest part that is a module. Packages without ``__init__.py`` prove nothing about their content."""
    entries = [
        entry(tmp_path, "storage", "google/cloud/storage/__init__.py", "google/cloud/storage/blob.py"),
        entry(tmp_path, "tasks", "google/cloud/tasks/__init__.py"),
        entry(tmp_path, "six", "six.py"),
    ]
    names = ("google.cloud.storage.Client", "google.cloud.storage.blob", "google.cloud.tasks", "six.moves.urllib")

    found = installed_modules((*names, "google.cloud", "google.cloud.gone", "gone", "six.py"), entries)

    assert found == {"google.cloud.storage", "google.cloud.storage.blob", "google.cloud.tasks", "six"}


def test_test_modules_of_a_distribution_are_not_imported() -> None:
    assert importable_modules(("path", "test_path", "tests", "conftest", "testing")) == ("path", "testing")
    assert importable_modules(("test_path",)) == ("test_path",)
