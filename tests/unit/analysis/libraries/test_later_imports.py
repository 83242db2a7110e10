"""Which modules a service imports only once it runs: from its texts to modules and the folders where imports begin."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.later_imports import files_of_module, later_imports
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import StartModule
from tests.support.fakes import service

APP = {"app/__init__.py": "", "app/geo.py": "", "app/main.py": ""}


def later(texts: Mapping[str, str], settings: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """The names and folders of the modules of a service in the root folder."""
    files = [scan_text(text, path) for path, text in texts.items()]
    contents = {path: text.encode("utf-8", "surrogatepass") for path, text in texts.items()}
    of = replace(service(), path=".", start_modules=(StartModule(name="app.main"),))
    return [(module.name, module.folder) for module in later_imports(files, contents, settings or {}, of)]


@pytest.mark.parametrize(
    "text",
    [
        "def run():\n    from app import geo\n",
        "def run():\n    from . import geo\n",
        "import app.geo\n",
        'celery = Celery(include=["app.geo"])\n',
        'ROUTES = {"geo": "app.geo.handler"}\n',
        'PLUGIN = "app.geo:main"\n',
        'import importlib\ndef run(name):\n    return importlib.import_module(f"app.{name}")\n',
    ],
)
def test_ways_to_import_a_module_later(text: str) -> None:
    assert ("app.geo", ".") in later({**APP, "app/main.py": text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[project.entry-points."app.plugins"]\ngeo = "app.geo:main"\n'),
        ("setup.cfg", "console_scripts =\n    geo = app.geo:main\n"),
        ("logging.json", '{"class": "app.geo.Handler"}'),
        ("site.yaml", "urls: app.geo\n"),
    ],
)
def test_settings_name_a_module(name: str, text: str) -> None:
    assert later(APP, {name: text}) == [("app.geo", ".")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "try:\n    from app import geo\nexcept ImportError:\n    geo = None\n",
        "import sys\nif sys.version_info < (3, 12):\n    from app import geo\n",
        "# app.geo\n",
    ],
)
def test_a_module_that_nothing_certainly_imports_is_left_out(text: str) -> None:
    """It may be a script, which does its work when it is imported."""
    assert later({**APP, "app/main.py": text}, {"jobs.yaml": "command: [python, -m, app.geo]\n"}) == []


@pytest.mark.parametrize(
    ("named", "geo"),
    [
        ("import logging\nLOG = logging.getLogger('app.geo')\n", ""),
        ("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'app.geo'])\n", ""),
        ("# import_module(name)\n", ""),
        ("NAME = 'app.geo'\n", "import shutil\nshutil.rmtree('/data')\n"),
        ("NAME = 'app.geo'\n", "import subprocess\nDONE = subprocess.run(['purge'])\n"),
        ("NAME = 'app.geo'\n", "if True:\n    print(1)\n"),
    ],
)
def test_a_module_that_may_do_its_work_when_it_is_imported_is_left_out(named: str, geo: str) -> None:
    """Only a string names it, or it is a program."""
    assert later({**APP, "app/main.py": named, "app/geo.py": geo}, {"jobs.yaml": "- python\n- -m\n- app.geo\n"}) == []


def test_a_module_chosen_by_the_version_is_left_out() -> None:
    text = "import importlib, sys\nimportlib.import_module(f'app.py{sys.version_info[1]}')\n"
    assert later({**APP, "app/main.py": text}) == []


def test_the_name_of_a_module_does_not_matter_if_something_imports_it() -> None:
    files = {"app/__init__.py": "", "app/tasks.py": "", "app/main.py": 'celery = Celery(include=["app.tasks"])\n'}
    assert later(files) == [("app.tasks", ".")]


def test_a_module_outside_of_the_service() -> None:
    texts = {"services/a/app/main.py": "def run():\n    import shared.jobs\n", "libs/shared/jobs.py": "",
             "libs/shared/__init__.py": "", "libs/shared/other/__init__.py": "from . import version",
             "libs/shared/other/version.py": ""}  # fmt: skip
    files = [scan_text(text, path) for path, text in texts.items()]
    contents = {path: text.encode() for path, text in texts.items()}
    modules = later_imports(files, contents, {}, replace(service(), path="services/a"))
    assert {(module.name, module.folder) for module in modules} == {("shared.jobs", "../../libs")}


def test_what_only_tests_import_is_left_out() -> None:
    assert later({**APP, "tests/test_geo.py": "import app.geo\n"}) == []


def test_imports_of_other_projects_in_functions() -> None:
    text = "import six\nimport json\ndef run():\n    import json.tool\n    from dateutil import parser\n"
    assert later({"app/main.py": text}) == [("dateutil", "."), ("dateutil.parser", ".")]


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("src/app/geo.py", ("app.geo", "src")),
        ("backend/app/geo.py", ("app.geo", "backend")),
        ("jobs/geo.py", ("jobs.geo", ".")),
        ("geo.py", ("geo", ".")),
        ("app/geo/__init__.py", ("app.geo", ".")),
    ],
)
def test_the_folder_in_which_imports_begin(path: str, module: tuple[str, str]) -> None:
    package = path.rpartition("/app/")[0] or "."
    texts = {path: "", "main.py": f"def run():\n    import {module[0]}\n", f"{package}/app/__init__.py": ""}
    assert module in later({name.removeprefix("./"): text for name, text in texts.items()})


def test_the_files_of_a_module() -> None:
    assert files_of_module(StartModule(name="app.geo", folder="src")) == {"src/app/geo.py", "src/app/geo/__init__.py"}
    assert files_of_module(StartModule(name="geo")) == {"geo.py", "geo/__init__.py"}


@given(text=st.text(), settings=st.text(alphabet="app.geo-m\"':\n ", max_size=80))
def test_any_text_is_read(text: str, settings: str) -> None:
    assert isinstance(later({**APP, "app/main.py": text}, {"a.toml": settings}), list)


def test_of_a_library_the_first_import_is_known() -> None:
    """By path and line, also of a member that may be a module."""
    texts = {
        "app/b.py": "def run():\n    import boto\n",
        "app/a.py": "\ndef run():\n    from boto import s3\n\n\ndef other():\n    import boto\n",
    }
    files = [scan_text(text, path) for path, text in texts.items()]
    contents = {path: text.encode() for path, text in texts.items()}
    modules = later_imports(files, contents, {}, replace(service(), path="."))
    assert {module.name: module.imported_at for module in modules if not module.is_own} == dict.fromkeys(
        ("boto", "boto.s3"), Location(path="app/a.py", line=3)
    )
