"""Which images a service builds itself, in which folder, and what their command starts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.recipes.commands.file_map import instruction_words
from pytest_py312.repository.services.images import (
    ImageCheckResult,
    ServiceImage,
    declares_health_check,
    entry_point_of,
    service_images,
)
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

USER = service("user-service")


@pytest.mark.parametrize(
    ("argv", "entry"),
    [
        (["python", "-m", "app.main"], ("module", "app.main")),
        (["/usr/local/bin/python3.12", "-u", "-W", "error", "-m", "app"], ("module", "app")),
        (["python", "cmd/server/main.py", "--port", "1"], ("script", "cmd/server/main.py")),
        (["./main.py"], ("script", "./main.py")),
        (["uvicorn", "app.main:app", "--host", "0.0.0.0"], ("module", "app.main")),
        (["gunicorn", "-w", "4", "-k", "uvicorn.workers.UvicornWorker", "app.wsgi:create()"], ("module", "app.wsgi")),
        (["python", "-m", "uvicorn", "app:app"], ("module", "app")),
        (["celery", "-A", "proj.tasks:app", "worker"], ("module", "proj.tasks")),
        (["celery", "--app=proj", "worker"], ("module", "proj")),
        (["/bin/sh", "-c", "exec python -m app.main"], ("module", "app.main")),
        (["/bin/sh", "-c", "alembic upgrade head && PORT=1 uvicorn a.b:app"], ("module", "a.b")),
        (["tini", "--", "python", "-m", "app"], ("module", "app")),
        (["env", "A=1", "user-service", "serve"], ("command", "user-service")),
        (["python", "-c", "print(1)"], None),
        (["python"], None),
        (["/bin/sh", "-c", "echo 'never closed"], None),
        (["./start.sh"], None),
        (["nginx", "-g", "daemon off;"], None),
        (["uvicorn", "--help"], None),
        ([], None),
    ],
)
def test_what_a_command_starts(argv: list[str], entry: tuple[str, str] | None) -> None:
    """A module, a script, a console script; or nothing that could be imported."""
    found = entry_point_of(argv)
    assert (found and (found.kind, found.name)) == entry


@given(st.lists(st.text(max_size=20) | st.sampled_from(["python", "-m", "sh", "-c", "celery", "-A", "uvicorn"])))
def test_no_command_is_too_odd(argv: list[str]) -> None:
    """The result is always a valid name."""
    found = entry_point_of(argv)
    assert found is None or found.name


FILE = "FROM python:3.10-slim\nCOPY requirements.txt ./\nCOPY app/ app/\n"


def images(root: Path, files: dict[str, str]) -> list[tuple[str, str]]:
    tree = Tree(service_tree(root, files))
    return [(one.dockerfile, one.context) for one in service_images(tree, USER, list(files))]


HERE = USER.path
SOURCES = {f"{HERE}/requirements.txt": "", f"{HERE}/app/main.py": ""}


@pytest.mark.parametrize(
    ("path", "text", "context"),
    [
        (f"{HERE}/Dockerfile", FILE, HERE),
        (f"{HERE}/deploy/docker/Dockerfile", FILE, HERE),
        (f"{HERE}/deploy/docker/Dockerfile", "FROM python:3.9\nCOPY start.sh /\n", f"{HERE}/deploy/docker"),
        (f"{HERE}/Dockerfile", f"FROM python:3.12\nCOPY {HERE}/app /app\nCOPY libs/*.whl /w/\n", "."),
        (f"{HERE}/Dockerfile", f'FROM python:3.12\nCOPY ["{HERE}/app", "/app"]\n', "."),
        (f"{HERE}/Dockerfile", "FROM python:3.9 AS a\nFROM python:3.9\nCOPY --from=a /x $HOME ../.. /y\n", HERE),
    ],
)
def test_the_folder_is_the_one_that_has_what_is_copied(path: str, text: str, context: str, tmp_path: Path) -> None:
    """The service's own, where nothing tells them apart."""
    files = SOURCES | {"libs/a.whl": "", f"{HERE}/deploy/docker/start.sh": "", path: text}
    assert images(tmp_path, files) == [(path, context)]


def test_a_list_that_is_nested_too_deep_is_read_as_plain_words(tmp_path: Path) -> None:
    """As is invalid JSON: no Dockerfile ends the run."""
    assert instruction_words("[" * 100_000 + " x") == ("[" * 100_000, "x")
    assert instruction_words('["a", "b') == ('["a",', '"b')
    path = f"{HERE}/Dockerfile"
    text = f"FROM python:3.10\nCOPY {'[' * 100_000} /app\n"
    assert images(tmp_path, SOURCES | {path: text}) == [(path, HERE)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"{HERE}/test/client/Dockerfile", FILE),
        (f"{HERE}/Dockerfile", "FROM python:3.10 AS build\nFROM nginx\nCOPY --from=build /a /b\n"),
        (f"{HERE}/Dockerfile", "FROM node:20\n"),
        (f"{HERE}/requirements.txt", ""),
    ],
)
def test_what_is_no_image_of_production_with_python_in_it(path: str, text: str, tmp_path: Path) -> None:
    """Those of tests, and those that end in something else."""
    assert images(tmp_path, {path: text}) == []


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("Python 3.9.18 (main, ...) \n[GCC 12]", "3.9"),
        ("Python 3.10.1", "3.10"),
        ("Python 3.12.1", "3.12"),
        ("", "None"),
    ],
)
def test_the_python_in_an_image(output: str, version: str) -> None:
    """Parsed from the output of ``python -VV``."""
    assert str(ImageCheckResult(dockerfile="Dockerfile", version=output).interpreter) == version


@pytest.mark.parametrize(
    ("text", "has_check"),
    [
        ("FROM python:3.12\nHEALTHCHECK CMD true\n", True),
        ("FROM python:3.12 AS base\nHEALTHCHECK CMD true\nFROM base\n", True),
        ("FROM python:3.12 AS base\nHEALTHCHECK CMD true\nFROM base\nHEALTHCHECK NONE\n", False),
        ("FROM python:3.12 AS other\nHEALTHCHECK CMD true\nFROM python:3.12\n", False),
        ("FROM python:3.12 AS app\nCMD app\nFROM app AS dev\nHEALTHCHECK CMD true\n", False),
        ("", False),
    ],
)
def test_a_health_check_is_inherited(text: str, has_check: bool, tmp_path: Path) -> None:
    """From the stage that the image of production is based on, as the engine does it."""
    tree = Tree(service_tree(tmp_path, {"Dockerfile": text}))
    assert declares_health_check(tree, ServiceImage(dockerfile="Dockerfile", context=".")) is has_check
