"""What is imported of programs beside the top-level modules of what is required."""

from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Program
from pytest_py312.dependencies.installation.console_scripts import PROGRAMS, modules_of, owner_of, started_modules
from pytest_py312.dependencies.installation.distribution_store import Entry


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


def test_a_console_script_begins_with_the_module_of_its_entry_point(tmp_path: Path) -> None:
    """Whoever brings it; a script without an entry point (``scripts=`` of old setups) is not looked into."""
    served = entry(tmp_path, "server", "server/cli.py", "server-1.0.dist-info/entry_points.txt")
    (served.folder / "lib/server-1.0.dist-info/entry_points.txt").write_text(
        "[console_scripts]\nServe = server.cli:main [fast]\nold = server.gone:main\n"
    )
    (served.folder / "data/bin").mkdir(parents=True)
    for name in ("Serve", "old", "plain"):
        (served.folder / "data/bin" / name).touch()

    programs = [Program(name=name) for name in ("Serve", "old", "plain", "ls")]

    assert modules_of(programs, [entry(tmp_path, "other", "other.py"), served]) == ("server.cli",)
    assert owner_of("server.cli", [served]) == "server"


def test_of_a_module_that_is_run_is_imported_what_it_imports(tmp_path: Path) -> None:
    """Not itself: it would start something."""
    run = entry(tmp_path, "run", "run/__init__.py", "run/__main__.py", "run/cli.py", "run/log.py", "run/late.py")
    (run.folder / "lib/run/__main__.py").write_text(
        "import os, run.log\nfrom .cli import main\nfrom . import missing\ndef f():\n    from . import late\nmain()\n"
    )
    programs = [Program(name="run", is_module=True), Program(name="shop.main", is_module=True)]

    assert modules_of(programs, [run]) == ("run", "run.log", "run.cli")
