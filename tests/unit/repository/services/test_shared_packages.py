"""Packages at the root of the repository that the suites of services import."""

from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

SERVICES = {
    "services/a/requirements.txt": "six\n",
    "services/a/main.py": "",
    "services/b/requirements.txt": "six\n",
    "services/b/main.py": "",
}
TEST = "services/a/tests/test_a.py"
PACKAGE = {"services/a/__init__.py": "", "services/a/tests/__init__.py": ""}
LIBRARY = {"libs/util.py": "", "libs/common/__init__.py": "", "common/__init__.py": "import shared\n"}


def first_service(root: Path, files: dict[str, str]) -> Service:
    fleet = discover(Plan(root=service_tree(root, {**SERVICES, **files})))
    return next(service for service in fleet.services if service.path == "services/a")


@pytest.mark.parametrize(
    ("files", "source", "path", "needs"),
    [
        ({"pytest.ini": "[pytest]\npythonpath = libs\n"}, "import util\n", ("../../libs",), ("libs",)),
        (
            {"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["libs"]\n'},
            "from common import x\n",
            ("../../libs",),
            ("libs/common",),
        ),
        ({"setup.cfg": "[tool:pytest]\npythonpath = .\n"}, "import common\n", ("../..",), ("common",)),
        ({"conftest.py": ""}, "import common.x\n", ("../..",), ("common",)),
        ({"conftest.py": "", "shared/a.py": ""}, "import common\n", ("../..",), ("common", "shared")),
        (
            {"tox.ini": "[testenv]\nsetenv =\n    PYTHONPATH = {toxinidir}/libs\n"},
            "import util\n",
            ("../../libs",),
            ("libs",),
        ),
        (
            {"setup.py": "from setuptools import setup\nsetup(name='m', version='1', packages=['common'])\n"},
            "import common\n",
            ("../..",),
            ("common",),
        ),
        ({**PACKAGE, "services/c/__init__.py": ""}, "import c\n", ("..",), ("services/c",)),
        ({**PACKAGE, "services/__init__.py": ""}, "import common\n", ("../..",), ("common",)),
        ({"services/a/__init__.py": "", "services/c/__init__.py": ""}, "import c\n", (), ()),
        ({"services/c/__init__.py": ""}, "import c\n", (), ()),
        ({**PACKAGE, "services/email/__init__.py": ""}, "import email\n", (), ()),
        ({"conftest.py": "", "rusty/build.py": "", "rusty/Cargo.toml": ""}, "import rusty\n", (), ()),
        ({}, "import common\n", (), ()),
        ({"conftest.py": ""}, "import six\nNAME = 'common'\n", (), ()),
        ({"conftest.py": "", "six/__init__.py": ""}, "import six\n", (), ()),
        ({"conftest.py": "", "services/a/common.py": ""}, "import common\n", (), ()),
        ({"pytest.ini": "[pytest]\npythonpath = ../outside /etc\n"}, "import util\n", (), ()),
    ],
)
def test_what_the_root_puts_on_the_path_is_there_if_it_is_imported(
    tmp_path: Path, files: dict[str, str], source: str, path: tuple[str, ...], needs: tuple[str, ...]
) -> None:
    service = first_service(tmp_path, {**LIBRARY, **files, TEST: source})

    assert (service.python_path, service.settings.needs) == (path, needs)


@pytest.mark.parametrize(
    ("dockerfile", "source", "path", "needs"),
    [
        ("ENV PYTHONPATH=/app\nCOPY common /app/common\n", "import common\n", ("../..",), ("common",)),
        ("WORKDIR /app\nCOPY common common\n", "import common\n", ("../..",), ("common",)),
        ("ENV PYTHONPATH=/app:/app/libs\nCOPY libs /app/libs\n", "import util\n", ("../../libs",), ("libs",)),
        ("ENV PYTHONPATH=/app\nCOPY libs /app/common\n", "import common\n", (), ()),
        ("COPY common /other/common\n", "import common\n", (), ()),
    ],
)
@pytest.mark.parametrize("tests", [{}, {TEST: ""}])
def test_what_the_image_has_on_its_path_is_there_if_it_is_imported(
    tmp_path: Path, dockerfile: str, source: str, path: tuple[str, ...], needs: tuple[str, ...], tests: dict[str, str]
) -> None:
    """Also if the service has no tests: what starts it needs them as well."""
    image = f"FROM python:3.9\n{dockerfile}COPY services/a/ /app/\nRUN pip install -r /app/requirements.txt\n"
    files = {**LIBRARY, **tests, "services/a/main.py": source, "services/a/Dockerfile": image}
    service = first_service(tmp_path, {**files, "common/__init__.py": ""})
    assert (service.python_path, service.settings.needs) == (path, needs)


POLYLITH = """\
[tool.poetry]
name = "consumer"
version = "0.1.0"
packages = [
    {include = "shop/consumer", from = "../../bases"},
    {include = "shop/log", from = "../../components"},
    {include = "shop/nowhere", from = "../../components"},
    {include = "shop/other", from = "../../../../outside"},
]
[tool.poetry.dependencies]
python = "^3.10"
[build-system]
requires = ["poetry-core>=1.0.0"]
build-backend = "poetry.core.masonry.api"
"""
BRICKS = {"bases/shop/consumer/core.py": "", "components/shop/log/__init__.py": ""}


@pytest.mark.parametrize(
    ("files", "path", "needs"),
    [
        (BRICKS, ("../../bases", "../../components"), ("bases/shop/consumer", "components/shop/log")),
        ({"bases/shop/consumer/core.py": ""}, ("../../bases",), ("bases/shop/consumer",)),
        ({}, (), ()),
    ],
)
def test_folders_that_a_plugin_of_poetry_packs_are_on_the_path(
    tmp_path: Path, files: dict[str, str], path: tuple[str, ...], needs: tuple[str, ...]
) -> None:
    """Poetry itself, and pip, cannot build such a project on any Python: it is not a distribution."""
    root = service_tree(tmp_path, {"projects/consumer/pyproject.toml": POLYLITH, **files})

    fleet = discover(Plan(root=root))
    (service,) = fleet.services

    assert service.distribution is None
    assert service.python_path == path
    assert service.settings.needs == needs
    assert [text for text in fleet.assumptions if "plugin of Poetry" in text] == [
        f"consumer is packed from other folders by a plugin of Poetry, so it is not built: {', '.join(path)} "
        "are on its path."
        for path in [path]
        if path
    ]


@pytest.mark.parametrize(
    ("layers", "needs"),
    [
        ({"layer/python/common/util.py": "", "layer/python/common/requirements.txt": ""}, ("layer/python/common",)),
        ({"layer/python/other/util.py": ""}, ()),
        ({"layer/python/common/util.py": "", "old/python/common/util.py": ""}, ()),
        ({"layer/common/util.py": ""}, ()),
    ],
)
def test_a_layer_that_a_template_names_by_a_parameter(
    tmp_path: Path, layers: dict[str, str], needs: tuple[str, ...]
) -> None:
    """It is the only one in the repository that has the module."""
    template = (
        "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: services/a\n"
        "      Runtime: python3.9\n      Handler: main.handler\n"
        '      Layers: ["{{resolve:ssm:/common/layer}}"]\n'
    )
    service = first_service(
        tmp_path, {"template.yaml": template, "services/a/main.py": "from common import util\n", **layers}
    )
    assert (service.settings.needs, service.python_path) == (needs, ("../../layer/python",) * len(needs))


ONLY = {"utils/common/__init__.py": "", "utils/common/shared.py": "", "utils/common/test/test_shared.py": ""}


@pytest.mark.parametrize(
    ("files", "source", "needs"),
    [
        (ONLY, "from common import shared\n", ("utils/common",)),
        ({**ONLY, "utils/common/test/requirements.txt": "pytest\n"}, "import common\n", ("utils/common",)),
        (ONLY, "import commons\n", ()),
        ({**ONLY, "old/common/a.py": ""}, "import common\n", ()),
        ({**ONLY, "infrastructure/common/a.tf": ""}, "import common\n", ("utils/common",)),
        ({"utils/common/shared.py": ""}, "import common\n", ()),
        ({**ONLY, "utils/__init__.py": ""}, "import common\n", ()),
        ({"docs/common/__init__.py": ""}, "import common\n", ()),
        ({"stubs/yaml/__init__.py": ""}, "import yaml\n", ()),
        ({"utils/six/__init__.py": ""}, "import six\n", ()),
        ({"utils/email/__init__.py": ""}, "import email\n", ()),
    ],
)
def test_the_only_package_of_a_name_is_what_a_service_imports(
    tmp_path: Path, files: dict[str, str], source: str, needs: tuple[str, ...]
) -> None:
    """A pipeline elsewhere copies it; that is an assumption."""
    root = service_tree(tmp_path, {**SERVICES, **files, "services/a/main.py": source})
    fleet = discover(Plan(root=root))
    service = next(each for each in fleet.services if each.path == "services/a")

    assert service.settings.needs == needs
    assert (service.python_path, service.appended_path) == ((), ("../../utils",) if needs else ())
    assert ("a gets common from utils/common, the only package of that name." in fleet.assumptions) is bool(needs)
