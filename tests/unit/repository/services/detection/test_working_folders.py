"""In which folder tests are run whose paths do not begin in the folder of their service."""

from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Plan, ServiceSettings, Suite, SuiteKind
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

FILES = {
    "services/a/requirements.txt": "six\n",
    "services/a/main.py": "",
    "services/a/test/events/get.json": "{}",
    "services/b/requirements.txt": "six\n",
    "shared/contexts/a.json": "{}",
}


@pytest.mark.parametrize(
    ("test", "folder", "needs"),
    [
        ("open('./services/a/test/events/get.json')", ".", ()),
        ("open('services/a/test/events/' + name), open('shared/contexts/' + name)", ".", ("shared/contexts",)),
        ("open('shared/contexts/a.json')", ".", ("shared/contexts",)),
        ("open('a/test/events/get.json')", "services", ()),
        ("open('test/events/get.json')", "", ()),
        ("open('test/events/get.json'), open('services/a/test/events/get.json')", "", ()),
        ("MIME = 'shared/contexts'", "", ()),
        ("open('main.py'), open('services/a/test/events/get.json')", "", ()),
        ("client.post('/x', content_type='application/json')", "", ()),
        ("open('../services/a/main.py'), open('/etc/passwd'), open('services/none/a.json')", "", ()),
    ],
)
def test_paths_in_tests_say_where_they_are_run(tmp_path: Path, test: str, folder: str, needs: tuple[str, ...]) -> None:
    root = service_tree(tmp_path, {**FILES, "services/a/test/test_a.py": f"{test}\n"})
    fleet = discover(Plan(root=root))
    service = fleet.services[0]
    path = {"": ("test",), "services": ("a/test",), ".": ("services/a/test",)}[folder]
    assert service.suite == Suite(kind=SuiteKind.PYTEST, arguments=path, folder=folder)
    assert service.settings.needs == needs
    assert service.python_path == ((".",) if folder else ())
    sentence = f"a is tested in {folder}, where the paths in its tests, or their imports, begin."
    assert (sentence in fleet.assumptions) is bool(folder)


def test_a_plan_that_says_the_path_is_kept(tmp_path: Path) -> None:
    root = service_tree(tmp_path, {**FILES, "services/a/test/test_a.py": "open('services/a/test/events/get.json')\n"})
    plan = Plan(root=root, overrides=(("a", ServiceSettings(python_path=("lib",))),))
    assert discover(plan).services[0].suite == Suite(kind=SuiteKind.PYTEST, arguments=("test",))


@pytest.mark.parametrize(
    ("more", "folder"),
    [
        ({}, "services"),
        ({"services/a/__init__.py": ""}, ""),
        ({"services/a/a/__init__.py": ""}, ""),
        ({"services/a/test/test_a.py": "import a\nfrom main import a\n"}, ""),
    ],
    ids=["hidden", "package", "package inside", "module"],
)
def test_a_module_that_hides_the_folder_of_its_service(tmp_path: Path, more: dict[str, str], folder: str) -> None:
    """``a/a.py`` is found before the folder ``a``, which is no package, unless only its parent is on the path."""
    files = {**FILES, "services/a/a.py": "", "services/a/test/test_a.py": "from a.main import x\n", **more}
    service = discover(Plan(root=service_tree(tmp_path, files))).services[0]
    assert service.suite is not None
    assert service.suite.folder == folder
    assert "." not in service.python_path
