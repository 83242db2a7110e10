"""What builders say: which images they made, where they failed, and whether that is the Dockerfile's fault."""

import os
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.services.images import ImageJob, OwnImage
from pytest_py312.runners.docker.build_context import NoContext, dockerfile_in, staged
from pytest_py312.runners.docker.image_build import NOT_ITS_FAULT, kit_failure, layers_in
from pytest_py312.runners.docker.service_image import patience
from tests.support.fakes import service_tree

CLASSIC = [
    "Step 1/5 : FROM python:3.10-slim AS a", "\n", " ---> 7bcbe9cf3a32\n", "Step 2/5 : WORKDIR /x", "\n",
    " ---> Using cache\n", " ---> 111111111111\n", "Step 3/5 : RUN true", "\n", " ---> Running in 999999999999\n",
    "Removing intermediate container 999999999999\n", " ---> 222222222222\n", "Step 4/5 : FROM a", "\n",
    " ---> 222222222222\n", "Step 5/5 : COPY x y", "\n", " ---> 333333333333\n", "Successfully built 333333333333\n",
]  # fmt: skip


def test_only_what_a_build_has_made_is_its_own() -> None:
    """Neither what it began with nor what it had from before: those are for others to remove."""
    assert layers_in(CLASSIC) == ("222222222222", "333333333333")


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


def test_where_buildkit_failed() -> None:
    """The instruction, and its line."""
    assert kit_failure(KIT) == ("RUN pip install -r requirements.txt", 4)
    assert kit_failure("ERROR: dockerfile parse error") == ("the Dockerfile", None)


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
def test_whose_fault_a_build_is(output: str, elsewhere: bool) -> None:
    """What the network, a registry or a disk did says nothing about a Python."""
    assert (NOT_ITS_FAULT.search(output) is not None) is elsewhere


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        ({}, 30 + (30 + 30) * 3),
        ({"Interval": 10**9, "Timeout": 2 * 10**9, "StartPeriod": 20 * 10**9, "Retries": 2}, 20 + 3 * 2 + 1),
        ({"Interval": 3600 * 10**9}, 900),
    ],
)
def test_how_long_a_health_check_is_waited_for(check: dict[str, int], seconds: float) -> None:
    """What it declares, with Docker's defaults; and not for ever."""
    assert patience(check) == seconds


def job(root: Path, **changes: object) -> ImageJob:
    image = OwnImage(dockerfile="s/Dockerfile", context="s")
    return ImageJob(identifier="x", root=root, image=image, interpreter=Interpreter(3, 12), **changes)  # type: ignore[arg-type]  # by name


def test_the_copy_has_what_dockerignore_leaves_and_what_was_moved(tmp_path: Path) -> None:
    """The checkout stays as it is, and links lead nowhere else."""
    files = {"s/Dockerfile": "FROM python:3.10\n", "s/.dockerignore": "data\n*.log\n", "s/data/x": "", "s/a.log": ""}
    root = service_tree(tmp_path / "root", files | {"s/app/main.py": "", "s/.py312/state.db": ""})
    (root / "s" / "link").symlink_to("/etc/hostname")
    moved = {"s/Dockerfile": b"FROM python:3.12\n", "k8s/s.yaml": b"outside"}
    folder = staged(job(root, changed=moved), tmp_path / "copy")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    assert found == [".dockerignore", "Dockerfile", "app/main.py", "link"]
    assert os.readlink(folder / "link") == "/etc/hostname"  # noqa: PTH115 - as it is written
    assert (folder / "Dockerfile").read_bytes() == b"FROM python:3.12\n"
    assert (root / "s" / "Dockerfile").read_text() == "FROM python:3.10\n"


def test_a_dockerfile_beside_its_folder_is_brought(tmp_path: Path) -> None:
    """Under a name that nothing copies."""
    root = service_tree(tmp_path / "root", {"docker/s.Dockerfile": "FROM python:3.10\n", "s/app.py": ""})
    image = OwnImage(dockerfile="docker/s.Dockerfile", context="s")
    wanted = ImageJob(identifier="x", root=root, image=image, interpreter=Interpreter(3, 12))
    folder = staged(wanted, tmp_path / "copy")
    assert (folder / dockerfile_in(wanted, folder)).read_text() == "FROM python:3.10\n"


def test_a_folder_that_leads_out_of_the_repository_is_not_built_from(tmp_path: Path) -> None:
    """Whatever is there."""
    root = service_tree(tmp_path / "root", {"a": ""})
    (root / "s").symlink_to(tmp_path)
    with pytest.raises(NoContext, match="s is no folder of the repository"):
        staged(job(root), tmp_path / "copy")
