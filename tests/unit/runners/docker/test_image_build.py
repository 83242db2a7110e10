"""Output of image builds: created images, the failed instruction, and whether the environment is to blame."""

import os
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.services.images import ImageJob, ServiceImage
from pytest_py312.runners.docker.build_context import ContextUnavailable, copy_context, ensure_dockerfile
from pytest_py312.runners.docker.image_build import ENVIRONMENT_FAILURE, built_layers, parse_buildkit_failure
from pytest_py312.runners.docker.service_image import health_check_timeout
from tests.support.fakes import service_tree

CLASSIC = [
    "Step 1/5 : FROM python:3.10-slim AS a", "\n", " ---> 7bcbe9cf3a32\n", "Step 2/5 : WORKDIR /x", "\n",
    " ---> Using cache\n", " ---> 111111111111\n", "Step 3/5 : RUN true", "\n", " ---> Running in 999999999999\n",
    "Removing intermediate container 999999999999\n", " ---> 222222222222\n", "Step 4/5 : FROM a", "\n",
    " ---> 222222222222\n", "Step 5/5 : COPY x y", "\n", " ---> 333333333333\n", "Successfully built 333333333333\n",
]  # fmt: skip


def test_only_images_created_by_the_build_are_its_own() -> None:
    """Base images and cached layers are not, and must not be removed with them."""
    assert built_layers(CLASSIC) == ("222222222222", "333333333333")


KIT = """\
#7 [builder 3/4] RUN pip install -r requirements.txt
#7 1.022 ERROR: No matching distribution found for nothing==1
#7 ERROR: process "/bin/sh -c pip install -r requirements.txt" did not complete successfully: exit code: 1
------
 > [builder 3/4] RUN pip install -r requirements.txt:
1.022 ERROR: No matching distribution found for nothing==1
------
Dockerfile:4
--------------------
   4 | >>> RUN pip install -r requirements.txt
--------------------
ERROR: failed to solve: process "/bin/sh -c pip install -r requirements.txt" did not complete successfully: exit code: 1
"""


def test_the_instruction_that_failed_with_buildkit() -> None:
    """Its line is returned as well."""
    assert parse_buildkit_failure(KIT) == ("RUN pip install -r requirements.txt", 4)
    assert parse_buildkit_failure("ERROR: dockerfile parse error") == ("the Dockerfile", None)


@pytest.mark.parametrize(
    ("output", "elsewhere"),
    [
        ("E: Temporary failure resolving 'deb.debian.org'", True),
        ("dial tcp: lookup registry: no such host", True),
        ("pull access denied for private/python", True),
        ("the --mount option requires BuildKit.", True),
        ("write /x: no space left on device", True),
        ("ERROR: No matching distribution found for numpy==1.24.3", False),
        ("manifest for python:3.12-slim-buster not found: manifest unknown", False),
        ("COPY failed: stat usr/local/lib/python3.10/site-packages: file does not exist", False),
    ],
)
def test_failures_of_the_environment_are_recognized(output: str, elsewhere: bool) -> None:
    """Failures of the network, a registry or a disk prove nothing about a Python version."""
    assert (ENVIRONMENT_FAILURE.search(output) is not None) is elsewhere


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        ({}, 30 + (30 + 30) * 3),
        ({"Interval": 10**9, "Timeout": 2 * 10**9, "StartPeriod": 20 * 10**9, "Retries": 2}, 20 + 3 * 2 + 1),
        ({"Interval": 3600 * 10**9}, 900),
    ],
)
def test_the_timeout_of_a_health_check(check: dict[str, int], seconds: float) -> None:
    """It follows from what the image declares, with Docker's defaults and an upper limit."""
    assert health_check_timeout(check) == seconds


def job(root: Path, **changes: object) -> ImageJob:
    image = ServiceImage(dockerfile="s/Dockerfile", context="s")
    return ImageJob(identifier="x", root=root, image=image, interpreter=Interpreter(3, 12), **changes)  # type: ignore[arg-type]  # by name


def test_the_copied_context_respects_dockerignore_and_changed_files(tmp_path: Path) -> None:
    """The checkout stays unchanged, and links are copied as they are."""
    files = {"s/Dockerfile": "FROM python:3.10\n", "s/.dockerignore": "data\n*.log\n", "s/data/x": "", "s/a.log": ""}
    root = service_tree(tmp_path / "root", files | {"s/app/main.py": "", "s/.py312/state.db": ""})
    (root / "s" / "link").symlink_to("/etc/hostname")
    changed = {"s/Dockerfile": b"FROM python:3.12\n", "k8s/s.yaml": b"outside"}
    folder = copy_context(job(root, changed=changed), tmp_path / "copy")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    assert names == [".dockerignore", "Dockerfile", "app/main.py", "link"]
    assert os.readlink(folder / "link") == "/etc/hostname"  # noqa: PTH115 - as it is written
    assert (folder / "Dockerfile").read_bytes() == b"FROM python:3.12\n"
    assert (root / "s" / "Dockerfile").read_text() == "FROM python:3.10\n"


def test_a_dockerfile_outside_of_the_context_is_added(tmp_path: Path) -> None:
    """It gets a name that no instruction copies."""
    root = service_tree(tmp_path / "root", {"docker/s.Dockerfile": "FROM python:3.10\n", "s/app.py": ""})
    image = ServiceImage(dockerfile="docker/s.Dockerfile", context="s")
    image_job = ImageJob(identifier="x", root=root, image=image, interpreter=Interpreter(3, 12))
    folder = copy_context(image_job, tmp_path / "copy")
    assert (folder / ensure_dockerfile(image_job, folder)).read_text() == "FROM python:3.10\n"


def test_a_context_outside_of_the_repository_is_rejected(tmp_path: Path) -> None:
    """The link decides, not the content of its target."""
    root = service_tree(tmp_path / "root", {"a": ""})
    (root / "s").symlink_to(tmp_path)
    with pytest.raises(ContextUnavailable, match="s is not a folder of the repository"):
        copy_context(job(root), tmp_path / "copy")
