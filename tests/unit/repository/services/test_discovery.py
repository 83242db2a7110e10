"""From a tree of files to the fleet: which folders are services, and what their files declare."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.errors import NoFleetError, PlanError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage, Suite, SuiteKind
from pytest_py312.repository.plan.loader import default_plan
from pytest_py312.repository.services import service_description
from pytest_py312.repository.services.discovery import discover, unique_names
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.repository.services.requirements.sources import additional_services
from pytest_py312.repository.services.service_description import job_around
from pytest_py312.repository.services.version_survey import VersionSurvey
from pytest_py312.runners.suite_job import environment_of_tests
from tests.support.fakes import service_tree

PROJECT = '[project]\nname = "x"\nversion = "1.0"\n'


def lay(root: Path, files: Mapping[str, str]) -> None:
    """Write ``files``, path to text, below ``root``."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def fleet_of(root: Path, files: Mapping[str, str], **plan: object) -> Fleet:
    lay(root, files)
    return discover(Plan(root=root, **plan))  # type: ignore[arg-type]  # the tests name the plan's fields


def service_of(root: Path, files: Mapping[str, str], **plan: object) -> Service:
    """The one service whose files these are; names are relative to it."""
    (service,) = fleet_of(root, {f"svc/{name}": text for name, text in files.items()}, **plan).services
    return service


# ---- which folders


def test_a_compose_file_that_installs_before_it_starts_the_service(tmp_path: Path) -> None:
    command = 'bash -c "pip install -r reqs/main.txt && python app.py"'
    files = {
        "compose.yml": f"services:\n  svc:\n    build: svc\n    command: {command}\n",
        "svc/Dockerfile": "FROM python:3.10-slim\nWORKDIR /app\nCOPY . .\n",
        "svc/reqs/main.txt": "six\n",
        "svc/app.py": "import six\n",
    }
    (service,) = fleet_of(tmp_path, files).services
    assert service.recipe is not None
    assert [(str(step.location), step.files) for step in service.recipe.steps] == [
        ("compose.yml:3", ("svc/reqs/main.txt",))
    ]


def test_a_service_whose_python_is_that_of_another_image_of_the_repository(tmp_path: Path) -> None:
    """The folder of that image has no code, and is no service."""
    files = {
        "images/base/Dockerfile": "FROM python:3.10-slim\nRUN pip install six\n",
        "svc/Dockerfile": "FROM $REGISTRY/base:$TAG\nCOPY . .\nCMD python app.py\n",
        "svc/app.py": "import six\n",
    }
    (service,) = fleet_of(tmp_path, files).services
    assert (service.path, service.baseline) == ("svc", Interpreter(3, 10))
    assert service.baseline_source == "images/base/Dockerfile:1 says python:3.10-slim"


def test_an_image_that_starts_the_python_of_its_distribution(tmp_path: Path) -> None:
    """Its folder is one service, with the parts that have requirements files; an image inside is another one."""
    image = (
        "FROM alpine:3.14\nRUN apk add \\\n  gcc \\\n  python3 \\\n  py3-pip\nCOPY . .\nCMD (flask run) & ./start.sh\n"
    )
    files = {
        "tap/Dockerfile": image,
        "tap/control/requirements.txt": "falcon\n",
        "tap/control/control.py": "",
        "tap/health/requirements.txt": "flask\n",
        "tap/health/hc.py": "",
        "tap/capture/Dockerfile": "FROM alpine:3.14\nRUN apk add python3\nCOPY . .\nCMD python3 send.py\n",
        "tap/capture/requirements.txt": "pika\n",
        "tap/capture/send.py": "",
        "parser/Dockerfile": 'FROM alpine\nRUN apk add python3\nCOPY parser.py .\nENTRYPOINT ["python", "parser.py"]\n',
        "parser/parser.py": "",
        "web/Dockerfile": "FROM node\nRUN apk add python3 make\nRUN npm install\nENTRYPOINT ./start.sh\n",
        "web/scripts/icons.py": "",
    }
    assert [service.path for service in fleet_of(tmp_path, files).services] == ["parser", "tap", "tap/capture"]


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": ""},
        {"requirements-dev.txt": ""},
        {"requirements/base.txt": ""},
        {"pyproject.toml": PROJECT},
        {"pyproject.toml": '[tool.poetry]\nname = "x"\n'},
        {"setup.py": "from setuptools import setup\nsetup()\n"},
        {"setup.cfg": "[metadata]\nname = x\n"},
        {"Pipfile": ""},
        {"Dockerfile": "FROM python:3.9\n"},
        {"Dockerfile": "FROM condaforge/miniforge3\n", "environment.yml": "dependencies:\n  - python=3.9\n"},
        {"deploy/docker/Dockerfile.prod": "FROM python:3.9 AS a\nFROM nginx\n"},
    ],
)
def test_each_sign_of_a_service_is_enough(tmp_path: Path, files: dict[str, str]) -> None:
    """Requirements, metadata, or an image based on Python."""
    service = service_of(tmp_path, files)
    assert (service.name, service.path, service.stage) == ("svc", "svc", 1)


@pytest.mark.parametrize(
    ("command", "required", "is_static"),
    [
        ("pip install .", "", False),
        ("uv sync", "", False),
        ("uv sync --no-install-project", "", True),
        ("pip install -r requirements.txt", "six", True),
        ("pip install -r requirements.txt", "-e .[x]  # itself", False),
        ("pip install build six && python -m build --wheel", "", False),
        ("echo", "", False),
        ("poetry install", "", True),
    ],
)
def test_a_project_with_old_build_requirements_is_built_where_a_recipe_builds_it(
    tmp_path: Path, command: str, required: str, is_static: bool
) -> None:
    """And where no file says how it is installed."""
    files = {
        "pyproject.toml": f'{PROJECT}[build-system]\nrequires = ["setuptools<60"]\n[tool.poetry]\n',
        "requirements.txt": f"{required}\n",
        "x.py": "",
        "Dockerfile": f"FROM python:3.9\nCOPY . .\nRUN {command}\n",
    }
    service = service_of(tmp_path, files)

    assert service.distribution is not None
    assert service.distribution.static is is_static


def test_an_environment_of_conda_says_the_baseline(tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM condaforge/miniforge3\n", "environment.yml": "dependencies:\n  - python=3.10\n"}

    service = service_of(tmp_path, files)

    assert (str(service.baseline), service.baseline_source) == ("3.10", "svc/environment.yml:2 says python=3.10")


@pytest.mark.parametrize(
    "files",
    [
        {"svc/main.py": ""},
        {"svc/pyproject.toml": "[tool.black]\n"},
        {"svc/setup.py": "print('prepares the database')\n"},
        {"svc/Dockerfile": "FROM node:20\n"},
        {"svc/environment.yml": "dependencies:\n  - python=3.9\n"},
        {"svc/Dockerfile": "FROM r-base\n", "svc/environment.yml": "dependencies:\n  - r-base\n  - python-dateutil\n"},
        {"docs/requirements.txt": "sphinx\n"},
        {"svc/tests/requirements.txt": "pytest\n"},
        {"node_modules/x/requirements.txt": ""},
        {"env/pyvenv.cfg": "", "env/requirements.txt": ""},
        {".hidden/requirements.txt": ""},
    ],
)
def test_without_a_sign_there_is_no_fleet(tmp_path: Path, files: dict[str, str]) -> None:
    """And the message lists the signs of a service."""
    with pytest.raises(NoFleetError, match=r"requirements file.*services = "):
        fleet_of(tmp_path, files)


def test_folders_that_only_sort_services_are_looked_into(tmp_path: Path) -> None:
    files = {
        "source/requirements.txt": "",
        "source/lambdas/a/requirements.txt": "",
        "source/lambdas/b/requirements.txt": "",
        "other/requirements.txt": "",
        "other/main.py": "",
        "other/app/main.py": "",
        "other/app/a/requirements.txt": "",
        "other/app/b/requirements.txt": "",
    }
    assert [service.path for service in fleet_of(tmp_path, files).services] == [
        "other", "source/lambdas/a", "source/lambdas/b",
    ]  # fmt: skip


def test_services_are_found_at_any_depth_and_not_within_each_other(tmp_path: Path) -> None:
    """In order of their paths; the root does not count beside them."""
    fleet = fleet_of(
        tmp_path,
        {
            "requirements.txt": "",
            "services/b/requirements.txt": "",
            "services/group/a/requirements.txt": "",
            "services/b/inner/requirements.txt": "",
        },
    )
    assert [service.path for service in fleet.services] == ["services/b", "services/group/a"]


def test_the_root_is_a_service_when_it_is_the_only_one(tmp_path: Path) -> None:
    """Named like its folder, at ``.``, with paths relative to itself."""
    root = tmp_path / "shop"
    fleet = fleet_of(root, {"requirements.txt": "", "tests/test_a.py": "", "Dockerfile": "FROM python:3.10\n"})
    (service,) = fleet.services
    assert (service.name, service.path, service.manifest) == ("shop", ".", "requirements.txt")
    assert service.baseline_source == "Dockerfile:1 says python:3.10"


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ({"requirements.txt": "", "shop/__init__.py": "", "states/requirements.txt": ""}, [".", "states"]),
        ({"setup.py": "from setuptools import setup\nsetup()\n", "src/shop/__init__.py": "", "worker/Pipfile": ""},
         [".", "worker"]),
        ({"Dockerfile": "FROM python:3.9\n", "main.py": "", "a/Pipfile": "", "b/Pipfile": ""}, [".", "a", "b"]),
        ({"setup.py": "setup(packages=find_namespace_packages())\n", "acme/core/__init__.py": "",
          "ext/a/Pipfile": "", "ext/b/Pipfile": ""}, [".", "ext/a", "ext/b"]),
        ({"setup.py": "setup()\n", "acme/core/__init__.py": "", "ext/a/Pipfile": "", "ext/b/Pipfile": ""},
         ["ext/a", "ext/b"]),
        ({"api/requirements.txt": "", "api/main.py": "", "api/a/Pipfile": "", "api/b/Pipfile": ""},
         ["api", "api/a", "api/b"]),
        ({"requirements.txt": "", "setup.py": "from setuptools import setup\nsetup()\n", "tests/test_a.py": "",
          "a/Pipfile": ""}, ["a"]),
        ({"requirements-dev.txt": "", "tool.py": "", "a/Pipfile": ""}, ["a"]),
        ({"requirements.txt": "", "a/Pipfile": "", "a/__init__.py": ""}, ["a"]),
        ({"requirements.txt": "", "tests/test_a.py": "", "src/setup.py": "from setuptools import setup\nsetup()\n"},
         ["."]),
        ({"api/requirements.txt": "", "deploy/requirements.txt": "ansible\n", "deploy/site.yml": ""}, ["api"]),
        ({"api/requirements.txt": "", "deploy/api/gunicorn_conf.py": "",
          "deploy/api/Dockerfile": "FROM python:3.9\nCOPY api/ .\nRUN pip install -r requirements.txt\n"},
         ["api"]),
        ({"api/requirements.txt": "", "deploy/requirements-dev.txt": "ansible\n", "deploy/inventory.py": ""}, ["api"]),
        ({"api/requirements.txt": "", "tools/lint/requirements.txt": "", "tools/lint/main.py": "",
          "tools/ocr/Dockerfile": "FROM python:3.9-slim\nCOPY . .\n", "tools/ocr/requirements.txt": "",
          "tools/ocr/src/main.py": ""},
         ["api", "tools/ocr"]),
        ({"api/requirements.txt": "", "tools/a/pyproject.toml": "[tool.poetry]\nname = 'a'\n",
          "tools/a/poetry.lock": "", "tools/a/a/__init__.py": "",
          "tools/b/pyproject.toml": "[tool.poetry]\nname = 'b'\n", "tools/b/b.py": ""},
         ["api", "tools/a"]),
        ({"api/requirements.txt": "", "api/scripts/load.py": "", "api/scripts/requirements.txt": "",
          "data/scripts/prune/Dockerfile": "FROM python:3.9-slim\nCOPY . .\n", "data/scripts/prune/main.py": "",
          "data/scripts/prune/requirements.txt": "", "data/scripts/convert/requirements.txt": "",
          "data/scripts/convert/main.py": ""},
         ["api", "data/scripts/prune"]),
        ({"api/requirements.txt": "", "deploy/requirements.txt": "", "deploy/app.py": "",
          "deploy/hooks/login/requirements.txt": "", "deploy/hooks/login/main.py": "",
          "deploy/hooks/roles/requirements.txt": ""},
         ["api", "deploy", "deploy/hooks/login"]),
        ({"setup.py": "setup(name='a')\n", "deploy/requirements.txt": "", "deploy/app.py": ""}, [".", "deploy"]),
        ({"requirements.txt": "", "server/app.py": "", "deploy/requirements.txt": "", "deploy/app.py": ""},
         [".", "deploy"]),
        ({"requirements.txt": "", "src/requirements.txt": "", "src/app.py": "", "deploy/requirements.txt": "",
          "deploy/app.py": ""},
         [".", "deploy"]),
    ],
)  # fmt: skip
def test_a_folder_with_code_of_its_own_is_a_service_beside_those_in_it(
    tmp_path: Path, files: dict[str, str], paths: list[str]
) -> None:
    """A folder with only developers' tools, or only tests, is no service."""
    assert [service.path for service in fleet_of(tmp_path, files).services] == paths


def test_what_lies_in_services_beneath_it_is_not_a_services_own(tmp_path: Path) -> None:
    """Neither their requirements nor their images nor their tests."""
    fleet = fleet_of(
        tmp_path,
        {
            "requirements.txt": "",
            "main.py": "",
            "test_main.py": "",
            "worker/requirements.txt": "",
            "worker/requirements-gpu.txt": "",
            "worker/Dockerfile": "FROM python:3.10\n",
            "worker/test_worker.py": "",
        },
    )
    root, worker = fleet.services
    assert (root.nested_folders, root.additional_requirements, root.images) == (("worker",), (), ())
    assert root.suite == Suite(kind=SuiteKind.PYTEST, arguments=("--ignore=worker",))
    assert [str(source) for source in worker.additional_requirements] == ["worker/requirements-gpu.txt"]
    assert worker.suite == Suite(kind=SuiteKind.PYTEST)


def test_requirements_shared_by_a_group_do_not_hide_its_services(tmp_path: Path) -> None:
    """A folder with several services in it is a group, which is reported as an assumption."""
    fleet = fleet_of(
        tmp_path,
        {"services/requirements.txt": "", "services/a/requirements.txt": "", "services/b/requirements.txt": ""},
    )
    assert [service.name for service in fleet.services] == ["a", "b"]
    assert any("taken for a group" in assumption for assumption in fleet.assumptions)


FUNCTIONS = """\
Globals: {Function: {Runtime: python3.9}}
Resources:
  A: {Type: "AWS::Serverless::Function", Properties: {CodeUri: src/a, Handler: app.run}}
  B: {Type: "AWS::Serverless::Function", Properties: {CodeUri: src/b, Handler: app.run}}
"""


@pytest.mark.parametrize("requirements", [{}, {"src/a/requirements.txt": "", "src/b/requirements.txt": ""}])
@pytest.mark.parametrize("beside", [{}, {"requirements.txt": ""}, {"Dockerfile": "FROM python:3.9\nCOPY page /page\n"}])
def test_each_function_of_a_template_is_a_service(
    tmp_path: Path, requirements: dict[str, str], beside: dict[str, str]
) -> None:
    """With requirements of its own or without; what is beside the template is no service because of them."""
    files = {"template.yaml": FUNCTIONS, "src/a/app.py": "", "src/b/app.py": "", **requirements, **beside}
    files |= {"page/requirements.txt": "", "page/page.py": ""} if "Dockerfile" in beside else {}
    fleet = fleet_of(tmp_path, {f"shop/{name}": text for name, text in files.items()})
    page = ["shop/page"] if "Dockerfile" in beside else []
    assert [service.path for service in fleet.services] == [*page, "shop/src/a", "shop/src/b"]


@pytest.mark.parametrize(
    ("image", "files", "expected"),
    [
        ("COPY a/requirements.txt .\nCOPY a a", {}, ["svc/a", "svc/b"]),
        ("COPY a a\nCOPY third_party third_party", {}, ["svc/a", "svc/b"]),
        ("COPY . .", {}, ["svc"]),
        ("COPY requirements*.txt a/ ./", {}, ["svc"]),
        ("COPY main.py .\nCOPY a a", {}, ["svc"]),
        ("RUN pip install six", {}, ["svc"]),
        ("COPY a a", {"b/requirements.txt": None}, ["svc"]),
    ],
)
def test_an_image_belongs_to_the_services_whose_code_it_copies(
    tmp_path: Path, image: str, files: dict[str, str | None], expected: list[str]
) -> None:
    """Images of several services may be built in the folder above them; with one service inside, that is its code."""
    texts: dict[str, str | None] = {"one.Dockerfile": f"FROM python:3.9\n{image}\n", "a/requirements.txt": ""}
    texts |= {"b/requirements.txt": "", "a/app.py": "", "b/app.py": "", **files}
    fleet = fleet_of(tmp_path, {f"svc/{name}": text for name, text in texts.items() if text is not None})
    assert [service.path for service in fleet.services] == expected


INSTALLS_ALL = "FROM python:3.10\nCOPY pyproject.toml poetry.lock /app/\nRUN cd /app && poetry install\nCOPY . /app\n"


@pytest.mark.parametrize(
    ("image", "files", "is_service"),
    [
        (INSTALLS_ALL, {}, False),
        ("FROM python:3.10\nCOPY . /app\nWORKDIR /app\nRUN poetry install\n", {"start.sh": ""}, False),
        (f"{INSTALLS_ALL}COPY load/ops/health.py /opt/\n", {"health.py": ""}, False),
        (INSTALLS_ALL, {"main.py": ""}, True),
        (f"{INSTALLS_ALL}COPY load/ops /code\n", {"main.py": ""}, True),
        (INSTALLS_ALL, {"requirements.txt": ""}, True),
        ("FROM python:3.10\nRUN pip install six\n", {}, True),
        ("FROM python:3.10\nCOPY load/ops/reqs.txt .\nRUN pip install -r reqs.txt\n", {"reqs.txt": ""}, True),
    ],
)
def test_an_image_of_what_is_around_its_folder_makes_no_service(
    tmp_path: Path, image: str, files: dict[str, str], is_service: bool
) -> None:
    """A folder with only such an image, and with scripts that it copies, is of the project around it."""
    texts = {"pyproject.toml": '[tool.poetry]\nname = "x"\n', "app.py": "", "load/ops/Dockerfile": image}
    texts |= {f"load/ops/{name}": text for name, text in files.items()}
    found = [service.path for service in fleet_of(tmp_path, texts).services]
    assert found == [".", *(["load/ops"] if is_service else [])]


@pytest.mark.parametrize("folder", ["docker", "Docker", "images"])
@pytest.mark.parametrize(("name", "services"), [("collector", ["collector"]), ("other", ["collector"])])
def test_an_image_of_what_is_beside_its_folder_is_that_of_the_service_there(
    tmp_path: Path, folder: str, name: str, services: list[str]
) -> None:
    image = "FROM python:3.9\nWORKDIR /app\nCOPY collector /app\nRUN pip install -r requirements.txt\n"
    files = {f"{folder}/{name}/Dockerfile": image, "collector/requirements.txt": "six\n", "collector/main.py": ""}

    fleet = fleet_of(tmp_path, files)

    assert [service.path for service in fleet.services] == services
    recipe = fleet.services[0].recipe
    assert recipe is not None
    assert recipe.source == f"{folder}/{name}/Dockerfile"


@pytest.mark.parametrize(
    "lines",
    [
        "COPY api /app\nRUN pip install -r /app/requirements.txt celery==4.4\n",
        "COPY api /app\nRUN pip install celery==4.4\n",
        "COPY api /app\nCOPY common /common\nRUN pip install -r /app/requirements.txt /common\n",
    ],
)
def test_an_image_that_installs_more_than_the_service_it_copies_is_a_service(tmp_path: Path, lines: str) -> None:
    setup = "from setuptools import setup\nsetup(name='common')\n"
    files = {"api/requirements.txt": "six\n", "api/main.py": "", "worker/run.sh": "", "common/setup.py": setup}
    files |= {"worker/Dockerfile": f"FROM python:3.9\n{lines}", "api/Dockerfile": "FROM python:3.9\nCOPY . .\n"}
    assert "worker" in [service.path for service in fleet_of(tmp_path, files).services]


def test_an_image_with_its_own_code_is_a_service_beside_what_it_copies(tmp_path: Path) -> None:
    image = "FROM python:3.9\nCOPY common /common\nCOPY main.py .\nRUN pip install /common six\n"
    setup = "from setuptools import setup\nsetup(name='common')\n"
    files = {"jobs/a/Dockerfile": image, "jobs/a/main.py": "", "common/setup.py": setup}
    assert [service.path for service in fleet_of(tmp_path, files).services] == ["jobs/a"]


def test_programs_with_requirements_of_their_own_inside_of_a_distribution_are_services(tmp_path: Path) -> None:
    """Not what is in its package, nor requirements without a program."""
    files = {
        "client/setup.py": "from setuptools import setup\nsetup(name='client', packages=['client'])\n",
        "client/client/__init__.py": "",
        "client/client/bots/chess/requirements.txt": "chess\n",
        "client/client/bots/chess/chess.py": "",
        "client/integrations/__init__.py": "",
        "client/integrations/jabber/requirements.txt": "sleekxmpp\n",
        "client/integrations/jabber/mirror.py": "",
        "client/integrations/rss/requirements.txt": "feedparser\n",
        "client/functions/name/src/custom/__init__.py": "",
        "client/functions/name/src/custom/requirements.txt": "crhelper\n",
        "client/functions/name/src/custom/name.py": "",
        "client/templates/__init__.py": "",
        "client/templates/jobs/__init__.py": "",
        "client/templates/jobs/requirements.txt": "attrs\n",
        "client/templates/jobs/run.py": "",
        "client/templates/{{name}}/requirements.txt": "attrs\n",
        "client/templates/{{name}}/run.py": "",
        "client/documentation/requirements.txt": "sphinx\n",
        "client/documentation/conf.py": "",
        "client/docs/requirements.txt": "sphinx\n",
        "client/docs/make.py": "",
    }
    found = [service.path for service in fleet_of(tmp_path, files).services]
    assert found == ["client", "client/functions/name/src/custom", "client/integrations/jabber"]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (("3.11", "3.11", "3.10"), ("3.11", "2 other services are on 3.11")),
        (("3.11",), ("3.9", "the oldest interpreter of the plan")),
        (("3.11", "3.11", "3.10", "3.10"), ("3.9", "the oldest interpreter of the plan")),
        (("3.12", "3.12"), ("3.9", "the oldest interpreter of the plan")),
    ],
    ids=["most", "one", "half", "moved"],
)
def test_a_service_that_says_no_python_is_taken_to_be_on_that_of_most_others(
    tmp_path: Path, others: tuple[str, ...], expected: tuple[str, str]
) -> None:
    files = {f"s{number}/Dockerfile": f"FROM python:{other}-slim\n" for number, other in enumerate(others)}
    fleet = fleet_of(tmp_path, {**files, "z/requirements.txt": "attrs\n", "z/app.py": ""})
    quiet = next(service for service in fleet.services if service.path == "z")
    assert (str(quiet.baseline), quiet.baseline_source) == expected
    (assumption,) = [text for text in fleet.assumptions if text.startswith("z says nowhere which Python")]
    assert f"{quiet.baseline}" in assumption
    assert assumption.endswith(".")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ({"build/lambda": "3.10", "build/job": "3.10"}, ("3.10", "build/job/Dockerfile:1 says python:3.10")),
        ({"build/lambda": "3.10", "build/job": "3.11"}, ("3.9", "the oldest interpreter of the plan")),
        ({"build/lambda": "3.12"}, ("3.9", "the oldest interpreter of the plan")),
        ({".devcontainer": "3.11", "ci/lint": "3.11"}, ("3.9", "the oldest interpreter of the plan")),
    ],
    ids=["agree", "differ", "target", "for developers"],
)
def test_images_that_are_of_no_service_give_the_baseline_if_they_agree(
    tmp_path: Path, images: dict[str, str], expected: tuple[str, str]
) -> None:
    """One image for many functions, whose files a script copies beside it."""
    image = "FROM python:{}\nCOPY assets/requirements.txt /\nRUN pip install -r /requirements.txt\n"
    files = {f"{folder}/Dockerfile": image.format(version) for folder, version in images.items()}
    fleet = fleet_of(tmp_path, {**files, "z/requirements.txt": "attrs\n", "z/app.py": ""})
    (quiet,) = fleet.services
    assert (str(quiet.baseline), quiet.baseline_source) == expected


@pytest.mark.parametrize(
    ("folder", "text"), [("a z", ""), ("z", "ARG PY\nFROM python:${PY:-$(cat version)}\n")], ids=["space", "brackets"]
)
def test_the_assumption_names_the_baseline_of_most_others(tmp_path: Path, folder: str, text: str) -> None:
    files = {f"s{number}/Dockerfile": "FROM python:3.11-slim\n" for number in range(2)}
    files |= {f"{folder}/requirements.txt": "attrs\n", f"{folder}/app.py": "", f"{folder}/Dockerfile": text}
    fleet = fleet_of(tmp_path, files)
    (assumption,) = [text for text in fleet.assumptions if "says nowhere which Python" in text]
    assert assumption.endswith("; 3.11 is taken as its baseline, because 2 other services are on 3.11.")


def test_the_image_above_a_service_that_installs_it_says_what_it_runs_on(tmp_path: Path) -> None:
    """Before what its metadata allow; and it is a place of that service."""
    image = "ARG BASE=python:3.10-slim\nFROM ${BASE} AS b\nCOPY web web\nRUN cd web && pip install .\nFROM ${BASE}\n"
    image += "COPY --from=b web web\n"
    files = {"apps/w.Dockerfile": image, "apps/web/pyproject.toml": PROJECT, "apps/web/test_web.py": ""}
    files |= {"apps/jobs/pyproject.toml": PROJECT, "apps/jobs/jobs.py": ""}
    jobs, web = (fleet := fleet_of(tmp_path, files)).services
    assert (str(web.baseline), web.baseline_source) == ("3.10", "apps/w.Dockerfile:5 says python:3.10-slim")
    assert jobs.baseline_source == "the oldest interpreter of the plan"
    survey = VersionSurvey(tmp_path, fleet.services)
    assert {place.path for place in survey.read(web).declarations} == {"apps/w.Dockerfile"}
    assert survey.read(jobs).declarations == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"svc/tests/pyproject.toml": PROJECT, "svc/tests/poetry.lock": ""}, ["svc", "svc/tests"]),
        ({"svc/tests/pyproject.toml": PROJECT}, ["svc"]),
        ({"svc/tests/utils/ping/Dockerfile": "FROM python:3.9\n", "svc/tests/utils/ping/ping.py": "",
          "compose.yml": "services:\n  ping:\n    build: svc/tests/utils/ping\n"}, ["svc", "svc/tests/utils/ping"]),
        ({"svc/tests/utils/ping/Dockerfile": "FROM python:3.9\n", "compose.yml": "services:\n  ping:\n    build:"
          " svc/tests/utils/ping\n  out:\n    build: ../..\n"}, ["svc"]),
        ({"tools/run.py": "", "setup.py": "from setuptools import setup\nsetup()\n"}, ["svc"]),
        ({"make/run.py": "", "setup.py": "from setuptools import setup\nsetup()\n",
          "Dockerfile": "FROM python:3.9\nCOPY . .\nRUN pip install .\n"}, [".", "svc"]),
    ],
)  # fmt: skip
def test_services_in_tests_and_around_services(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    """A locked project of tests, what compose builds, and a root with an image and a package without a marker."""
    texts = {"svc/requirements.txt": "", "svc/tests/test_it.py": "", **files}
    assert [service.path for service in fleet_of(tmp_path, texts).services] == expected


def test_documentation_and_what_ci_runs_are_no_services(tmp_path: Path) -> None:
    files = {"website/requirements.txt": "sphinx\n", "website/source/conf.py": "", "ci/requirements.txt": ""}
    files["api/setup.cfg"] = "[options]\n"
    assert [service.path for service in fleet_of(tmp_path, files).services] == ["api"]
    (tmp_path / "website/source/app.py").touch()
    assert [service.path for service in fleet_of(tmp_path, {}).services] == ["api", "website"]


def test_tests_with_requirements_beside_no_python_are_a_service(tmp_path: Path) -> None:
    """Not beside a service, which they may belong to."""
    tests = {"tests/requirements.txt": "pytest\n", "tests/unit/test_machine.py": ""}
    files = {f"machine/{name}": text for name, text in tests.items()}
    files |= {f"shop/{name}": text for name, text in tests.items()} | {"shop/src/requirements.txt": ""}
    files |= {"java/tests/requirements.txt": "", "java/tests/machine.java": ""}
    assert [service.path for service in fleet_of(tmp_path, files).services] == ["machine/tests", "shop/src"]


SHOP = {
    "shop/template.yaml": FUNCTIONS, "shop/src/a/app.py": "", "shop/src/b/app.py": "", "shop/pytest.ini": "[pytest]\n",
    "shop/tests/requirements.txt": "moto\n", "shop/tests/unit/test_a.py": "sys.path.insert(0, './src/a')\n",
    "shop/tests/unit/test_all.py": "", "shop/tests/integration/test_stack.py": "import src.b.app\n",
}  # fmt: skip


def test_tests_beside_several_functions_belong_to_those_that_they_name(tmp_path: Path) -> None:
    """Of tests in ``unit`` and elsewhere only the former are run; the rest may need what is deployed."""
    fleet = fleet_of(tmp_path, SHOP)
    first, second = fleet.services
    assert first.suite == Suite(kind=SuiteKind.PYTEST, arguments=("tests/unit/test_a.py",), folder="shop")
    assert first.settings.needs == ("shop/tests",)
    assert [str(source) for source in first.test_requirements] == ["shop/tests/requirements.txt"]
    assert second.suite is None
    assert "a is tested with tests/unit/test_a.py in shop, which is beside it." in fleet.assumptions
    assert not any("requirements.txt belongs to no service" in text for text in fleet.assumptions)


def test_tests_beside_a_function_run_where_their_settings_are(tmp_path: Path) -> None:
    """pytest looks for them in the folders around the tests, and takes paths from there."""
    files = {path: text for path, text in SHOP.items() if path != "shop/pytest.ini"}
    fleet = fleet_of(tmp_path, {**{f"eu/{path}": text for path, text in files.items()}, "eu/pytest.ini": "[pytest]\n"})
    assert fleet.services[0].suite == Suite(
        kind=SuiteKind.PYTEST, arguments=("shop/tests/unit/test_a.py",), folder="eu"
    )


@pytest.mark.parametrize(
    ("line", "is_its"),
    [
        ("from orders.app import run", True), ("if True:\n    import orders", True), ("patch('orders.app.run')", True),
        ("sys.path.insert(0, 'orders')", True), ("ROOT / 'orders'", True), ('load("../orders/app.py")', True),
        ('client.get("/orders/1")', False), ('answer["orders"]', False), ("# no orders", False),
        ("from reorders import orders", False), ('"https://orders.example.org"', False),
    ],
)  # fmt: skip
def test_one_word_names_a_service_as_code_or_folder_only(tmp_path: Path, line: str, is_its: bool) -> None:
    files = {"orders/requirements.txt": "", "web/requirements.txt": "", "tests/test_all.py": f"import os\n{line}\n"}
    first, _ = fleet_of(tmp_path, files).services
    assert (first.suite is not None) is is_its


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"infra/variables.tf": 'variable "runtime" {\n  default = "python3.9"\n}\n'}, "infra/variables.tf:2 says 3.9"),
        (
            {
                "cdk/app.ts": "import 'aws-cdk-lib';\n"
                + "Runtime.PYTHON_3_10;\nRuntime.PYTHON_3_9;\nRuntime.PYTHON_3_9;\n"
            },
            "cdk/app.ts:3 says Runtime.PYTHON_3_9",
        ),
        (
            {"cdk/app.ts": "import 'aws-cdk-lib';\nRuntime.PYTHON_3_10;\nRuntime.PYTHON_3_9;\n"},
            ".tool-versions:1 says python 3.11.2",
        ),
        (
            {"infra/layer.tf": 'compatible_runtimes = ["python3.8", "python3.10"]\n'},
            ".tool-versions:1 says python 3.11.2",
        ),
        ({"infra/new.tf": 'runtime = "python3.12"\n'}, ".tool-versions:1 says python 3.11.2"),
        ({}, ".tool-versions:1 says python 3.11.2"),
    ],
)
def test_a_function_runs_where_most_functions_do(tmp_path: Path, files: dict[str, str], source: str) -> None:
    """Before what developers have on their machines."""
    function = {"a/requirements.txt": "six\n", "a/app.py": "import boto3\ndef run(event, context): ...\n"}
    (service,) = fleet_of(tmp_path, {**function, **files, ".tool-versions": "python 3.11.2\n"}).services
    assert service.baseline_source == source


MIRRORED = {
    "source/orders/requirements.txt": "six==1.16.0\n", "source/lib/shared/shared.py": "",
    "source/users/requirements.txt": "six==1.16.0\n", "test/unit/requirements.txt": "six==1.17.0\npytest\n",
    "test/unit/orders/test_app.py": "", "test/unit/orders/test_more.py": "", "test/unit/test_all.py": "",
    "test/unit/people/test_app.py": "", "test/e2e/orders/test_app.py": "",
    "test/unit/orders/conftest.py": "PATHS = ['../../source/orders/', '../../source/lib', '../../none']\n",
    "test/unit/people/conftest.py": "PATHS = ['../../source/users']\n",
}  # fmt: skip


def test_folders_of_tests_repeat_the_names_of_services_or_their_fixtures_name_them(tmp_path: Path) -> None:
    """They run where the paths in them begin, with the requirements beside them if those exclude the service's."""
    orders, users = fleet_of(tmp_path, MIRRORED).services
    assert orders.suite == Suite(kind=SuiteKind.PYTEST, arguments=("orders",), folder="test/unit")
    assert users.suite == Suite(kind=SuiteKind.PYTEST, arguments=("people",), folder="test/unit")
    assert orders.settings.needs == ("test", "source/lib")
    assert [source.path for source in orders.test_requirements] == ["test/unit/requirements.txt"]
    assert orders.separate_tests


@pytest.mark.parametrize(
    ("changes", "has_suite"),
    [
        ({"test/unit/orders/conftest.py": None}, True),
        ({"test/unit/orders/conftest.py": "PATHS = ['../../source/orders', '../../source/users']"}, True),
        ({"test/unit/people/conftest.py": "PATHS = ['../../source/orders', '../../source/users']"}, False),
        ({"old/orders/requirements.txt": "", "test/unit/orders/conftest.py": None}, False),
        ({"test/unit/orders/conftest.py": "PATH = join(dirname(__file__), '../../../source/orders')"}, True),
    ],
)
def test_of_which_service_a_folder_of_tests_is(tmp_path: Path, changes: dict[str, str | None], has_suite: bool) -> None:
    """A name that two services have, and fixtures for all of them, say nothing."""
    files = {name: text for name, text in {**MIRRORED, **changes}.items() if text is not None}
    services = {service.path: service for service in fleet_of(tmp_path, files).services}
    of_people = "test/unit/people/conftest.py" in changes
    assert (services["source/users" if of_people else "source/orders"].suite is not None) is has_suite


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Suite(kind=SuiteKind.PYTEST, arguments=("tests/unit",), folder="shop")),
        ({"shop/tests/unit/test_a.py": None, "shop/tests/unit/test_all.py": None},
         Suite(kind=SuiteKind.PYTEST, arguments=("tests",), folder="shop")),
        ({"shop/src/a/test_own.py": ""}, Suite(kind=SuiteKind.PYTEST)),
        ({"shop/tests/pyproject.toml": PROJECT, "shop/tests/inner/pyproject.toml": PROJECT,
          "shop/tests/inner/poetry.lock": ""}, None),
    ],
)  # fmt: skip
def test_tests_beside_the_only_function(tmp_path: Path, changes: dict[str, str | None], expected: Suite | None) -> None:
    """Its own tests count before them, and those that are a service are not its."""
    files = {name: text for name, text in {**SHOP, **changes}.items() if text is not None and "/b/" not in name}
    fleet = fleet_of(tmp_path, files)
    service = next(service for service in fleet.services if service.path.startswith("shop/src"))
    assert service.suite == expected


def test_a_plan_that_says_how_a_service_is_tested_is_kept(tmp_path: Path) -> None:
    settings = ServiceSettings(suite_skip_reason="none here")
    fleet = fleet_of(tmp_path, SHOP, overrides=(("a", settings),))
    assert [service.suite for service in fleet.services] == [None, None]


def test_what_a_platform_provides_is_an_assumption(tmp_path: Path) -> None:
    """It is required in no file, and follows what is; layers are on the path, and go where the function goes."""
    template = FUNCTIONS.replace("CodeUri: src/a,", "CodeUri: src/a, Layers: [!Ref L],")
    template += '  L: {Type: "AWS::Serverless::LayerVersion", Properties: {ContentUri: layer}}\n'
    files = {"template.yaml": template, "src/a/app.py": "", "src/a/requirements.txt": "six\n", "src/b/app.py": ""}
    fleet = fleet_of(tmp_path, {**files, "layer/python/shared.py": ""})
    first, second = fleet.services
    assert [str(source) for source in first.requirements] == ["src/a/requirements.txt", "template.yaml:1 (provided)"]
    assert [source.settings.provided for source in first.requirements] == [False, True]
    assert (first.python_path, first.settings.needs) == (("../../layer/python",), ("layer/python",))
    assert (second.python_path, second.settings.needs) == ((), ())
    (sentence,) = [text for text in fleet.assumptions if "provides" in text]
    assert sentence.startswith("AWS Lambda provides boto3, botocore, ")
    assert " to a (template.yaml:1), b (template.yaml:1): the newest versions are installed" in sentence


def test_services_of_one_name_are_distinguished_by_what_is_above_them(tmp_path: Path) -> None:
    """Only where it is needed."""
    fleet = fleet_of(
        tmp_path, {"eu/api/requirements.txt": "", "us/api/requirements.txt": "", "us/web/requirements.txt": ""}
    )
    assert [service.name for service in fleet.services] == ["eu-api", "us-api", "web"]


@given(st.sets(st.lists(st.sampled_from(["a", "b", "a-b", "b-a"]), min_size=1, max_size=3).map("/".join), max_size=12))
def test_names_are_always_unique(paths: set[str]) -> None:
    """Even where folders are named like the joined names of others."""
    names = unique_names(sorted(paths), "root")
    assert len(set(names.values())) == len(paths)


def test_links_do_not_lead_out_of_the_root_or_round_in_circles(tmp_path: Path) -> None:
    """A linked folder lies elsewhere, a linked file outside is not read."""
    lay(tmp_path / "outside", {"requirements.txt": "", "Dockerfile": "FROM python:3.9\n"})
    root = tmp_path / "root"
    lay(root, {"svc/requirements.txt": ""})
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "svc" / "loop").symlink_to(root)
    (root / "svc" / "Dockerfile").symlink_to(tmp_path / "outside" / "Dockerfile")
    (service,) = discover(Plan(root=root)).services
    assert service.path == "svc"
    assert service.images == ()


# ---- what the plan says


def test_the_plan_names_the_folders(tmp_path: Path) -> None:
    """Globs of folders; a match without a sign of Python is skipped, which is reported."""
    files = {"services/a/requirements.txt": "", "services/web/index.html": "", "other/b/requirements.txt": ""}
    fleet = fleet_of(tmp_path, files, services=("services/*",))
    assert [service.name for service in fleet.services] == ["a"]
    assert [text for text in fleet.assumptions if text.startswith('services/web fits "services/*"')]


def test_a_glob_may_cross_folders(tmp_path: Path) -> None:
    """``**`` is any number of them."""
    files = {"services/a/requirements.txt": "", "services/g/b/requirements.txt": ""}
    fleet = fleet_of(tmp_path, files, services=("services/**",))
    assert [service.name for service in fleet.services] == ["a", "b"]


def test_a_glob_that_fits_nothing_is_answered_with_a_suggestion(tmp_path: Path) -> None:
    """A slip of the pen must not make the fleet smaller in silence."""
    with pytest.raises(
        PlanError, match=r'"services/user-servce" fits no folder, perhaps you meant "services/user-service"'
    ):
        fleet_of(tmp_path, {"services/user-service/requirements.txt": ""}, services=("services/user-servce",))


def test_excluded_services_are_left_out(tmp_path: Path) -> None:
    """By name, path or glob; with none left there is no fleet."""
    files = {"services/a/requirements.txt": "", "services/b/requirements.txt": "", "legacy/c/requirements.txt": ""}
    fleet = fleet_of(tmp_path, files, exclude=("b", "legacy/*"))
    assert [service.name for service in fleet.services] == ["a"]
    with pytest.raises(NoFleetError, match="not excluded"):
        discover(Plan(root=tmp_path, exclude=("services/*", "legacy")))


def test_stages_come_from_the_plan(tmp_path: Path) -> None:
    """Ordered by stage, then path; a service in none is at stage 0, which is reported."""
    files = {f"services/{name}/requirements.txt": "" for name in ("a", "b", "c")}
    stages = (Stage(number=2, services=("a",)), Stage(number=1, services=("services/b",), critical=True))
    fleet = fleet_of(tmp_path, files, stages=stages)
    assert [(one.name, one.stage, one.critical) for one in fleet.services] == [
        ("c", 0, False),
        ("b", 1, True),
        ("a", 2, False),
    ]
    assert "c is in no stage of the plan; it counts as stage 0." in fleet.assumptions


def test_settings_hold_over_what_is_inferred(tmp_path: Path) -> None:
    """Baseline, requirements, tests, path."""
    settings = ServiceSettings(
        baseline=Interpreter(3, 10),
        requirements=("../shared/all.txt",),
        test_requirements=("pyproject.toml [dependency-groups.qa]",),
        suite=Suite(kind=SuiteKind.UNITTEST),
        python_path=("lib",),
    )
    files = {
        "svc/requirements.txt": "", "svc/pyproject.toml": '[dependency-groups]\nqa = ["pytest"]\n',
        "shared/all.txt": "", "svc/Dockerfile": "FROM python:3.9\n", "svc/tests/test_a.py": "",
    }  # fmt: skip
    (service,) = fleet_of(tmp_path, files, overrides=(("svc", settings),)).services
    assert (str(service.baseline), service.baseline_source) == ("3.10", "the plan says 3.10")
    assert [str(source) for source in service.requirements] == ["shared/all.txt"]
    assert [str(source) for source in service.test_requirements] == ["svc/pyproject.toml [dependency-groups.qa]"]
    assert service.suite == Suite(kind=SuiteKind.UNITTEST)
    assert service.python_path == ("lib",)


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        ("../../outside.txt", "leads out of the folder of the plan"),
        ("requirments.txt", 'perhaps you meant "requirements.txt"'),
    ],
)
def test_requirement_files_of_the_plan_must_exist_inside_the_root(
    tmp_path: Path, requirements: str, words: str
) -> None:
    """A mistake of the plan, so it stops the run."""
    settings = ServiceSettings(requirements=(requirements,))
    with pytest.raises(PlanError, match=words):
        service_of(tmp_path, {"requirements.txt": ""}, overrides=(("svc", settings),))


def test_a_suite_that_the_plan_skips_is_none(tmp_path: Path) -> None:
    """Its reason stays in the settings."""
    settings = ServiceSettings(suite_skip_reason="needs a camera")
    service = service_of(tmp_path, {"requirements.txt": "", "tests/test_a.py": ""}, overrides=(("svc", settings),))
    assert service.suite is None


# ---- the baseline

IN_SEQUENCE = "jobs:\n  test:\n    steps:\n" + "".join(
    f"      - uses: actions/setup-python@v5\n        with: {{python-version: '3.{minor}'}}\n" for minor in (8, 9, 10)
)


@pytest.mark.parametrize(
    ("files", "baseline", "source"),
    [
        (
            {"Dockerfile": "FROM ubuntu\nRUN apt-get install -y python3.9 python3-pip\n", ".python-version": "3.10\n"},
            "3.9",
            "svc/Dockerfile:2 installs python3.9",
        ),
        (
            {"Dockerfile": "FROM ubi8\nRUN microdnf install -y python39 \\\n  python39-devel && echo python311\n"},
            "3.9",
            "svc/Dockerfile:2 installs python39",
        ),
        (
            {"Dockerfile": "FROM node:18-bullseye-slim AS a\nFROM a\nRUN apt install python3\nCMD python3 a\n"},
            "3.9",
            "svc/Dockerfile:3 installs python3 of node:18-bullseye-slim",
        ),
        (
            {"Dockerfile": "FROM nvidia/cuda:12-ubuntu22.04@sha256:1\nRUN apt install python3-pip\nCMD flask run\n"},
            "3.10",
            "svc/Dockerfile:2 installs python3-pip of nvidia/cuda:12-ubuntu22.04@sha256:1",
        ),
        (
            {"Dockerfile": "FROM node:18-bullseye\nRUN apt install python3\nCMD npm\n", ".python-version": "3.10\n"},
            "3.10",
            "svc/.python-version:1 says 3.10",
        ),
        (
            {"Dockerfile": "FROM jammy/focal-loss:1\nRUN apk add python3\nCMD a.py\n", "runtime.txt": "python-3.9\n"},
            "3.9",
            "svc/runtime.txt:1 says python-3.9",
        ),
        (
            {"Dockerfile": "FROM ubuntu\nRUN apt install python3\n", ".python-version": "3.10\n"},
            "3.10",
            "svc/.python-version:1 says 3.10",
        ),
        (
            {"Dockerfile": "FROM ubuntu\nRUN apt install python3.9 python3.11\n", ".python-version": "3.10\n"},
            "3.10",
            "svc/.python-version:1 says 3.10",
        ),
        ({"Dockerfile": "FROM python:3.9\n"}, "3.9", "svc/Dockerfile:1 says python:3.9"),
        ({"Dockerfile": "FROM python:3.12 AS a\nFROM python:3.10-slim\n"}, "3.10",
         "svc/Dockerfile:2 says python:3.10-slim"),
        ({"Dockerfile": "FROM python:3.8\n", ".python-version": "3.12\n"}, "3.8", "svc/Dockerfile:1 says python:3.8"),
        ({"Dockerfile": "FROM python:3\n", ".python-version": "3.10.2\n"}, "3.10", "svc/.python-version:1 says 3.10.2"),
        ({"runtime.txt": "python-3.9.1\n", "pyproject.toml": PROJECT + 'requires-python = ">=3.10"'}, "3.9",
         "svc/runtime.txt:1 says python-3.9.1"),
        ({"pyproject.toml": PROJECT + 'requires-python = ">=3.10,<3.12"\n'}, "3.10",
         "svc/pyproject.toml:4 says >=3.10,<3.12"),
        ({"setup.cfg": "[options]\npython_requires = >=3.6\n"}, "3.9",
         "svc/setup.cfg:2 says >=3.6, of which 3.9 is the oldest in the plan"),
        ({"requirements.txt": "", ".github/workflows/ci.yml": "python-version: ['3.12', '3.10']\n"}, "3.10",
         "svc/.github/workflows/ci.yml:1 says 3.10"),
        ({"tox.ini": "[testenv:a]\ncommands =\n  docker build --build-arg PYTHON_VERSION=3.10.1 .\n"}, "3.10",
         "svc/tox.ini:3 says 3.10.1"),
        ({"tox.ini": "[tox]\nenvlist = py27, py312, py311, py310\n"}, "3.11", "svc/tox.ini:2 says py311"),
        ({"setup.cfg": "[options]\npython_requires = >=3.6\n", ".github/workflows/ci.yml":
          "python-version: ['3.9', '3.10']\n"}, "3.10", "svc/.github/workflows/ci.yml:1 says 3.10"),
        ({"setup.cfg": "[options]\npython_requires = >=3.6\n", ".github/workflows/ci.yml": IN_SEQUENCE}, "3.10",
         "svc/.github/workflows/ci.yml:9 says 3.10"),
        ({"setup.cfg": "[options]\npython_requires = >=3.9\n", ".github/workflows/ci.yml":
          "python-version: '3.10'\n"}, "3.9", "svc/setup.cfg:2 says >=3.9"),
        ({"setup.cfg": "[options]\npython_requires = >=3.9\n", ".github/.python-version": "3.10.4\n",
          ".github/workflows/ci.yml": "jobs:\n  t:\n    steps:\n    - uses: actions/setup-python@v5\n      with:\n"
          "        python-version-file: .github/.python-version\n"},
         "3.10", "svc/.github/.python-version:1 says 3.10.4"),
        ({"requirements.txt": ""}, "3.9", "the oldest interpreter of the plan"),
    ],
)  # fmt: skip
def test_the_most_telling_file_gives_the_baseline(
    tmp_path: Path, files: dict[str, str], baseline: str, source: str
) -> None:
    """Image, pin, the newest of a matrix, requires-python, workflow, plan; the source is described."""
    service = service_of(tmp_path, {"requirements.txt": "", **files})
    assert (str(service.baseline), service.baseline_source) == (baseline, source)


JOBS = """\
on: push
jobs:
  # the newest comes first
  lint:
    strategy: {matrix: {python: ['3.12', '3.8']}}
    steps:
      - run: pip install ruff
  test-a:
    strategy:
      matrix: {python: ['3.9', '3.10', '3.11']}
    steps:
      - uses: actions/setup-python@v5
        with: {python-version: '${{ matrix.python }}'}
      - run: pip install -e libs/a[test] && pytest libs/a
  test-b:
    strategy: {matrix: {python: ['3.9', '3.10']}}
    steps:
      - uses: actions/setup-python@v5
        with: {python-version: '${{ matrix.python }}'}
      - run: pip install -e libs/b[test] && pytest libs/b
"""


def test_a_job_of_the_root_gives_the_baseline_of_the_project_that_it_tests(tmp_path: Path) -> None:
    """Only the matrix of that job counts: the code of the project is known to work there."""
    project = PROJECT + 'requires-python = ">=3.8"\n[project.optional-dependencies]\ntest = ["pytest"]\n'
    files = {f"libs/{name}/{file}": text for name in "abc" for file, text in
             (("pyproject.toml", project), (f"{name}.py", ""), ("tests/test_x.py", ""))}  # fmt: skip
    fleet = discover(default_plan(service_tree(tmp_path, {".github/workflows/ci.yml": JOBS, **files})))

    assert {service.name: (str(service.baseline), service.baseline_source.partition(" ")[0])
            for service in fleet.services} == {
        "a": ("3.11", ".github/workflows/ci.yml:10"),
        "b": ("3.10", ".github/workflows/ci.yml:16"),
        "c": ("3.9", "libs/c/pyproject.toml:4"),
    }  # fmt: skip


def test_the_job_is_asked_only_where_nothing_of_the_service_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workflow is read for each service, and a fleet has many that have an image."""
    monkeypatch.setattr(service_description, "_declarations_of_workflow", lambda *_: pytest.fail("it was read"))
    files = {"requirements.txt": "", "a.py": "", "tests/test_x.py": "", "Dockerfile": "FROM python:3.9\n"}
    texts = {f"libs/a/{name}": text for name, text in files.items()}
    fleet = discover(default_plan(service_tree(tmp_path, {".github/workflows/ci.yml": JOBS, **texts})))

    assert [(str(service.baseline), service.unread) for service in fleet.services] == [("3.9", "")]


@pytest.mark.parametrize(
    ("line", "lines"), [(1, range(0)), (4, range(4, 8)), (7, range(4, 8)), (14, range(8, 15)), (16, range(15, 21))]
)
def test_the_lines_of_a_job(line: int, lines: range) -> None:
    assert job_around(JOBS, line) == lines


@given(st.text(alphabet="jobs:\n ab-#{}", max_size=80), st.integers(1, 10))
def test_no_text_makes_a_job_of_other_lines(text: str, line: int) -> None:
    lines = job_around(text, line)
    assert not lines or line in lines


@pytest.mark.parametrize("version", ["3.9", "3.10"])
@pytest.mark.parametrize(
    ("path", "text", "source"),
    [
        ("Dockerfile.user-service", "FROM python:@ AS a\nFROM python:@-slim\nADD services/user-service /app\n", ":2"),
        ("docker/web.Dockerfile", "FROM python:@\nADD services/user-service /app\n", ":1"),
        (
            "template.yaml",
            "Resources:\n  Look:\n    Type: AWS::Serverless::Function\n    Properties:\n"
            "      CodeUri: services/user-service/\n      Runtime: python@\n  UserService:\n    Properties:\n"
            "      CodeUri: services/other/\n      Runtime: python3.8\n",
            ":6",
        ),
        (
            "serverless.yml",
            "functions:\n  a:\n    handler: services/user-service/handler.main\n    runtime: python@\n"
            "  b:\n    handler: services/other/handler.main\n    runtime: python3.8\n",
            ":4",
        ),
        ("tox.ini", "[tox]\nenvlist = user-service-py@, lint-py38\n", ":2"),
    ],
)  # fmt: skip
def test_a_shared_file_gives_the_baseline_of_a_service_that_declares_none(
    tmp_path: Path, path: str, text: str, source: str, version: str
) -> None:
    """By what it adds, by the folder of its code, by the factors of an environment; not by a similar name."""
    files = {f"services/{name}/requirements.txt": "" for name in ("user-service", "other")}
    fleet = fleet_of(tmp_path, {path: text.replace("@", version), **files})
    service = fleet["user-service"]
    assert (str(service.baseline), service.baseline_source.partition(" says")[0]) == (version, f"{path}{source}")
    assert not any(text.startswith("user-service says nowhere") for text in fleet.assumptions)


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({".python-version": "3.10\n", "tox.ini": "[tox]\nenvlist = py39\n"}, ".python-version:1"),
        ({"tox.ini": "[tox]\nenvlist = py39, py310, py312\n"}, "tox.ini:2"),  # the newest before the target
        (
            {
                ".github/workflows/ci.yml": "jobs:\n  t:\n    steps:\n    - uses: actions/setup-python@v5\n"
                '      with:\n        python-version: "3.10"\n    - run: make test\n'
            },
            ".github/workflows/ci.yml:6",
        ),
    ],
)
def test_what_is_for_all_services_gives_the_baseline_of_those_that_nothing_names(
    tmp_path: Path, files: dict[str, str], source: str
) -> None:
    fleet = fleet_of(tmp_path, {**files, "services/a/requirements.txt": "", "services/b/requirements.txt": ""})

    found = [(str(service.baseline), service.baseline_source.partition(" says")[0]) for service in fleet.services]
    assert found == [("3.10", source)] * 2
    assert not any("says nowhere" in text for text in fleet.assumptions)


def test_a_function_follows_its_own_runtime_and_its_code(tmp_path: Path) -> None:
    """Not the one of all functions, and not a function of its name."""
    text = (
        "provider:\n  runtime: python3.9\nfunctions:\n  b:\n    handler: a/handler.main\n"
        "  a:\n    handler: b/handler.main\n    runtime: python3.10\n"
    )
    fleet = fleet_of(tmp_path, {"serverless.yml": text, "a/requirements.txt": "", "b/requirements.txt": ""})

    assert [(service.path, str(service.baseline)) for service in fleet.services] == [("a", "3.9"), ("b", "3.10")]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("[tool.poetry]\n", []),
        ("[tool.poetry]\npackage-mode = false\n", []),
        ('[tool.poetry]\n[tool.poetry.dependencies]\npython = "^3.9"\n', ["tests"]),
        ('[project]\nname = "tests"\n', ["tests"]),
    ],
)
def test_a_table_of_poetry_alone_is_no_service(tmp_path: Path, table: str, expected: list[str]) -> None:
    fleet = fleet_of(tmp_path, {"tests/pyproject.toml": table, "tests/test_a.py": "", "api/requirements.txt": ""})

    assert [service.path for service in fleet.services] == ["api", *expected]


def test_groups_of_poetry_are_those_that_poetry_installs(tmp_path: Path) -> None:
    """All that are not optional; an optional one if it is for tests."""
    text = (
        '[tool.poetry]\nname = "a"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.9"\n'
        '[tool.poetry.group.integration.dependencies]\nattrs = "*"\n[tool.poetry.group.tests]\noptional = true\n'
        '[tool.poetry.group.tests.dependencies]\npytest = "*"\n[tool.poetry.group.docs]\noptional = true\n'
        '[tool.poetry.group.docs.dependencies]\nsphinx = "*"\n[tool.poetry.group.quality]\noptional = true\n'
        '[tool.poetry.group.quality.dependencies]\nruff = "*"\npytest = "*"\n'
    )
    (service,) = fleet_of(tmp_path, {"svc/pyproject.toml": text, "svc/a.py": ""}).services

    assert [source.table for source in service.test_requirements] == [
        "tool.poetry.group.integration.dependencies",
        "tool.poetry.group.tests.dependencies",
        "tool.poetry.group.quality.dependencies",
    ]


def test_a_baseline_above_the_oldest_supported_is_reported(tmp_path: Path) -> None:
    """The plan's interpreters do not reach down to what the service allows."""
    fleet = fleet_of(tmp_path, {"svc/pyproject.toml": PROJECT + 'requires-python = ">=3.8"\n'})
    assert str(fleet["svc"].baseline) == "3.9"
    assert fleet.assumptions[0].startswith("svc allows 3.8 as well, which is not in the plan; 3.9 is taken as its")


def test_dockerfiles_that_disagree_are_reported(tmp_path: Path) -> None:
    """The oldest counts; those of tests and tools do not."""
    fleet = fleet_of(
        tmp_path,
        {
            "svc/Dockerfile": "FROM python:3.12\n",
            "svc/deploy/docker/Dockerfile": "FROM python:3.9 AS b\nFROM python:3.10\n",
            "svc/test/client/Dockerfile": "FROM python:3.9\n",
            "svc/Dockerfile.dev": "FROM python:3.9\n",
        },
    )
    (service,) = fleet.services
    assert str(service.baseline) == "3.10"
    assert service.baseline_source == "svc/deploy/docker/Dockerfile:2 says python:3.10"
    (assumption,) = fleet.assumptions
    assert "svc has Dockerfiles that disagree" in assumption
    assert "svc/Dockerfile:1 says python:3.12" in assumption


def test_a_service_past_the_target_has_the_target_as_its_baseline(tmp_path: Path) -> None:
    """And it is reported as an assumption."""
    fleet = fleet_of(tmp_path, {"svc/Dockerfile": "FROM python:3.13\n"})
    assert str(fleet["svc"].baseline) == "3.12"
    assert "past the target" in fleet.assumptions[0]


NEWER = "[project]\nname = 'new'\nrequires-python = '>=3.13'\n"


def test_a_service_that_needs_a_newer_python_is_not_checked(tmp_path: Path) -> None:
    """There is nothing to move."""
    files = {
        "old/Dockerfile": "FROM python:3.9\n",
        "new/pyproject.toml": NEWER,
        "image/pyproject.toml": NEWER,
        "image/Dockerfile": "FROM python:3.12\n",
    }
    fleet = fleet_of(tmp_path, files)
    assert [each.name for each in fleet.services] == ["image", "old"]
    assert 'new is past 3.12 already (new/pyproject.toml:3 says ">=3.13"), so it is not checked.' in fleet.assumptions


def test_a_fleet_that_is_past_the_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoFleetError, match=r"nothing is to be moved to 3\.12.*new is past 3\.12 already"):
        fleet_of(tmp_path, {"new/pyproject.toml": NEWER})


def test_a_service_on_a_python_that_is_too_old_is_compared_with_the_oldest_of_the_plan(tmp_path: Path) -> None:
    """And it is reported as an assumption."""
    fleet = fleet_of(tmp_path, {"svc/Dockerfile": "FROM python:3.6-alpine\n"})
    assert str(fleet["svc"].baseline) == "3.9"
    assert fleet.assumptions[0].startswith("svc is on 3.6 (svc/Dockerfile:1 says python:3.6-alpine), on which nothing")


def test_a_service_that_says_nothing_is_assumed_to_be_on_the_oldest(tmp_path: Path) -> None:
    """And it is reported as an assumption."""
    fleet = fleet_of(tmp_path, {"svc/requirements.txt": ""})
    assert fleet.assumptions == (
        "svc says nowhere which Python it runs on; 3.9, the oldest of the plan, is taken as its baseline.",
        "No Dockerfile says what is installed for svc: the requirements are taken from files by their names.",
    )


# ---- requirements, suite, path, declarations


@pytest.mark.parametrize(
    ("files", "run_time", "tests"),
    [
        (["requirements.txt", "requirements-dev.txt"], ["requirements.txt"], ["requirements-dev.txt"]),
        (["requirements.in", "requirements.txt"], ["requirements.txt"], []),
        (["requirements.in"], ["requirements.in"], []),
        (["requirements/base.txt", "requirements/prod.txt", "requirements/test.txt"],
         ["requirements/base.txt", "requirements/prod.txt"], ["requirements/test.txt"]),
        (["requirements.txt", "requirements-test.txt", "requirements-dev.txt"], ["requirements.txt"],
         ["requirements-test.txt"]),
        (["requirements.txt", "test_requirements.txt"], ["requirements.txt"], ["test_requirements.txt"]),
        (["requirements.txt", "requirements.ci.txt"], ["requirements.txt"], ["requirements.ci.txt"]),
        (["requirements.txt", "tests/requirements.txt"], ["requirements.txt"], ["tests/requirements.txt"]),
        (["requirements.txt", "requirements_for_test.txt"], ["requirements.txt"], ["requirements_for_test.txt"]),
        (["requirements/base.txt", "requirements/local.txt"], ["requirements/base.txt"], ["requirements/local.txt"]),
    ],
)  # fmt: skip
def test_requirement_files_are_recognised_by_their_names(
    tmp_path: Path, files: list[str], run_time: list[str], tests: list[str]
) -> None:
    """What serves run time, and what the tests."""
    service = service_of(tmp_path, dict.fromkeys(files, ""))
    assert [source.path for source in service.requirements] == [f"svc/{name}" for name in run_time]
    assert [source.path for source in service.test_requirements] == [f"svc/{name}" for name in tests]


def test_tables_are_sources_beside_files(tmp_path: Path) -> None:
    """The run time takes both; for the tests a table named for them comes before files for development."""
    text = PROJECT + 'dependencies = ["a"]\n[project.optional-dependencies]\ntest = ["b"]\ndocs = ["c"]\n'
    fleet = fleet_of(tmp_path, {"svc/requirements.txt": "", "svc/requirements-dev.txt": "", "svc/pyproject.toml": text})
    service = fleet["svc"]
    assert [str(source) for source in service.requirements] == [
        "svc/requirements.txt",
        "svc/pyproject.toml [project.dependencies]",
    ]
    assert [str(source) for source in service.test_requirements] == [
        "svc/pyproject.toml [project.optional-dependencies.test]"
    ]
    assert [str(source) for source in service.additional_requirements] == ["svc/requirements-dev.txt"]


@pytest.mark.parametrize(
    ("required", "together"),
    [("a==1.5", True), ("a==3.0", False), ("a", True), ('a==3.0; python_version < "3.9"', True), ("b==3.0", True)],
)
@pytest.mark.parametrize("installed", [True, False])
def test_a_table_and_a_file_that_exclude_each_other_are_two_sets(
    tmp_path: Path, required: str, together: bool, installed: bool
) -> None:
    """Unless an image is known to install both."""
    files = {"svc/requirements.txt": f"{required}\n", "svc/pyproject.toml": PROJECT + 'dependencies = ["a<2"]\n'}
    if installed:
        files["svc/Dockerfile"] = "FROM python:3.11\nCOPY . .\nRUN pip install -r requirements.txt .\n"
    fleet = fleet_of(tmp_path, files)
    table = "svc/pyproject.toml [project.dependencies]"
    assert (table in map(str, fleet["svc"].requirements)) is (together or installed)
    assert (table in map(str, fleet["svc"].additional_requirements)) is not (together or installed)
    assert any("exclude each other" in text for text in fleet.assumptions) is not (together or installed)


@pytest.mark.parametrize(
    ("of_tests", "command", "separate"),
    [
        ("attrs==22.2.0\npytest\n", "-r test.txt", True),
        ("attrs==23.2.0\npytest\n", "-r test.txt", False),
        ("attrs\npytest\n", "-r test.txt", False),
        ("attrs==22.2.0\npytest\n", "-r requirements.txt -r test.txt", False),
    ],
)
def test_tests_with_other_versions_than_production_have_an_environment_of_their_own(
    tmp_path: Path, of_tests: str, command: str, separate: bool
) -> None:
    """Where it is known what installs them, and nothing installs both."""
    files = {
        "svc/Dockerfile": "FROM python:3.10\nCOPY . .\nRUN pip install -r requirements.txt\n",
        "svc/requirements.txt": "attrs==23.2.0\n",
        "svc/test.txt": of_tests,
        "svc/tox.ini": f"[tox]\nenvlist = py39, py310\n[testenv]\ndeps = {command}\ncommands = pytest\n",
    }
    fleet = fleet_of(tmp_path, files)

    assert fleet["svc"].separate_tests is separate
    assert any("other versions of attrs than production" in text for text in fleet.assumptions) is separate


COMPILED = "# This file is autogenerated by pip-compile with Python 3.10\n#\n#    pip-compile test_requirements.in\n"


@pytest.mark.parametrize(
    ("header", "source", "separate"),
    [
        (COMPILED, "-r requirements.txt\n", True),
        (COMPILED, "-r requirements.in\n", True),
        (COMPILED, "pytest\n", False),
        ("", "-r requirements.txt\n", False),
    ],
)
def test_a_file_of_tests_that_is_compiled_from_that_of_production_is_complete_by_itself(
    tmp_path: Path, header: str, source: str, separate: bool
) -> None:
    """Nothing says what installs the tests, and a file that is compiled with `-r requirements.txt` contains it."""
    production = "# This file is autogenerated by pip-compile with Python 3.9\n#\n#    pip-compile requirements.in\n"
    files = {
        "svc/requirements.in": "attrs\n",
        "svc/requirements.txt": f"{production}attrs==22.2.0\n",
        "svc/test_requirements.in": source,
        "svc/test_requirements.txt": f"{header}attrs==23.2.0\npytest==8.0.0\n",
    }
    assert fleet_of(tmp_path, files)["svc"].separate_tests is separate


def test_a_pyproject_that_cannot_be_parsed_stays_a_source(tmp_path: Path) -> None:
    """So that its trouble is met when requirements are read, and is not taken for none."""
    service = service_of(tmp_path, {"requirements.txt": "", "pyproject.toml": "[project\n"})
    assert "svc/pyproject.toml [project.dependencies]" in map(str, service.requirements)


def test_a_charm_has_its_libraries_on_the_path(tmp_path: Path) -> None:
    files = {"charmcraft.yaml": "type: charm\n", "requirements.txt": "ops\n", "src/charm.py": "", "lib/charms/x.py": ""}
    assert service_of(tmp_path, files).python_path == ("lib", "src")


def test_src_is_put_on_the_path_where_nothing_installs_it(tmp_path: Path) -> None:
    """A distribution is installed into the cell instead."""
    plain = fleet_of(tmp_path / "a", {"svc/requirements.txt": "", "svc/src/x/__init__.py": ""})["svc"]
    distributed = fleet_of(tmp_path / "b", {"svc/pyproject.toml": PROJECT, "svc/src/x/__init__.py": ""})["svc"]
    assert (plain.python_path, plain.distribution) == (("src",), None)
    assert distributed.python_path == ()
    assert distributed.distribution is not None
    assert distributed.distribution.source_roots == ("src",)


def test_everything_that_a_service_says_of_versions_is_kept(tmp_path: Path) -> None:
    """3.9, 3.10 and 3.12 from five kinds of files, by path and line."""
    service = service_of(
        tmp_path,
        {
            "Dockerfile": "FROM python:3.9 AS b\nFROM python:3.10\n",
            ".github/workflows/ci.yaml": "python-version: '3.12'\n",
            "pyproject.toml": PROJECT + 'requires-python = ">=3.9"\n[tool.mypy]\npython_version = "3.10"\n',
            ".python-version": "3.12.1\n",
        },
    )
    assert [
        (declaration.kind, declaration.text, str(declaration.location)) for declaration in service.declarations
    ] == [
        ("workflow", "3.12", "svc/.github/workflows/ci.yaml:1"),
        ("pin", "3.12.1", "svc/.python-version:1"),
        ("image", "python:3.9", "svc/Dockerfile:1"),
        ("image", "python:3.10", "svc/Dockerfile:2"),
        ("metadata", ">=3.9", "svc/pyproject.toml:4"),
        ("tool", "3.10", "svc/pyproject.toml:6"),
    ]
    assert [declaration.text for declaration in service.images] == ["python:3.9", "python:3.10"]


def test_nothing_of_a_service_is_executed(tmp_path: Path) -> None:
    """Neither its setup.py nor its conftest.py."""
    trap = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
    files = dict.fromkeys(("setup.py", "conftest.py", "tests/test_a.py", "sitecustomize.py", "noxfile.py"), trap)
    service_of(tmp_path, {"requirements.txt": "", **files})
    assert not (tmp_path / "ran").exists()


names = st.sampled_from(
    ["requirements.txt", "pyproject.toml", "setup.cfg", "setup.py", "Dockerfile", "tox.ini", ".python-version",
     "Pipfile", ".github/workflows/ci.yml", "tests/test_a.py"]
)  # fmt: skip
counter = itertools.count()


@given(st.dictionaries(names, st.text(max_size=60)))
def test_no_content_of_files_crashes_discovery(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    """One service, whatever its files hold, never above the target."""
    root = tmp_path_factory.mktemp(f"tree{next(counter)}")
    for name, text in {"requirements.txt": "", **files}.items():
        (root / "svc" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "svc" / name).write_text(text, encoding="utf-8", newline="")
    (service,) = discover(Plan(root=root)).services
    assert service.baseline <= Interpreter(3, 12)


def test_files_of_requirements_that_nothing_takes_are_sets_of_their_own(tmp_path: Path) -> None:
    """Those included are taken, constraints ask for nothing, and what another is made from is not installed."""
    files = {
        "requirements.txt": "-r requirements/base.txt\n-c requirements/constraints.txt\n",
        "requirements/base.txt": "",
        "requirements/gpu.txt": "",
        "requirements/gpu.in": "",
        "requirements/constraints.txt": "",
        "test/platform/requirements.txt": "",
        "src/app/vendored/other/requirements.txt": "",
        ".venv/requirements.txt": "",
    }
    service = service_of(tmp_path, files)

    assert [source.path for source in service.additional_requirements] == [
        "svc/requirements/gpu.txt",
        "svc/test/platform/requirements.txt",
    ]
    assert [one.requirements for one in additional_services(service)] == [
        (one,) for one in service.additional_requirements
    ]


def test_requirements_that_are_no_services_are_assumed_to_be_nobodys(tmp_path: Path) -> None:
    files = {
        "svc/requirements.txt": "",
        "docs/requirements.txt": "",
        "old/requirements.txt": "",
        ".hg/requirements.txt": "",
    }
    fleet = fleet_of(tmp_path, files, services=("svc",), exclude=("old",))

    assert [text for text in fleet.assumptions if "requirements.txt" in text] == [
        "docs/requirements.txt belongs to no service, so what is required there is not checked."
    ]


def test_code_that_lies_in_no_service_is_reported(tmp_path: Path) -> None:
    """It is not checked, so it must be reported. Folders in ``needs`` of a service are checked with it."""
    files = {
        "run.py": "",
        "svc/requirements.txt": "",
        "svc/app.py": "",
        "scripts/load.py": "",
        "scripts/data/convert.py": "",
        "common/log.py": "",
        "old/app.py": "",
        ".hg/hook.py": "",
        "node_modules/gyp/gyp.py": "",
    }
    plan = {"services": ("svc",), "exclude": ("old",)}

    needed = (("svc", ServiceSettings(needs=("common",))),)
    without_needs = [text for text in fleet_of(tmp_path, files, **plan).assumptions if "Python file" in text]
    with_needs = [
        text for text in fleet_of(tmp_path, files, **plan, overrides=needed).assumptions if "Python file" in text
    ]

    assert [text.partition(":")[0] for text in without_needs] == [
        "4 Python files (in scripts, the root, common) belong to no service, so they are not checked"
    ]
    assert [text.partition(":")[0] for text in with_needs] == [
        "3 Python files (in scripts, the root) belong to no service, so they are not checked"
    ]


@pytest.mark.parametrize(
    ("table", "source"),
    [
        ("[tool.pdm.dev-dependencies]\ntests = ['pytest']\nlint = ['ruff']\n", "tool.pdm.dev-dependencies.tests"),
        ("[tool.hatch.envs.hatch-test]\nextra-dependencies = ['httpx']\n", "tool.hatch.envs.hatch-test"),
        ("[tool.hatch.envs.default]\ndependencies = ['pytest']\n", "tool.hatch.envs.default"),
    ],
)
def test_what_tests_need_stands_in_the_tables_of_tools_too(tmp_path: Path, table: str, source: str) -> None:
    service = service_of(tmp_path, {"pyproject.toml": PROJECT + table})
    assert [one.table for one in service.test_requirements] == [source]


@pytest.mark.parametrize(
    ("files", "path"),
    [
        (("manage.py", "shop/manage.py", "shop/core/settings.py"), ("shop",)),
        (("manage.py", "core/settings.py"), ()),
        (("a/manage.py", "b/manage.py", "a/core/settings.py", "b/core/settings.py"), ()),
        (("shop/manage.py", "other/core/settings.py"), ()),
    ],
)
def test_the_project_of_djangos_settings_is_on_the_path(
    tmp_path: Path, files: tuple[str, ...], path: tuple[str, ...]
) -> None:
    """As with ``pytest FOLDER``; if it is the service's own folder, it is on the path anyway."""
    settings = {"pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = core.settings\n", "requirements.txt": ""}
    assert service_of(tmp_path, dict.fromkeys(files, "") | settings).python_path == path


# ---- what installs the service


def dockerfile(*lines: str) -> str:
    return "\n".join(("FROM python:3.11", "WORKDIR /app", "COPY . .", *lines, ""))


def sources_of(service: Service) -> list[str]:
    return [str(source).removeprefix("svc/") for source in service.requirements]


def test_requirements_in_any_folder_are_the_services_if_its_image_installs_them(tmp_path: Path) -> None:
    """They were a separate set, and the service's own was that of setup.py: empty."""
    files = {
        "requirements/python3/requirements.txt": "flask",
        "setup.py": "from setuptools import setup\nsetup(install_requires=[])\n",
        "Dockerfile": dockerfile("RUN pip install -r requirements/python3/requirements.txt"),
    }
    service = service_of(tmp_path, files)
    assert sources_of(service) == ["requirements/python3/requirements.txt"]
    assert service.additional_requirements == ()


@pytest.mark.parametrize(
    ("command", "expected", "separate"),
    [
        ("pip install -r requirements.txt", ["requirements.txt"], []),
        ("pip install .", ["pyproject.toml [project.dependencies]"], ["svc/requirements.txt"]),
        ("pip install . -r requirements.txt", ["requirements.txt", "pyproject.toml [project.dependencies]"], []),
        (
            "pip install '.[server]'",
            ["pyproject.toml [project.dependencies]", "pyproject.toml [project.optional-dependencies.server]"],
            ["svc/requirements.txt"],
        ),
    ],
)
def test_only_what_is_installed_together_is_one_set(
    tmp_path: Path, command: str, expected: list[str], separate: list[str]
) -> None:
    files = {
        "requirements.txt": "a==1",
        "pyproject.toml": PROJECT + 'dependencies = ["a>1"]\n[project.optional-dependencies]\nserver = ["b"]\n',
        "Dockerfile": dockerfile(f"RUN {command}"),
    }
    service = service_of(tmp_path, files)
    assert sources_of(service) == expected
    assert [str(source) for source in service.additional_requirements] == separate


def test_requirements_of_a_command_are_part_of_the_set(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "a",
        "Dockerfile": dockerfile("RUN pip install -r requirements.txt", "RUN pip install gunicorn==20.1"),
    }
    service = service_of(tmp_path, files)
    assert sources_of(service) == ["requirements.txt", "Dockerfile:5 (gunicorn==20.1)"]
    entries = read_requirement_set(tmp_path, service.requirements).entries
    assert [(entry.text, str(entry.location)) for entry in entries] == [
        ("a", "svc/requirements.txt:1"), ("gunicorn==20.1", "svc/Dockerfile:5"),
    ]  # fmt: skip


def test_a_local_path_starts_where_pip_is_run(tmp_path: Path) -> None:
    """And not at the file that has it, as `-r` does."""
    files = {
        "svc/functions/one/requirements.txt": "./libs/common\n",
        "svc/libs/common/setup.py": "",
        "svc/Dockerfile": dockerfile("RUN pip install -r functions/one/requirements.txt"),
    }
    fleet = fleet_of(tmp_path, files, services=("svc",))
    read = read_requirement_set(tmp_path, fleet["svc"].requirements)
    assert ([local.path for local in read.locals], read.problems) == (["svc/libs/common"], ())


def test_a_recipe_that_cannot_be_followed_is_completed_by_names(tmp_path: Path) -> None:
    """And both are reported: no requirement is lost because a reader gave up."""
    files = {"requirements.txt": "a", "Dockerfile": dockerfile("RUN pip install flask && pip install -r $WHERE")}
    fleet = fleet_of(tmp_path, {f"svc/{name}": text for name, text in files.items()})
    assert sources_of(fleet["svc"]) == ["Dockerfile:4 (flask)", "requirements.txt"]
    assert fleet.assumptions == (
        "svc is installed as svc/Dockerfile says, which could not be followed in full (svc/Dockerfile:4: $WHERE); by "
        "their names these are taken as well: svc/requirements.txt.",
    )


def test_an_image_of_a_project_that_requires_the_service_is_not_the_services(tmp_path: Path) -> None:
    """It installs both; the service has its own image, or none."""
    poetry = '[tool.poetry]\nname = "x"\n[tool.poetry.dependencies]\n'
    both = "FROM python:3.9\nCOPY sdk sdk\nRUN cd sdk && poetry install\nCOPY api api\nRUN cd api && poetry install\n"
    files = {
        "api.Dockerfile": both,
        "sdk/pyproject.toml": poetry,
        "api/pyproject.toml": f'{poetry}sdk = {{path = "../sdk", develop = true}}\n',
    }
    found = {service.path: service.recipe for service in fleet_of(tmp_path, files).services}
    assert found["sdk"] is None
    assert found["api"] is not None
    assert [step.project for step in found["api"].steps] == ["sdk", "api"]


@pytest.mark.parametrize("folder", ["docker", "docker/a", "containers/a"])
def test_a_dockerfile_above_the_service_counts_if_it_installs_something_of_it(tmp_path: Path, folder: str) -> None:
    files = {
        "services/a/reqs/run.txt": "a", "services/a/setup.py": "from setuptools import setup\nsetup()\n",
        "services/b/requirements.txt": "b",
        f"{folder}/Dockerfile": "FROM python:3.11\nCOPY services/a /a\nRUN pip install -r /a/reqs/run.txt\n",
    }  # fmt: skip
    fleet = fleet_of(tmp_path, files, services=("services/*",))
    assert [str(source) for source in fleet["a"].requirements] == ["services/a/reqs/run.txt"]
    assert fleet["b"].recipe is None


def test_the_plan_goes_before_the_recipe(tmp_path: Path) -> None:
    files = {"svc/a.txt": "", "svc/b.txt": "", "svc/Dockerfile": dockerfile("RUN pip install -r a.txt")}
    fleet = fleet_of(tmp_path, files, overrides=(("svc", ServiceSettings(requirements=("b.txt",))),))
    assert sources_of(fleet["svc"]) == ["b.txt"]


WORKFLOW = "jobs:\n  tests:\n    steps:\n      - run: {commands}\n"


def test_what_the_workflow_installs_are_the_requirements_of_the_tests(tmp_path: Path) -> None:
    """Extras and groups as well; files that are only named so are a separate set."""
    files = {
        "svc/pyproject.toml": PROJECT + 'dependencies = ["a"]\n[project.optional-dependencies]\nserver = ["b"]\n',
        "svc/requirements-test.txt": "c",
        "svc/Dockerfile": dockerfile("RUN pip install ."),
        ".github/workflows/ci.yml": WORKFLOW.format(commands="pip install './svc[server]' mock && pytest svc"),
    }
    fleet = fleet_of(tmp_path, files)
    service = fleet["svc"]
    assert sources_of(service) == ["pyproject.toml [project.dependencies]"]
    assert [str(source) for source in service.test_requirements] == [
        ".github/workflows/ci.yml:4 (mock)", "svc/pyproject.toml [project.optional-dependencies.server]",
    ]  # fmt: skip
    assert [str(source) for source in service.additional_requirements] == ["svc/requirements-test.txt"]
    assert fleet.assumptions == ()


@pytest.mark.parametrize(
    ("settings", "tables"),
    [("", ["svc/pyproject.toml"]), ("poetry config virtualenvs.create false", ["other/pyproject.toml"])],
)
def test_poetry_installs_another_project_into_another_environment(
    tmp_path: Path, settings: str, tables: list[str]
) -> None:
    """Also where one job tests both; unless it is set to use the environment that is there."""
    project = '[tool.poetry]\nname = "@"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.9"\nsix = "*"\n'
    steps = "".join(
        f"    - working-directory: {name}\n      run: |\n        {settings or 'true'}\n        poetry install\n"
        "        poetry run pytest\n"
        for name in ("other", "svc")
    )
    files = {f"{name}/pyproject.toml": project.replace("@", name) for name in ("other", "svc")}
    files |= {f"{name}/tests/test_a.py": "def test_a(): pass\n" for name in ("other", "svc")}
    files |= {"svc/Dockerfile": "FROM python:3.10\nCOPY . .\nRUN poetry install --only main\n"}
    fleet = fleet_of(tmp_path, {".github/workflows/ci.yml": f"jobs:\n  t:\n    steps:\n{steps}", **files})

    recipe = fleet["svc"].test_recipe
    assert recipe is not None
    installed = [f"{step.project}/pyproject.toml" for step in recipe.steps if step.tool == "poetry"]
    assert installed[: len(tables)] == tables
    assert ("other/pyproject.toml" in installed) is bool(settings)


def test_without_a_workflow_the_environment_of_tox_counts(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "a", "reqs/qa.txt": "b", "requirements-dev.txt": "c",
        "tox.ini": "[tox]\nenvlist = py311\n[testenv]\nskip_install = true\ndeps = -rreqs/qa.txt\ncommands = pytest\n",
    }  # fmt: skip
    service = service_of(tmp_path, files)
    assert [str(source) for source in service.test_requirements] == ["svc/reqs/qa.txt"]


WARNINGS_RUN = "jobs: {{t: {{steps: [{{run: {install}}}, {{run: {run}, working-directory: svc}}]}}}}\n"
NOX = "import nox\n@nox.session\ndef tests(session):\n    session.run('pytest', '-W', 'error', 'tests')\n"


@pytest.mark.parametrize("install", ["pip install -r svc/dev.txt", "echo"])
@pytest.mark.parametrize(
    ("files", "run", "options", "arguments", "clause"),
    [
        ({}, "pytest", (), (), ""),
        ({}, "python -W error -m pytest", ("error",), (), "-W error, as in .github/workflows/ci.yml"),
        ({}, "pytest -W error", (), ("-Werror",), "-W error, as in .github/workflows/ci.yml"),
        ({}, "python -W error -m unittest", (), ("-Werror",), "-W error, as in .github/workflows/ci.yml"),
        ({"svc/Makefile": "test:\n\tpython -W error -m pytest\n"}, "make test", ("error",), (), "-W error"),
        ({"svc/Makefile": "test:\n\tpython -W error -m pytest\n"}, "pytest", (), (), ""),
        ({"svc/noxfile.py": NOX}, "nox", (), ("-Werror",), "-W error"),
    ],
)
def test_a_suite_is_run_with_the_warnings_of_its_run(
    tmp_path: Path,
    install: str,
    files: dict[str, str],
    run: str,
    options: tuple[str, ...],
    arguments: tuple[str, ...],
    clause: str,
) -> None:
    """Also where that run installs nothing."""
    workflow = WARNINGS_RUN.format(install=install, run=run)
    own = {"svc/requirements.txt": "", "svc/dev.txt": "six\n", "svc/tests/test_a.py": "def test_a(): pass\n"}
    fleet = fleet_of(tmp_path, {".github/workflows/ci.yml": workflow, **own, **files})
    suite = fleet["svc"].suite
    assert suite is not None
    assert (suite.warning_options, suite.arguments) == (options, ("tests", *arguments))
    sentences = [text for text in fleet.assumptions if text.startswith("svc is tested with")]
    assert [f"svc is tested with {clause}" in text for text in sentences] == [True] * bool(clause)


@pytest.mark.parametrize(
    ("files", "clause"),
    [
        (
            {"svc/Makefile": "test:\n\tPYTHONWARNINGS=error pytest\n"},
            "svc is tested with PYTHONWARNINGS=error, as in svc/Makefile.",
        ),
        (
            {"svc/tox.ini": "[testenv]\ndeps = six\nsetenv =\n  PYTHONWARNINGS = error\ncommands = pytest\n"},
            "svc is tested with the variables of svc/tox.ini: PYTHONWARNINGS.",
        ),
    ],
)
def test_a_suite_has_the_variable_for_warnings_of_its_run(tmp_path: Path, files: dict[str, str], clause: str) -> None:
    own = {"svc/requirements.txt": "", "svc/tests/test_a.py": "def test_a(): pass\n"}
    fleet = fleet_of(tmp_path, {**own, **files})
    assert dict(environment_of_tests(fleet["svc"])) == {"PYTHONWARNINGS": "error"}
    assert clause in fleet.assumptions


@pytest.mark.parametrize(
    ("further", "sentence"),
    [
        ("", ""),
        ("\tbehave\n", ""),
        ("\trobot e2e\n", "`robot e2e` (svc/Makefile), which is not run here: the proof does not include it."),
        (
            "\tbehave\n\tbehave e2e\n\trobot e2e\n",
            "`behave e2e`, `robot e2e` (svc/Makefile), which are not run here: the proof does not include them.",
        ),
    ],
)
def test_what_else_tests_a_service_and_is_not_run_is_an_assumption(tmp_path: Path, further: str, sentence: str) -> None:
    files = {"svc/requirements.txt": "", "svc/tests/test_a.py": "def test_a(): pass\n"}
    fleet = fleet_of(tmp_path, {**files, "svc/Makefile": f"test:\n\tpytest tests\n{further}"})
    expected = [f"svc is also tested with {sentence}"] if sentence else []
    assert [text for text in fleet.assumptions if " also tested with " in text] == expected


@pytest.mark.parametrize(("last", "is_assumed"), [("development", True), ("contest", False)])
def test_a_stage_of_production_that_is_not_the_last_is_an_assumption(
    tmp_path: Path, last: str, is_assumed: bool
) -> None:
    stage = "FROM python:3.9 AS {}\nRUN pip install six\nCMD python -m app\n"
    fleet = fleet_of(tmp_path, {"svc/Dockerfile": stage.format("production") + stage.format(last), "svc/app.py": ""})
    clause = "svc is built from the stage production of svc/Dockerfile: development is for developers by its name."
    assert (clause in fleet.assumptions) == is_assumed


@pytest.mark.parametrize("prefix", ["", "app/"])
def test_a_folder_with_an_image_of_one_of_its_services_is_none(tmp_path: Path, prefix: str) -> None:
    """The image is built in the folder, or at the root."""
    project = '[tool.poetry]\nname = "x"\n'
    image = f"FROM python:3.9\nCOPY {prefix}api/pyproject.toml /api/\nCOPY {prefix}shared /shared\nCMD app\n"
    files = {
        "app/Dockerfile": image,
        **{f"app/{name}/pyproject.toml": project for name in ("api", "shared", "workers")},
    }
    fleet = fleet_of(tmp_path, {**files, **{f"app/{name}/main.py": "" for name in ("api", "shared", "workers")}})
    assert [service.path for service in fleet.services] == ["app/api", "app/shared", "app/workers"]


def test_options_of_the_plan_are_all_that_a_suite_has(tmp_path: Path) -> None:
    files = {"svc/requirements.txt": "", "svc/Makefile": "test:\n\tpython -W error -m pytest -W error\n"}
    planned = Suite(kind=SuiteKind.PYTEST, arguments=("checks",))
    overrides = (("svc", ServiceSettings(suite=planned)),)
    fleet = fleet_of(tmp_path, {**files, "svc/checks/test_a.py": ""}, overrides=overrides)
    assert fleet["svc"].suite == planned


def test_names_of_files_are_an_assumption(tmp_path: Path) -> None:
    """For each kind of requirements on its own."""
    fleet = fleet_of(tmp_path, {"svc/requirements.txt": "", "svc/requirements-test.txt": ""})
    assert fleet.assumptions[-2:] == (
        "No Dockerfile says what is installed for svc: the requirements are taken from files by their names.",
        "No workflow, tox or nox says what is installed for the tests of svc: the requirements are taken from files by "
        "their names.",
    )


def test_a_requirements_file_that_installs_the_service_itself_has_its_tables(tmp_path: Path) -> None:
    """With the extras that it asks for."""
    files = {
        "pyproject.toml": PROJECT + 'dependencies = ["a"]\n[project.optional-dependencies]\ntest = ["t"]\n',
        "requirements.txt": "-e .\nb\n",
        "requirements-test.txt": "-e .[test]\n",
        "Dockerfile": dockerfile("RUN pip install -r requirements.txt"),
    }
    service = service_of(tmp_path, files)
    assert sources_of(service) == ["requirements.txt", "pyproject.toml [project.dependencies]"]
    assert [str(source) for source in service.test_requirements] == [
        "svc/requirements-test.txt", "svc/pyproject.toml [project.optional-dependencies.test]",
    ]  # fmt: skip


def test_tests_that_are_a_project_of_their_own_are_a_service(tmp_path: Path) -> None:
    """Beside code in another language; tests of a service are the service's."""
    poetry = '[tool.poetry]\nname = "a"\n'
    fleet = fleet_of(
        tmp_path,
        {"Cargo.toml": "", "tests/pyproject.toml": poetry, "tests/test_a.py": "", "docs/pyproject.toml": poetry},
    )
    assert [service.path for service in fleet.services] == ["tests"]
    fleet = fleet_of(tmp_path, {"svc/requirements.txt": "", "svc/tests/pyproject.toml": poetry})
    assert "svc/tests" not in [service.path for service in fleet.services]


# ---- the service itself, by its name


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pip install redis app", ["Dockerfile:4 (redis)", "pyproject.toml [project.dependencies]"]),
        (
            "pip install 'app[server]==1.0'",
            ["pyproject.toml [project.dependencies]", "pyproject.toml [project.optional-dependencies.server]"],
        ),
        (
            "pip install https://code.invalid/x/app/archive/refs/tags/1.0.zip",
            ["pyproject.toml [project.dependencies]"],
        ),
        ("pip install git+https://code.invalid/x/App.git@main", ["pyproject.toml [project.dependencies]"]),
        ("python -m build && pip install dist/*.whl", ["pyproject.toml [project.dependencies]"]),
        (
            "pdm build && pip install --no-deps /app/dist/app-1.0-py3-none-any.whl",
            ["pyproject.toml [project.dependencies]"],
        ),
    ],
)
def test_the_distribution_of_the_service_is_not_one_of_the_index(
    tmp_path: Path, command: str, expected: list[str]
) -> None:
    table = 'dependencies = ["six"]\n[project.optional-dependencies]\nserver = ["b"]\n'
    files = {
        "pyproject.toml": "[project]\nname = 'app'\nversion = '1.0'\n" + table,
        "Dockerfile": dockerfile(f"RUN {command}").replace("WORKDIR /x", "WORKDIR /app"),
    }
    service = service_of(tmp_path, files)
    assert sources_of(service) == expected
    assert service.recipe is not None
    assert service.recipe.is_complete


def test_wheels_that_are_built_before_the_image_are_the_service(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "[project]\nname = 'app'\nversion = '1.0'\ndependencies = ['six']\n",
        "Dockerfile": "FROM python:3.11\nCOPY dist/*.whl ./\nRUN pip install ./app*.whl\n",
    }
    assert sources_of(service_of(tmp_path, files)) == ["pyproject.toml [project.dependencies]"]


def test_an_argument_without_a_default_is_not_empty(tmp_path: Path) -> None:
    """It names a file that nobody has; in a condition it is what a build without it has."""
    files = {
        "requirements.txt": "six\n",
        "Dockerfile": "FROM python:3.11\nARG VERSION\nARG DEV\nCOPY . .\n"
        "RUN pip install https://example.org/app/${VERSION}.zip\n"
        'RUN if [ "$DEV" = "true" ]; then pip install pytest; fi\n',
    }
    service = service_of(tmp_path, files)
    assert service.recipe is not None
    assert [step.unresolved for step in service.recipe.steps] == [("$VERSION",)]
    assert sources_of(service) == ["requirements.txt"]


def test_the_source_of_a_compiled_file_elsewhere_is_no_set_of_its_own(tmp_path: Path) -> None:
    """Nobody installs it: it would be judged with the newest versions."""
    header = "#\n# This file is autogenerated by pip-compile with Python 3.8\n# by the following command:\n#\n"
    files = {
        "requirements/base.in": "flask",
        "requirements/tools.in": "black",
        "requirements.txt": f"{header}#    pip-compile -o requirements.txt requirements/base.in\n#\nflask==2.0\n",
        "Dockerfile": dockerfile("RUN pip install -r requirements.txt"),
    }
    service = service_of(tmp_path, files)
    assert sources_of(service) == ["requirements.txt"]
    assert [str(source) for source in service.additional_requirements] == ["svc/requirements/tools.in"]


def test_a_locked_project_below_tests_is_a_service(tmp_path: Path) -> None:
    """A load test has versions of its own; a project of tests without a lock file or image belongs to the service."""
    table = "[tool.poetry]\nname = 'a'\n[tool.poetry.dependencies]\npython = '^3.9'\n"
    files = {
        "pyproject.toml": table, "shop/__init__.py": "", "tests/test_a.py": "",
        "tests/load/pyproject.toml": table, "tests/load/poetry.lock": "",
        "tests/image/pyproject.toml": table, "tests/image/Dockerfile": "FROM python:3.9\n",
        "tests/plain/pyproject.toml": table,
    }  # fmt: skip
    assert [one.path for one in fleet_of(tmp_path / "a", files).services] == [".", "tests/image", "tests/load"]
    inner = {f"svc/{path}": text for path, text in files.items()}
    assert [one.path for one in fleet_of(tmp_path / "b", inner).services] == [
        "svc", "svc/tests/image", "svc/tests/load",
    ]  # fmt: skip


def test_a_requirements_file_inside_of_a_package_makes_no_service(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "[project]\nname = 'u'\n", "u/__init__.py": "", "u/version_tools/__init__.py": "",
        "u/version_tools/requirements_for_test_common.in": "pytest\n",
    }  # fmt: skip
    assert [one.path for one in fleet_of(tmp_path / "a", files).services] == ["."]
    files["u/version_tools/requirements.txt"] = "six\n"
    assert "u/version_tools" in [one.path for one in fleet_of(tmp_path / "b", files).services]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["samples/hello/src"], ["hello"]),
        (["hello/src", "other/src"], ["hello", "other"]),
        (["hello/src", "hello/web"], ["src", "web"]),
        (["services/app"], ["app"]),
        (["hello", "hello/src"], ["hello", "src"]),
        (["a/hello/src", "b/hello"], ["a-hello", "b-hello"]),
        (["src"], ["src"]),
    ],
)
def test_a_folder_of_code_is_named_after_the_folder_around_it(paths: list[str], names: list[str]) -> None:
    assert list(unique_names(paths, "root").values()) == names


def test_an_image_under_another_name_says_what_is_installed(tmp_path: Path) -> None:
    """Those for demonstrations come after it."""
    files = {
        "dockerfiles/focal/DemoDockerfile": "FROM ubuntu:20.04\nCOPY reqs reqs\nRUN pip install -r reqs/demo.txt\n",
        "dockerfiles/focal/SlimDockerfile": "FROM ubuntu:20.04\nCOPY reqs reqs\nRUN pip install -r reqs/main.txt\n",
        "dockerfiles/focal/Dockerfile": "FROM lean\n", "reqs/main.txt": "six\n", "reqs/demo.txt": "",
        "requirements.txt": "",
    }  # fmt: skip
    service = service_of(tmp_path, files)
    assert service.recipe is not None
    assert service.recipe.source == "svc/dockerfiles/focal/SlimDockerfile"


def test_a_virtual_environment_in_the_image_of_another_service(tmp_path: Path) -> None:
    """One that has only what belongs to the service; what is installed beside others says nothing of it alone."""
    image = (
        "FROM python:3.11\nWORKDIR /app\nCOPY . /app\n"
        "RUN cd /app/lib && /app/bin/pip install . && cd /app/web && /app/bin/pip install -r base.txt\n"
        "RUN cd /app/loader && /app/loader_venv/bin/pip install --no-deps -r base.txt\n"
    )
    files = {
        "web/Dockerfile": image, "web/base.txt": "",
        "web/setup.cfg": "[metadata]\nname = w\n",
        "lib/pyproject.toml": PROJECT, "lib/test_lib.py": "",
        "loader/pyproject.toml": PROJECT, "loader/base.txt": "six\n",
    }  # fmt: skip
    services = {one.path: one for one in fleet_of(tmp_path, files).services}
    recipe = services["loader"].recipe
    assert recipe is not None
    assert [(step.files, step.environment) for step in recipe.steps] == [(("loader/base.txt",), "/app/loader_venv")]
    assert services["lib"].recipe is None


LOCKED = {
    "Dockerfile": "FROM python:3.11 AS builder\nCOPY . /src\nWORKDIR /src\n"
    "RUN for each in ./services/*; do python -m build $each --outdir ./dist; done\n"
    "FROM python:3.11\nCOPY --from=builder /src/lock/requirements.txt /src/dist/ /app/\nWORKDIR /app\n"
    "RUN pip install --no-deps -r requirements.txt\nRUN pip install --no-deps *.whl\n",
    "lock/requirements.txt": "six==1.16.0\n",
    "services/a/pyproject.toml": "[project]\nname = 'a'\nversion = '1'\n",
    "services/a/src/a/__init__.py": "import six\n",
    "services/b/pyproject.toml": "[project]\nname = 'b'\nversion = '1'\n",
}


def test_an_image_that_builds_all_services_is_that_of_each(tmp_path: Path) -> None:
    """The folder with the requirements that it installs is no service."""
    fleet = fleet_of(tmp_path, LOCKED)
    assert [service.path for service in fleet.services] == ["services/a", "services/b"]
    assert "lock has only requirements, which b installs: it is no service." in fleet.assumptions
    for service in fleet.services:
        assert service.recipe is not None
        assert service.recipe.source == "Dockerfile"
        assert "lock/requirements.txt" in [source.path for source in service.requirements]


@pytest.mark.parametrize(
    "name", ["lock/main.py", "lock/Dockerfile", "lock/Dockerfile.prod", "lock/Procfile", "lock/run", "lock/a.ipynb"]
)
def test_a_folder_with_anything_else_stays_a_service(tmp_path: Path, name: str) -> None:
    fleet = fleet_of(tmp_path, {**LOCKED, name: "FROM python:3.11\n" if "Dockerfile" in name else ""})
    assert [service.path for service in fleet.services] == ["lock", "services/a", "services/b"]


def test_a_folder_whose_code_is_linked_stays_a_service(tmp_path: Path) -> None:
    fleet_of(tmp_path, {**LOCKED, "shared/src/worker.py": ""})
    (tmp_path / "lock/src").symlink_to("../shared/src")
    assert "lock" in [service.path for service in discover(Plan(root=tmp_path)).services]


def test_a_folder_that_a_stage_may_name_stays_a_service(tmp_path: Path) -> None:
    stages = (Stage(number=1, services=("*",)),)
    assert "lock" in [service.path for service in fleet_of(tmp_path, LOCKED, stages=stages).services]


def test_a_program_of_the_cdk_says_the_python_of_functions(tmp_path: Path) -> None:
    """Where it names one only, it is that of services which say none."""
    runtime = "import 'aws-cdk-lib';\nnew Function(this, 'A', { runtime: Runtime.PYTHON_3_10 });\n"
    fleet = fleet_of(tmp_path, {"cdk/lib/app.ts": runtime, "a/requirements.txt": "six\n", "a/app.py": ""})
    (service,) = fleet.services
    assert (str(service.baseline), service.baseline_source) == ("3.10", "cdk/lib/app.ts:2 says Runtime.PYTHON_3_10")
