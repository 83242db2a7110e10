"""What a service's Dockerfiles install with the system's package manager."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Cell, Declaration, InstallRecipe, InstallStep, Service
from pytest_py312.core.model.measurements import ImagePackages
from pytest_py312.dependencies.system.build_tools import MissingTool
from pytest_py312.dependencies.system.system_packages import (
    CellBuilds,
    installation_hint,
    lacks_packages,
    packages_of_service,
    system_packages,
)
from pytest_py312.repository.formats.dockerfile import read_dockerfile
from pytest_py312.repository.tree import Tree
from tests.support.fakes import FakeRunner, ImageRunner, cell_of, service, service_tree

DOCKERFILE = """\
FROM python:3.11-slim
ENV X=1
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
    gcc libpq-dev=15.* \\
    # for the images
    libcairo2-dev && rm -rf /var/lib/apt/lists/*
RUN pip install apt-thing; echo done
RUN apk add --no-cache --virtual .build g++>9
"""


def test_packages_are_read_with_the_line_of_their_instruction() -> None:
    groups = list(system_packages(read_dockerfile(DOCKERFILE, "Dockerfile")))

    assert [(group.names, group.location.line) for group in groups] == [
        (("gcc", "libpq-dev", "libcairo2-dev"), 3),
        (("g++",), 9),
    ]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("pg_config", "; services/user-service/Dockerfile:3 installs libpq-dev, which has it"),
        ("rustc", "; cargo has it, which services/user-service/Dockerfile does not install"),
        ("git2", "; libgit2-dev has it, which services/user-service/Dockerfile does not install"),
        ("ninja", "; ninja-build (Alpine: samurai) has it, which services/user-service/Dockerfile does not install"),
        ("unknown", ""),
    ],
)
def test_the_hint_names_the_services_own_dockerfile(tmp_path: Path, interpreter: str, key: str, hint: str) -> None:
    path = "services/user-service/Dockerfile"
    image = Declaration(kind="image", text=f"python:{interpreter}-slim", location=Location(path=path, line=1))
    tree = Tree(service_tree(tmp_path, {path: DOCKERFILE}))

    missing = MissingTool(name=key, key=key, message="")

    assert installation_hint(missing, service(declarations=(image, image)), tree) == hint


def test_an_image_of_alpine_has_packages_of_alpine(tmp_path: Path) -> None:
    path = "services/user-service/Dockerfile"
    image = Declaration(kind="image", text="python:3.9-alpine", location=Location(path=path, line=1))
    tree = Tree(service_tree(tmp_path, {path: "FROM python:3.9-alpine\nRUN apk add git\n"}))

    hint = installation_hint(MissingTool(name="ninja", key="ninja", message=""), service(declarations=(image,)), tree)

    assert hint == "; samurai has it, which services/user-service/Dockerfile does not install"


@given(st.text())
def test_no_command_breaks_it(command: str) -> None:
    for group in system_packages(read_dockerfile(f"FROM x\nRUN apt-get install {command}\n", "Dockerfile")):
        assert group.names


# ---- adding them to images


def installed_by(*packages: str, tool: str = "apt", flags: tuple[str, ...] = ("--no-install-recommends",)) -> Service:
    place = Location(path="services/user-service/Dockerfile", line=4)
    step = InstallStep(tool=tool, location=place, system_packages=packages, flags=flags)
    return service(recipe=InstallRecipe(source=place.path, steps=(step,)))


@pytest.mark.parametrize(
    ("tool", "packages", "expected"),
    [
        ("apt", ("gcc", "libpq-dev=15.*", "git/stable", "g++:amd64"), ("gcc", "libpq-dev", "git", "g++")),
        ("apt", ("-y", "$PACKAGES", "./own.deb", "x;id", "gcc-", "lib*"), ()),
        ("apt", ("python3", "python3-pip", "python3.9-dev", "libpython3-dev", "pypy3"), ("pypy3",)),
        ("apk", ("build-base", "musl-dev", "cairo-dev", "libffi-dev", "postgresql-dev>15", "git"),
         ("build-essential", "libc6-dev", "libcairo-dev", "libffi-dev", "libpq-dev", "git")),
        ("dnf", ("gcc-c++", "cairo-devel", "python3-devel"), ("g++", "libcairo-dev")),
    ],
)  # fmt: skip
def test_packages_are_those_of_debian_without_versions(
    tool: str, packages: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    found, place = packages_of_service(installed_by(*packages, tool=tool))

    assert found == (ImagePackages(names=expected) if expected else None)
    assert str(place) == ("services/user-service/Dockerfile:4" if expected else "None")


def test_recommended_packages_are_installed_where_the_image_has_them() -> None:
    found, _ = packages_of_service(installed_by("gcc", flags=()))

    assert found == ImagePackages(names=("gcc",), recommends=True)


@pytest.mark.parametrize(
    ("key", "detail", "expected"),
    [
        ("gcc", "", True),
        ("the network", "", False),
        (None, "ImportError: libpq.so.5: cannot open shared object file: No such file or directory", True),
        (None, 'OSError: no library called "cairo-2" was found', True),
        (None, "ModuleNotFoundError: No module named 'distutils'", False),
        (None, "", False),
    ],
)
def test_what_packages_of_the_system_may_fix(key: str | None, detail: str, expected: bool) -> None:
    missing = MissingTool(name=key, key=key, message="") if key else None

    assert lacks_packages(missing, {"app": detail}) is expected


def cells_on(of: Service) -> list[Cell]:
    return [cell_of(interpreter, of) for interpreter in ("3.9", "3.10", "3.12")]


def test_all_sides_of_a_service_get_the_packages() -> None:
    of, runner = installed_by("gcc"), ImageRunner()
    builds = CellBuilds(runner)
    assert all(builds.can_equip(cell) for cell in cells_on(of))

    assert builds.equip(of, [cell.interpreter for cell in cells_on(of)]) == ""

    assert [builds.find(cell).packages for cell in cells_on(of)] == [ImagePackages(names=("gcc",))] * 3
    assert not any(builds.can_equip(cell) for cell in cells_on(of))
    other = service()
    assert all(builds.find(cell).packages is None for cell in cells_on(other))


def test_an_image_of_an_earlier_run_is_used_at_once() -> None:
    of = installed_by("gcc")
    runner = ImageRunner(made={Interpreter(3, 9): ImagePackages(names=("gcc",))})

    assert [CellBuilds(runner).find(cell).packages is None for cell in cells_on(of)] == [False, True, True]


def test_packages_that_cannot_be_added_are_reported_with_their_place() -> None:
    of, runner = installed_by("gcc"), ImageRunner(failure="apt's servers could not be reached: no route")
    builds = CellBuilds(runner)

    assert builds.equip(of, [Interpreter(3, 12)]) == (
        "the packages that services/user-service/Dockerfile:4 installs (gcc) could not be added to the image: "
        "apt's servers could not be reached: no route"
    )
    assert builds.find(cells_on(of)[-1]).packages is None


def test_a_requirement_from_git_needs_git_whatever_the_image_installs() -> None:
    builds = CellBuilds(ImageRunner(failure="no route"), lambda of: True)

    assert builds.equip(service(), [Interpreter(3, 9)]) == (
        "the packages that its requirements need (git, ca-certificates) could not be added to the image: no route"
    )
    found, place = packages_of_service(installed_by("gcc"), ("git", "ca-certificates"))
    assert found == ImagePackages(names=("gcc", "git", "ca-certificates"))
    assert place is not None


def test_a_runner_without_images_has_none() -> None:
    of = installed_by("gcc")

    assert not any(CellBuilds(FakeRunner()).can_equip(cell) for cell in cells_on(of))
