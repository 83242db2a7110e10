"""Whose production an image is that installs several projects of the repository."""

from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.repository.plan.loader import default_plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from tests.support.fakes import service_tree

LIBRARY = (
    '[project]\nname = "shop-lib"\nversion = "1"\nrequires-python = ">=3.9"\n'
    '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
)
SERVER = (
    '[project]\nname = "server"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["shop-lib"]\n'
    '[tool.uv.sources]\nshop-lib = { path = "../lib" }\n'
)


@pytest.mark.parametrize(
    ("installed", "source"),
    [
        ("pip install /src/server /src/lib", ""),
        ("uv pip install --system /src/lib /src/server", ""),
        ("pip install /src/lib", "images/server/Dockerfile"),
    ],
)
def test_the_image_of_what_requires_a_library_is_not_that_of_the_library(
    tmp_path: Path, installed: str, source: str
) -> None:
    """The limits of the other project do not apply to the library."""
    image = f"FROM python:3.11-slim\nCOPY python/server /src/server\nCOPY python/lib /src/lib\nRUN {installed}\n"
    service_tree(
        tmp_path,
        {
            "images/server/Dockerfile": image,
            "python/server/pyproject.toml": SERVER,
            "python/server/server/app.py": "import shop_lib\n",
            "python/lib/pyproject.toml": LIBRARY,
            "python/lib/shop_lib/__init__.py": "",
            "python/lib/tests/test_lib.py": "def test_lib():\n    pass\n",
        },
    )
    services = {service.path: service for service in discover(default_plan(tmp_path)).services}
    recipe = services["python/lib"].recipe
    assert (recipe.source if recipe is not None else "") == source


@pytest.mark.parametrize(
    ("image", "start", "requires", "source"),
    [
        ("images/web/Dockerfile", "", "", ""),
        ("images/web/Dockerfile", 'CMD ["other"]', "", ""),
        ("images/web/Dockerfile", 'CMD ["./start.sh"]', "", "images/web/Dockerfile"),
        ("images/web/Dockerfile", 'CMD ["gunicorn", \\\n "shop_lib.app"]', "", "images/web/Dockerfile"),
        ("images/web/Dockerfile", 'CMD ["uvicorn", "shop_lib.app:app"]', "", "images/web/Dockerfile"),
        ("images/shop-lib/Dockerfile", "", "", "images/shop-lib/Dockerfile"),
        (
            "images/web/Dockerfile",
            "",
            '[tool.uv.sources]\nother = { path = "../other" }\n',
            "images/web/Dockerfile",
        ),
    ],
)
def test_an_image_of_several_projects_is_of_those_that_it_names_or_starts(
    tmp_path: Path, image: str, start: str, requires: str, source: str
) -> None:
    """What else it installs may refuse a Python that the library allows."""
    copied = "COPY python/other /src/other\nCOPY python/shop-lib /src/lib\nRUN pip install /src/other /src/lib\n"
    service_tree(
        tmp_path,
        {
            image: f"FROM python:3.11-slim\n{copied}{start}\n",
            "python/other/pyproject.toml": '[project]\nname = "other"\nversion = "1"\nrequires-python = "~=3.11.0"\n',
            "python/shop-lib/pyproject.toml": LIBRARY + requires,
            "python/shop-lib/shop_lib/app.py": "",
            "python/shop-lib/tests/test_lib.py": "def test_lib():\n    pass\n",
        },
    )
    services = {service.path: service for service in discover(default_plan(tmp_path)).services}
    recipe = services["python/shop-lib"].recipe
    assert (recipe.source if recipe is not None else "") == source


LOCKED = (
    '[tool.poetry]\nname = "mail"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.9"\nidna = "^3.0"\n'
    '[tool.poetry.group.dev.dependencies]\npytest = "*"\n'
)
LOCK = (
    '[[package]]\nname = "idna"\nversion = "3.1"\npython-versions = ">=3.6"\nfiles = []\n'
    '[metadata]\nlock-version = "2.0"\npython-versions = "^3.9"\ncontent-hash = "0"\n'
)


@pytest.mark.parametrize(
    ("command", "has_tests", "production", "tests", "separate"),
    [
        ("COPY pyproject.toml . ; poetry lock && poetry install", False, [], [], False),
        ("COPY pyproject.toml . ; poetry install --no-root", True, [], ["3.1"], True),
        ("COPY pyproject.toml poetry.lock* ./ ; poetry install --only main", True, ["3.1"], ["3.1"], False),
        ("COPY . . ; pipenv install && poetry install --only main", True, ["3.1"], ["3.1"], False),
        ("pip install .", False, [], [], False),
        ("pip install -r editable.txt", True, [], ["3.1"], True),
        ("pip install .", True, [], ["3.1"], True),
        ("uv pip install --system .", True, [], ["3.1"], True),
        ("pip install poetry && poetry install --only main", True, ["3.1"], ["3.1"], False),
    ],
)
def test_a_lock_file_counts_where_the_image_has_it_and_its_tool_reads_it(
    tmp_path: Path, command: str, has_tests: bool, production: list[str], tests: list[str], separate: bool
) -> None:
    """The versions of the lock are those of the tests, if there are tests, in an environment of their own."""
    copy, _, run = command.rpartition(" ; ")
    copy = copy or "COPY . ."
    files = {"tests/test_mail.py": "def test_mail():\n    pass\n"} if has_tests else {}
    service_tree(
        tmp_path / "mail",
        {
            "Dockerfile": f"FROM python:3.9-slim\nWORKDIR /app\n{copy}\nRUN {run}\nCOPY . .\nCMD python mail/main.py\n",
            "pyproject.toml": LOCKED,
            "poetry.lock": LOCK,
            "mail/main.py": "import idna\n",
            "editable.txt": "-e .\n",
            **files,
        },
    )
    (mail,) = discover(default_plan(tmp_path)).services

    def versions(sources: tuple[RequirementSource, ...]) -> list[str]:
        read = read_requirement_set(tmp_path, sources, with_locks=True)
        return [pin.version for lock in read.locks for pin in lock.pins]

    assert (versions(mail.requirements), mail.separate_tests) == (production, separate)
    assert versions(mail.test_requirements) == (tests if separate else versions(mail.requirements))


POETRY = '[tool.poetry]\nname = "{}"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.9"\n'
IMAGE = (
    "FROM python:3.11-slim\nCOPY apps/shared /app/shared\nCOPY apps/{0} /app/{0}\nWORKDIR /app/{0}\n"
    "RUN poetry install\n"
)


@pytest.mark.parametrize(("copied", "is_root"), [("", False), ("COPY start.py /app/\n", True)])
def test_images_at_the_root_of_folders_below_make_no_service_of_it(tmp_path: Path, copied: str, is_root: bool) -> None:
    """Unless they copy code of the root. Scripts that are a project with a lock file are a service of their own."""
    files = {
        "start.py": "import sys\n",
        "tests/test_all.py": "",
        "scripts/poetry.lock": "",
        "scripts/run.py": "import six\n",
    }
    for name in ("api", "worker"):
        files[f"Dockerfile.{name.title()}"] = IMAGE.format(name) + copied
    for path in ("apps/api", "apps/worker", "apps/shared", "scripts"):
        files[f"{path}/pyproject.toml"] = POETRY.format(path.rpartition("/")[2])
    service_tree(tmp_path, {**files, **{f"apps/{name}/main.py": "" for name in ("api", "worker", "shared")}})
    paths = {service.path for service in discover(default_plan(tmp_path)).services}
    assert paths == {"apps/api", "apps/worker", "apps/shared", "scripts"} | ({"."} if is_root else set())


HANDLER = "import boto3\n\n\ndef handler(event, context):\n    return boto3\n"


@pytest.mark.parametrize(
    ("files", "provided"),
    [
        ({"main.py": "import os\nimport functions_framework\n"}, ["functions-framework"]),
        ({"main.py": "from functions_framework import http\n", "Dockerfile": "FROM python:3.9\nCOPY . .\n"}, []),
        ({"main.py": "import os\n"}, []),
    ],
)
def test_what_google_cloud_provides_to_a_function(tmp_path: Path, files: dict[str, str], provided: list[str]) -> None:
    """Where the requirements lack the framework, the build installs it."""
    service_tree(tmp_path / "svc", {"requirements.txt": "google-cloud-storage==2.0\n", **files})
    (made,) = discover(default_plan(tmp_path)).services
    assert [name for step in (made.recipe.steps if made.recipe else ()) for name in step.arguments] == provided


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"load.py": HANDLER}, "svc/load.py"),
        ({"load.py": "import crhelper\n\ndef lambda_handler(event, _context=None):\n    pass\n"}, "svc/load.py"),
        (
            {"load.py": "def handler(event, context):\n    pass\n", "app.py": "from botocore import config\n"},
            "svc/load.py",
        ),
        ({"load.py": HANDLER.replace("context", "_")}, "svc/load.py"),
        ({"load.py": HANDLER.replace("event,", "event: dict[str, Any],")}, "svc/load.py"),
        ({"app.py": "from chalice import Chalice\n", ".chalice/config.json": "{}"}, "svc/.chalice/config.json"),
        ({"load.py": HANDLER, "Dockerfile": "FROM python:3.9-slim\nCOPY . .\n"}, ""),
        ({"load.py": "import boto3\n\ndef handler(event, sender):\n    pass\n"}, ""),
        ({"load.py": "def handler(event, context):\n    pass\n"}, ""),
        ({"src/load.py": HANDLER}, "svc/src/load.py"),
        ({"src/load_test.py": HANDLER}, ""),
        ({"deeper/load.py": HANDLER}, ""),
    ],
)
def test_what_aws_lambda_provides_to_a_handler_that_no_template_names(
    tmp_path: Path, files: dict[str, str], source: str
) -> None:
    """Its template is generated, or names an archive that a script makes."""
    service_tree(tmp_path / "svc", {"requirements.txt": "crhelper==2.0.12\n", "app.py": "", **files})
    (made,) = discover(default_plan(tmp_path)).services
    recipe = made.recipe
    assert (recipe.source if recipe is not None else "") == source
    provided = [name for step in (recipe.steps if recipe else ()) for name in step.arguments]
    assert ("boto3" in provided) is bool(source)
    assert ("chalice" in provided) is source.endswith(".chalice/config.json")  # it deploys itself
    assert (made.runs_without_pth is not None) is bool(source)
